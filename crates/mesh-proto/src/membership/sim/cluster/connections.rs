//! How connections are made, and how they end.

use super::{Cluster, Event, Heard, IDLE, addr, id};
use crate::membership::Peer;
use std::{sync::Arc, time::Duration};

impl Cluster {
    pub(super) fn cut(&mut self, from: &[usize], to: &[usize]) {
        for from in from {
            to.iter().for_each(|to| self.network.cut(*from, *to));
            self.give_up_later(*from);
        }
    }

    /// Connections that nothing passes on any more end by their idle timeout.
    pub(super) fn give_up_later(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.part(node, other, self.now + IDLE);
        }
    }

    pub(super) fn part(&mut self, one: usize, other: usize, at: Duration) {
        for epoch in [self.network.epoch(one, other), self.network.epoch(other, one)].into_iter().flatten() {
            self.plan(at, Event::GiveUp { one, other, epoch });
        }
    }

    /// One side of a connection ends, if it is still that connection.
    pub(super) fn end(&mut self, of: usize, to: usize, epoch: u64) -> Result<(), String> {
        if self.network.epoch(of, to) != Some(epoch) {
            return Ok(());
        }
        self.network.drop_side(of, to);
        self.hear(of, to, Heard::Disconnected)
    }

    /// Whether what `from` sends to `to` is sent and arrives.
    pub(super) fn answers(&self, from: usize, to: usize) -> bool {
        let node = &self.nodes[from];
        node.machine.is_some() && node.waiting.is_none() && self.network.is_open(from, to)
    }

    pub(super) fn meet(&mut self, from: usize, to: usize, dialled: &Arc<str>) -> Result<(), String> {
        if !self.answers(from, to) || !self.answers(to, from) {
            return Ok(());
        }
        let peer = |node: usize, boot: u64| Peer {
            node: id(node),
            boot: super::boot(boot),
            addr: addr(node),
            dialled: None,
        };
        let [mine, theirs] = [from, to].map(|node| peer(node, self.nodes[node].boot));
        let theirs = Peer { dialled: Some(Arc::clone(dialled)), ..theirs };
        if from == to {
            return self.hear(from, to, Heard::Connected(theirs));
        }
        if self.network.is_connected(from, to) {
            return Ok(());
        }
        // What is left belongs to a dead run, and is given up for this one.
        for (of, to) in [(from, to), (to, from)] {
            if let Some(epoch) = self.network.epoch(of, to) {
                self.end(of, to, epoch)?;
            }
        }
        self.network.connect(from, to);
        self.hear(from, to, Heard::Connected(theirs))?;
        self.hear(to, from, Heard::Connected(mine))
    }
}
