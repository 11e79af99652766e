//! Whom to dial: members that should be connected, seeds, and the lost.

use super::{Membership, action::Action, links::Peer, packet::Claim, packet::State, timers::Due};
use crate::{MemberState, NodeId};
use std::sync::Arc;

impl Membership {
    pub(super) fn meet(&mut self, peer: &Peer) {
        if peer.node == self.foca.identity().node {
            return self.links.learn_seed(peer);
        }
        self.links.connect(peer);
        let known = self.table.get(peer.node);
        let is_known_run = known.is_some_and(|member| member.boot() >= peer.boot);
        if known.is_some_and(|member| member.boot() == peer.boot && member.is_active()) {
            return self.warn(peer.node);
        }
        let id = super::Identity {
            node: peer.node,
            boot: peer.boot,
            renewal: 0,
            has_left: false,
            addr: Arc::clone(&peer.addr),
        };
        let claim = Claim { id, incarnation: 0, state: State::Alive };
        if !is_known_run && self.lets_in(&claim, &mut 0) {
            self.apply(vec![claim]);
        }
        self.greet(peer.node);
    }

    /// Tells a peer of this node, and asks it for all that it knows: by a datagram at once, and for certain.
    fn greet(&mut self, peer: NodeId) {
        self.announce(peer);
        self.ask(peer);
    }

    /// Tells a peer, by a datagram, which identity this node has.
    pub(super) fn announce(&mut self, peer: NodeId) {
        if let Some(member) = self.table.get(peer) {
            let id = member.id.clone();
            let announced = self.foca.announce(id, &mut self.outside);
            debug_assert!(announced.is_ok(), "a header always fits: {announced:?}");
        }
    }

    /// Asks for a connection to each member that has none.
    pub(super) fn dial_missing(&mut self) {
        for node in self.links.due(self.foca.identity().node, self.table.active()) {
            self.dial(node);
        }
        if !self.links.is_complete() {
            self.outside.timers.set(Due::Dial, self.outside.now + self.config.dial_period);
        }
    }

    fn dial(&mut self, node: NodeId) {
        if let Some(member) = self.table.get(node) {
            let addr = Arc::clone(member.addr());
            self.outside.actions.push_back(Action::Dial { node: Some(node), addr });
        }
    }

    /// Looks for the seeds, and for one that is down; and forgets those that were not found for long.
    pub(super) fn search(&mut self) {
        let now = self.outside.now;
        if let Some(until) = now.checked_sub(self.config.forget_after) {
            self.table.gone_since(until).into_iter().for_each(|node| self.forget(node));
        }
        if let Some(until) = now.checked_sub(self.config.seek_for) {
            self.table.gone_since(until).into_iter().for_each(|node| self.links.unwant(node));
        }
        let seeds = self.links.lost_seeds(self.foca.identity().node);
        let dials = seeds.map(|addr| Action::Dial { node: None, addr: Arc::clone(addr) });
        self.outside.actions.extend(dials);
        let down = self.table.iter().filter(|member| member.state() == MemberState::Down);
        let down: Vec<NodeId> = down.map(super::Member::node).collect();
        if let Some(node) = down.get(self.random.below(down.len())) {
            // Who is connected and yet down does not know what is said of it.
            if self.links.is_connected(*node) { self.greet(*node) } else { self.dial(*node) }
        }
        // Nodes that were started as one must not search as one.
        let quarter = usize::try_from(self.config.search_period.as_millis() / 4).unwrap_or(0);
        let jitter = std::time::Duration::from_millis(u64::try_from(self.random.below(quarter)).unwrap_or(0));
        self.outside.timers.set(Due::Search, now + self.config.search_period + jitter);
    }
}
