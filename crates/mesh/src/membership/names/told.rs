//! How much was told of this node's names.

use mesh_proto::{Answer, Delta, Need};
use std::sync::atomic::{AtomicU64, Ordering};

/// How much this node has told its peers of its own names, since it started. Each is counted once for each peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamesTold {
    /// Names that were told: published or withdrawn, in whatever way.
    pub names: u64,
    /// Whole tables, to peers that had nothing of this node, or were away for more than 4,096 changes.
    pub whole: u64,
    /// Changes that were missed, to peers that came back.
    pub missed: u64,
    /// Whole tables, to peers that had this node's version and other names. Something is wrong if this grows.
    pub repairs: u64,
}

/// The counters behind [`NamesTold`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    names: AtomicU64,
    whole: AtomicU64,
    missed: AtomicU64,
    repairs: AtomicU64,
}

impl Counters {
    /// A change is told to one peer.
    pub(super) fn changes(&self, delta: &Delta) {
        let names = delta.published.len() + delta.withdrawn.len();
        self.names.fetch_add(names as u64, Ordering::Relaxed);
    }

    /// A peer is told what it lacks.
    pub(super) fn answered(&self, answer: &Answer, peer: &str) {
        answer.parts.iter().for_each(|part| self.changes(part));
        let counter = match answer.need {
            Need::Nothing => return,
            Need::Changes => &self.missed,
            Need::Whole => &self.whole,
            Need::Repair => {
                tracing::warn!(%peer, "a peer's view of this node's names was wrong, and is told anew");
                &self.repairs
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> NamesTold {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NamesTold {
            names: of(&self.names),
            whole: of(&self.whole),
            missed: of(&self.missed),
            repairs: of(&self.repairs),
        }
    }
}
