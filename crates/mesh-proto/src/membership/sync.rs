//! Push/pull: two nodes compare all that they know, on the control stream, page by page.
//!
//! ```text
//! asker                                     asked
//!   Ask { after: None, digest }        ─▶     equal digests: silence, and that is all
//!                                      ◀─   Page { after, until, rows }      at most PAGE_BYTES
//!   Tell { rows the page lacks }       ─▶
//!   Ask { after: until }               ─▶     … and so on until a page has no `until`
//! ```
//!
//! Who is suspected is told so by a `Tell`, and answers with another (Lifeguard §IV.C: the buddy system): on the stream that
//! cannot lose it.
//!
//! Each message is answered by one page at most, and the asker sets the pace, so neither side holds more than one page.
//! (memberlist's push/pull; SWIM itself has none, and then a node that gossip missed stays unknown for minutes.)

use super::{
    packet::Claim,
    profile::Row,
    table::{Member, outranks},
};
use crate::NodeId;
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, VecDeque};

/// Most bytes of rows in one message, within one row: a quarter of the longest control frame.
const PAGE_BYTES: usize = 16 * 1024;

/// Most rows in one message that are believed; a page of ours has fewer.
pub(crate) const ROWS_MAX: usize = 512;

/// Most pages of one comparison: enough for the largest table, each row as long as it may be.
const PAGES_MAX: u32 = 8_192;

/// A message of push/pull. The driver carries it on the control stream to the same method of the other side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Sync(pub(crate) Message);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Message {
    /// What do you know behind this node?
    Ask { after: Option<NodeId>, digest: u64 },
    /// All that the sender knows of the nodes behind `after`, up to and with `until`, or up to the last.
    Page { after: Option<NodeId>, until: Option<NodeId>, rows: Vec<Known> },
    /// What the sender knows better.
    Tell { rows: Vec<Known> },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Known {
    pub(crate) claim: Claim,
    pub(crate) row: Option<Row>,
}

impl Known {
    pub(crate) fn of(member: &Member) -> Self {
        Self { claim: member.claim(), row: member.row.clone() }
    }

    fn version(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.version)
    }

    /// Whether this says more than `other` of the same node.
    fn says_more_than(&self, other: &Self) -> bool {
        let is_same_run = self.claim.id.boot == other.claim.id.boot;
        outranks(&self.claim, &other.claim) || (is_same_run && self.version() > other.version())
    }

    /// About as many bytes as it will have; never fewer.
    fn bytes(&self) -> usize {
        let row = self.row.as_ref().map_or(0, |row| {
            80 + row.profile.name.len() + row.profile.label_bytes() + 6 * row.profile.labels.len()
        });
        48 + self.claim.id.addr.len() + row
    }
}

/// Why a message of push/pull was refused. The peer is at fault; nothing of the message was taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// A page came that was not asked for, or is another one, or the table does not end.
    #[error("{from} sent a page that was not asked for")]
    Unasked {
        /// Who sent it.
        from: NodeId,
    },
    /// There are more rows than any page of ours has.
    #[error("{from} sent {rows} rows at once, more than {ROWS_MAX}")]
    TooMany {
        /// Who sent them.
        from: NodeId,
        /// How many.
        rows: usize,
    },
}

/// What this node has asked its peers for. An equal table is not answered, so a few questions stay open for good.
#[derive(Debug, Default)]
pub(crate) struct Asked(BTreeMap<NodeId, Open>);

#[derive(Debug, Default)]
struct Open {
    questions: VecDeque<Option<NodeId>>,
    /// Pages since a comparison began.
    pages: u32,
}

/// Most questions to one peer that are open.
const QUESTIONS_MAX: usize = 4;

impl Asked {
    pub(crate) fn begin(&mut self, peer: NodeId) {
        self.0.entry(peer).or_default().pages = 0;
        self.put(peer, None);
    }

    pub(crate) fn forget(&mut self, peer: NodeId) {
        self.0.remove(&peer);
    }

    /// Takes note of a page; answers whether another is to be asked for, and has then noted that.
    pub(crate) fn page(
        &mut self,
        from: NodeId,
        after: Option<NodeId>,
        until: Option<NodeId>,
    ) -> Result<bool, SyncError> {
        let unasked = SyncError::Unasked { from };
        let open = self.0.get_mut(&from).ok_or_else(|| unasked.clone())?;
        let question = open.questions.iter().position(|asked| *asked == after);
        let goes_on = until.is_none_or(|until| after.is_none_or(|after| until > after));
        let Some(question) = question.filter(|_| goes_on && open.pages < PAGES_MAX) else {
            return Err(unasked);
        };
        open.questions.remove(question);
        open.pages += 1;
        if until.is_some() {
            self.put(from, until);
        }
        Ok(until.is_some())
    }

    fn put(&mut self, peer: NodeId, after: Option<NodeId>) {
        let questions = &mut self.0.entry(peer).or_default().questions;
        if questions.len() == QUESTIONS_MAX {
            questions.pop_front();
        }
        questions.push_back(after);
    }
}

/// As many of `rows` as one message holds; what is left over is answered too, by its first node.
pub(crate) fn fill(rows: impl Iterator<Item = Known>) -> (Vec<Known>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in rows {
        if bytes >= PAGE_BYTES || page.len() >= ROWS_MAX {
            return (page, true);
        }
        bytes += row.bytes();
        page.push(row);
    }
    (page, false)
}

/// What of `mine` a page lacks, or has only in part. Who is gone is not news to one who never knew them.
pub(crate) fn better(mine: impl Iterator<Item = Known>, page: &[Known]) -> Vec<Known> {
    let theirs: BTreeMap<NodeId, &Known> = page.iter().map(|known| (known.claim.id.node, known)).collect();
    let is_better = |mine: &Known| match theirs.get(&mine.claim.id.node) {
        Some(theirs) => mine.says_more_than(theirs),
        None => mine.claim.state != super::packet::State::Down,
    };
    fill(mine.filter(is_better)).0
}
