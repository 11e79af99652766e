//! Who is connected, and who should be dialled.

use crate::{Boot, NodeId};
use std::{collections::BTreeMap, sync::Arc};

/// Most dials that one period asks for; the others come in the next.
const DIALS_MAX: usize = 128;

/// A node at the other end of a connection whose hello has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who it is, by its certificate.
    pub node: NodeId,
    /// The run of its process, by its hello.
    pub boot: Boot,
    /// Where it accepts connections, by its hello: `HOST:PORT`, at most 259 bytes.
    pub addr: Arc<str>,
    /// The address of [`super::Action::Dial`] that led to it, when this side dialled. It may turn out to be this node
    /// itself; that is to be told too, and then it is not dialled again.
    pub dialled: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    connected: BTreeMap<NodeId, Boot>,
    /// Members that should be connected and are not.
    missing: BTreeMap<NodeId, Missing>,
    /// Which node each seed turned out to be.
    seeds: Vec<(Arc<str>, Option<NodeId>)>,
}

/// A member without a connection.
#[derive(Debug, Default, Clone, Copy)]
struct Missing {
    /// For how many periods.
    periods: u32,
    /// Whether it is taken for dead, and looked for all the same.
    is_down: bool,
}

/// A member that is down is dialled by about so many others in each period, however large the mesh: who finds it tells.
const SEEKERS: usize = 16;

impl Links {
    pub(crate) fn new(seeds: &[Arc<str>]) -> Self {
        Self { seeds: seeds.iter().map(|seed| (Arc::clone(seed), None)).collect(), ..Self::default() }
    }

    pub(crate) fn connect(&mut self, peer: &Peer) {
        self.connected.insert(peer.node, peer.boot);
        self.missing.remove(&peer.node);
        self.learn_seed(peer);
    }

    pub(crate) fn learn_seed(&mut self, peer: &Peer) {
        for (addr, node) in &mut self.seeds {
            if peer.dialled.as_ref() == Some(addr) {
                *node = Some(peer.node);
            }
        }
    }

    pub(crate) fn disconnect(&mut self, node: NodeId) {
        self.connected.remove(&node);
    }

    pub(crate) fn is_connected(&self, node: NodeId) -> bool {
        self.connected.contains_key(&node)
    }

    pub(crate) fn connected(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.connected.keys().copied()
    }

    /// A member takes part, or was lost not long ago, so it should be connected. Answers whether it is missing.
    pub(crate) fn want(&mut self, node: NodeId, is_down: bool) -> bool {
        let is_missing = !self.is_connected(node);
        if is_missing {
            self.missing.entry(node).or_default().is_down = is_down;
        }
        is_missing
    }

    pub(crate) fn unwant(&mut self, node: NodeId) {
        self.missing.remove(&node);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whom to dial in this period: of two nodes the larger id dials, and after two periods both do. Those who are down
    /// are dialled in turns with the other `active` members.
    pub(crate) fn due(&mut self, own: NodeId, active: usize) -> Vec<NodeId> {
        let turns = u32::try_from(active / SEEKERS).unwrap_or(u32::MAX).max(1);
        let turn = u32::try_from(own.0 % u128::from(turns)).unwrap_or(0);
        let mut due: Vec<(u32, NodeId)> = Vec::new();
        for (node, Missing { periods, is_down }) in &mut self.missing {
            let is_my_part = own > *node || *periods >= 2;
            let is_my_turn = !*is_down || *periods % turns == turn;
            if is_my_part && is_my_turn {
                due.push((*periods, *node));
            }
            *periods = periods.saturating_add(1);
        }
        // Who was tried least is first, so that the many who do not answer cannot hold up the others.
        due.sort_unstable();
        due.truncate(DIALS_MAX);
        due.into_iter().map(|(_, node)| node).collect()
    }

    /// The seeds that are not connected, and not this node itself.
    pub(crate) fn lost_seeds(&self, own: NodeId) -> impl Iterator<Item = &Arc<str>> {
        let is_lost =
            move |node: Option<NodeId>| node.is_none_or(|node| node != own && !self.is_connected(node));
        self.seeds.iter().filter(move |(_, node)| is_lost(*node)).map(|(addr, _)| addr)
    }
}
