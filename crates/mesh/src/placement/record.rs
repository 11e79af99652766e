//! What is known of one placed actor.

use mesh_proto::{Boot, NodeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
};

/// A label that a node has to have: see [`NodeConfig::labels`](crate::NodeConfig::labels).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// Such as `gpu`.
    pub key: String,
    /// Such as `true`.
    pub value: String,
}

impl Label {
    /// A label of this key and value.
    pub fn eq(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Whether a node with these labels has all of `wanted`.
    pub(crate) fn all(wanted: &[Self], labels: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|label| labels.get(&label.key) == Some(&label.value))
    }
}

/// One run of one node, as the place of an actor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Seat {
    pub(crate) id: u128,
    pub(crate) boot: u64,
    pub(crate) name: String,
}

impl Seat {
    pub(crate) fn node(&self) -> NodeId {
        NodeId(self.id)
    }

    pub(crate) fn boot(&self) -> Boot {
        Boot(self.boot)
    }
}

/// What is to run: the same over all lives of the actor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    pub(crate) kind: String,
    /// A JSON text.
    pub(crate) args: String,
    pub(crate) labels: Vec<Label>,
    /// After how many milliseconds without a message it ends; 0 is never.
    pub(crate) idle_ms: u64,
}

/// A placed actor in one of its lives. Every node keeps the newest that it has heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) wanted: Wanted,
    pub(crate) epoch: u64,
    pub(crate) seat: Seat,
    /// Whether it was started nowhere before this epoch: if no node can run it, its placer is told, and it is struck out.
    pub(crate) is_new: bool,
    /// Whether nobody wants it any more. Kept for a while, so that who was away does not bring it back.
    pub(crate) is_removed: bool,
}

impl Record {
    /// Two nodes that know two records of one name agree on which is the newer. Those of one epoch come from two sides of a
    /// partition: there the smaller node id wins, as in [`mesh_proto::Directory::owner`].
    pub(crate) fn age(&self, other: &Self) -> Ordering {
        let rank = |one: &Self| (one.epoch, one.is_removed, Reverse(one.seat.id), one.seat.boot, !one.is_new);
        rank(self).cmp(&rank(other)).then_with(|| self.wanted.cmp(&other.wanted))
    }

    /// Roughly how many bytes it has on the wire.
    pub(crate) fn bytes(&self) -> usize {
        let labels: usize = self.wanted.labels.iter().map(|one| one.key.len() + one.value.len() + 16).sum();
        128 + self.name.len()
            + self.wanted.kind.len()
            + self.wanted.args.len()
            + self.seat.name.len()
            + labels
    }

    /// What tables are compared by: FNV-1a over what makes one record newer than another, the same on every node.
    pub(crate) fn hash(&self) -> u64 {
        let flags = [u8::from(self.is_removed), u8::from(self.is_new)];
        let parts: [&[u8]; 7] = [
            self.name.as_bytes(),
            &self.epoch.to_be_bytes(),
            &self.seat.id.to_be_bytes(),
            &self.seat.boot.to_be_bytes(),
            &flags,
            self.wanted.kind.as_bytes(),
            self.wanted.args.as_bytes(),
        ];
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        parts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, step)
    }
}
