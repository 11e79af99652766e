//! Who waits for a limit, in which order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Cost;
use super::ledger::Ahead;

/// Who comes first where callers wait: the higher number; among equals, who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub u8);

impl Priority {
    /// Work that nobody waits for.
    pub const LOW: Self = Self(64);
    /// What has no reason to be otherwise; the default.
    pub const NORMAL: Self = Self(128);
    /// Work that a person waits for.
    pub const HIGH: Self = Self(192);
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// A place in the queue: by priority, then by arrival.
pub(super) type Key = (Reverse<Priority>, u64);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<Key, Waiter>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiter {
    cost: Cost,
    bell: Arc<Notify>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// The place that a caller would get who came now.
    pub(super) fn next_key(&self, priority: Priority) -> Key {
        (Reverse(priority), self.arrivals)
    }

    pub(super) fn is_first(&self, key: Key) -> bool {
        self.waiters.first_key_value().is_none_or(|(first, _)| key <= *first)
    }

    /// What the first one asks for.
    pub(super) fn first(&self) -> Option<&Cost> {
        self.waiters.values().next().map(|waiter| &waiter.cost)
    }

    /// What those before `key` ask for.
    pub(super) fn ahead(&self, key: Key) -> Ahead {
        let mut ahead = Ahead::default();
        for waiter in self.waiters.range(..key).map(|(_, waiter)| waiter) {
            for (sum, units) in ahead.iter_mut().zip(waiter.cost.amounts()) {
                *sum = sum.saturating_add(u128::from(units));
            }
        }
        ahead
    }

    pub(super) fn enter(&mut self, key: Key, cost: Cost) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.arrivals += 1;
        self.waiters.insert(key, Waiter { cost, bell: Arc::clone(&bell) });
        bell
    }

    /// Whoever is first then has a look.
    pub(super) fn leave(&mut self, key: Key) {
        let was_first = self.is_first(key);
        if self.waiters.remove(&key).is_some() && was_first {
            self.ring_first();
        }
    }

    pub(super) fn ring_first(&self) {
        if let Some((_, first)) = self.waiters.first_key_value() {
            first.bell.notify_one();
        }
    }

    pub(super) fn ring_all(&self) {
        self.waiters.values().for_each(|waiter| waiter.bell.notify_one());
    }
}
