//! What lies between the nodes.

use crate::membership::random::Seeded;
use std::time::Duration;

/// How good the network is.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// Shortest way of a datagram.
    pub latency: Duration,
    /// How much longer it may take, evenly spread.
    pub jitter: Duration,
    /// How many datagrams of 10,000 are lost.
    pub loss: usize,
}

impl Conditions {
    /// One site: 1 to 3 ms, and nothing is lost.
    #[must_use]
    pub fn lan() -> Self {
        Self { latency: Duration::from_millis(1), jitter: Duration::from_millis(2), loss: 0 }
    }

    /// The same with this loss, in 1/10,000.
    #[must_use]
    pub fn lossy(loss: usize) -> Self {
        Self { loss, ..Self::lan() }
    }
}

/// Which ways are open, and what happens on them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) conditions: Conditions,
    nodes: usize,
    /// By `from * nodes + to`: datagrams do not pass.
    cut: Vec<bool>,
    /// By the same: which connection the first believes to have to the second.
    epochs: Vec<Option<u64>>,
    next_epoch: u64,
    random: Seeded,
}

impl Network {
    pub(super) fn new(nodes: usize, conditions: Conditions, seed: u64) -> Self {
        let pairs = nodes * nodes;
        let random = Seeded::new(seed);
        Self { conditions, nodes, cut: vec![false; pairs], epochs: vec![None; pairs], next_epoch: 1, random }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.nodes + to] = true;
    }

    pub(super) fn heal(&mut self) {
        self.cut.fill(false);
    }

    pub(super) fn is_open(&self, from: usize, to: usize) -> bool {
        !self.cut[from * self.nodes + to]
    }

    pub(super) fn epoch(&self, from: usize, to: usize) -> Option<u64> {
        self.epochs[from * self.nodes + to]
    }

    pub(super) fn connect(&mut self, one: usize, other: usize) {
        let epoch = Some(self.next_epoch);
        self.next_epoch += 1;
        self.epochs[one * self.nodes + other] = epoch;
        self.epochs[other * self.nodes + one] = epoch;
    }

    /// One side gives the connection up.
    pub(super) fn drop_side(&mut self, of: usize, to: usize) {
        self.epochs[of * self.nodes + to] = None;
    }

    /// Whether both sides have the same connection.
    pub(super) fn is_connected(&self, one: usize, other: usize) -> bool {
        self.epoch(one, other).is_some() && self.epoch(one, other) == self.epoch(other, one)
    }

    /// How long one datagram takes, or `None` when it is lost.
    pub(super) fn delay(&mut self) -> Option<Duration> {
        let Conditions { latency, jitter, loss } = self.conditions;
        if loss > 0 && self.random.below(10_000) < loss {
            return None;
        }
        let spread = usize::try_from(jitter.as_micros()).unwrap_or(usize::MAX).saturating_add(1);
        let more = u64::try_from(self.random.below(spread)).unwrap_or(0);
        Some(latency + Duration::from_micros(more))
    }

    /// How long a frame of a stream takes: never shorter than one before it, and longer for what was lost.
    pub(super) fn delay_in_order(&self) -> Duration {
        self.conditions.latency + self.conditions.jitter
    }
}
