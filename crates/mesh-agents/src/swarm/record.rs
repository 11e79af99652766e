//! What is kept of a swarm: lines of JSON in the journal of its run.

use mesh_store::{ContentHash, Entry, NewEntry};
use serde::{Deserialize, Serialize};

use super::{Fact, SwarmOrder};

/// The kind of the entries.
const KIND: &str = "swarm.facts";
/// About how much one entry has. One line may have more: the longest is far below what an entry takes.
const ENTRY_BYTES: usize = 256 << 10;

/// One thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Something happened in the schedule.
    Fact(Fact),
    /// What a task is given, by its hash. It stands before the task's own line.
    Input { task: String, hash: String },
    /// What came of a task, by its hash. It stands before the line of its end.
    Result { task: String, hash: String },
    /// What the swarm was told to do.
    Order(SwarmOrder),
    /// A coordinator has taken the swarm up: what workers had goes back.
    Life { life: u64, node: String },
}

/// Packs lines into as few entries as may be, in their order. Blobs that they name are held by the entries.
pub(super) fn entries(lines: &[Line]) -> Vec<NewEntry> {
    let (mut entries, mut text, mut blobs) = (Vec::new(), String::new(), Vec::new());
    for line in lines {
        text.push_str(&serde_json::to_string(line).expect("names and numbers are JSON"));
        text.push('\n');
        blobs.extend(line.blob());
        if text.len() >= ENTRY_BYTES {
            entries.push(entry(std::mem::take(&mut text), std::mem::take(&mut blobs)));
        }
    }
    if !text.is_empty() {
        entries.push(entry(text, blobs));
    }
    entries
}

fn entry(text: String, blobs: Vec<ContentHash>) -> NewEntry {
    let entry = NewEntry::new(KIND.parse().expect("it is a name"), text);
    blobs.into_iter().fold(entry, NewEntry::with_blob)
}

/// The lines of an entry.
///
/// # Errors
/// What cannot be read: another program wrote it.
pub(super) fn lines(entry: &Entry) -> Result<Vec<Line>, String> {
    if entry.kind.as_str() != KIND {
        return Err(format!("entry {} is of the kind {}", entry.seq, entry.kind));
    }
    let text = std::str::from_utf8(&entry.payload).map_err(|error| error.to_string())?;
    let read = |line| serde_json::from_str(line).map_err(|error| format!("entry {}: {error}", entry.seq));
    text.lines().map(read).collect()
}

impl Line {
    fn blob(&self) -> Option<ContentHash> {
        match self {
            Self::Input { hash, .. } | Self::Result { hash, .. } => hash.parse().ok(),
            Self::Fact(_) | Self::Order(_) | Self::Life { .. } => None,
        }
    }
}
