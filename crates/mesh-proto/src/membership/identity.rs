//! Which run of which node a claim is about.

use crate::{Boot, NodeId};
use bincode::{Decode, Encode};
use std::sync::Arc;

/// Longest address: a DNS name of 253 bytes, a colon, and a port.
pub(crate) const ADDR_BYTES_MAX: usize = 259;

/// No run renews itself so often by honest means; a larger claim is not believed, so that each can be outdone.
pub(crate) const RENEWALS_MAX: u32 = 1 << 30;

/// A node as SWIM counts it. To foca, the node id is the address, and all the rest says which claim is the later one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    /// The run of its process; every actor id carries it.
    pub(crate) boot: Boot,
    /// How often this run was taken for dead and came back. `Down` is final for an identity (SWIM §4.2), so who lives
    /// takes the next one.
    pub(crate) renewal: u32,
    /// It says goodbye. The last identity of a run: its `Down` is a `Left`.
    pub(crate) has_left: bool,
    pub(crate) addr: Arc<str>,
}

impl Identity {
    /// What decides between two claims about one node. The address is last, so that the order is total: with a tie each
    /// would replace the other for ever.
    fn rank(&self) -> (Boot, u32, bool, &str) {
        (self.boot, self.renewal, self.has_left, &self.addr)
    }

    pub(crate) fn outranks(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.addr.len() <= ADDR_BYTES_MAX && self.renewal <= RENEWALS_MAX
    }

    /// The next identity of the same run.
    pub(crate) fn renewed(&self) -> Option<Self> {
        let renewal = self.renewal.checked_add(1)?;
        (!self.has_left).then(|| Self { renewal, ..self.clone() })
    }

    /// The last identity of the run.
    pub(crate) fn departed(&self) -> Self {
        Self { renewal: self.renewal.saturating_add(1), has_left: true, ..self.clone() }
    }
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        self.renewed()
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.outranks(adversary)
    }
}
