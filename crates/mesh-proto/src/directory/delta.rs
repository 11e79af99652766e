//! What two nodes tell each other of one's names.

use super::{Digest, Publication, table::Table};
use crate::{Boot, codec::encode_frame};
use bincode::{Decode, Encode};

/// Bytes of publications in one part, before the last one that fits: 16 KiB. The longest publication has 27 KiB, so that
/// a part is always shorter than a control frame may be, and claims less than its decoder allows.
const PART_BYTES: usize = 16 * 1024;

/// Most rows in one part.
const PART_ROWS: usize = 64;

/// What the sender has of the receiver's names. Said at each new connection, and every 10 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Known {
    /// The receiver's run that they are of.
    pub boot: Boot,
    /// The version of its table; 0 for none.
    pub version: u64,
    /// The digest of what the sender has.
    pub digest: Digest,
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.digest == Digest::default()
    }
}

/// What has changed in the sender's names between two versions, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delta {
    /// The version that it builds on; 0 replaces all that is there.
    pub from: u64,
    /// The version that it leads to.
    pub to: u64,
    /// The digest of the table at that version.
    pub digest: Digest,
    /// The part's number, from 0. The parts of one delta follow each other on one connection.
    pub part: u32,
    /// Whether it is the last part. The delta counts when all parts are there.
    pub is_last: bool,
    /// Names that came, or are others than before.
    pub published: Vec<Publication>,
    /// Names that went.
    pub withdrawn: Vec<String>,
}

impl Delta {
    pub(super) fn of_one(
        from: u64,
        to: u64,
        digest: Digest,
        published: Vec<Publication>,
        withdrawn: Vec<String>,
    ) -> Self {
        Self { from, to, digest, part: 0, is_last: true, published, withdrawn }
    }
}

/// What a peer lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it has all.
    Nothing,
    /// The last changes.
    Changes,
    /// The whole table: it has nothing of this run, or was away for too many changes.
    Whole,
    /// The whole table, since it has the right version and other names: something went wrong. Worth a warning.
    Repair,
}

/// What to tell a peer, in this order and on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Why.
    pub need: Need,
    /// The delta, cut into parts of at most one control frame.
    pub parts: Vec<Delta>,
}

/// Cuts what leads from a version to that of `table` into parts.
pub(super) fn cut(
    from: u64,
    table: &Table,
    published: Vec<Publication>,
    withdrawn: Vec<String>,
) -> Vec<Delta> {
    let empty = Delta::of_one(from, table.version, table.digest(), Vec::new(), Vec::new());
    let mut parts = vec![empty.clone()];
    let (mut bytes, mut rows) = (0, 0);
    let mut scratch = Vec::new();
    let mut part_for = |row_bytes: usize, parts: &mut Vec<Delta>| {
        if rows == PART_ROWS || (rows > 0 && bytes + row_bytes > PART_BYTES) {
            let part = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            parts.push(Delta { part, ..empty.clone() });
            (bytes, rows) = (0, 0);
        }
        bytes += row_bytes;
        rows += 1;
        parts.len() - 1
    };
    for name in withdrawn {
        let part = part_for(name.len() + 8, &mut parts);
        parts[part].withdrawn.push(name);
    }
    for publication in published {
        scratch.clear();
        encode_frame(&publication, &mut scratch);
        let part = part_for(scratch.len(), &mut parts);
        parts[part].published.push(publication);
    }
    let last = parts.len() - 1;
    parts.iter_mut().enumerate().for_each(|(at, part)| part.is_last = at == last);
    parts
}
