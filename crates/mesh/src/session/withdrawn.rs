//! Asks that the peer withdrew before their handler began.

use parking_lot::Mutex;
use std::{
    collections::{HashSet, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
};

/// How many are remembered; the oldest are forgotten first. Most are of asks that had ended by then.
const REMEMBERED: usize = 4096;

/// The last asks that were withdrawn while they were not running. Numbers of asks are never used again.
#[derive(Debug, Default)]
pub(super) struct Withdrawn {
    /// Whether there ever was one: most connections have none, and look no further.
    is_used: AtomicBool,
    asks: Mutex<Asks>,
}

#[derive(Debug, Default)]
struct Asks {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Withdrawn {
    pub(super) fn note(&self, correlation: u64) {
        let mut asks = self.asks.lock();
        if !asks.known.insert(correlation) {
            return;
        }
        asks.order.push_back(correlation);
        if asks.order.len() > REMEMBERED
            && let Some(oldest) = asks.order.pop_front()
        {
            asks.known.remove(&oldest);
        }
        self.is_used.store(true, Ordering::Release);
    }

    /// Whether it was withdrawn; it is forgotten then.
    pub(super) fn take(&self, correlation: u64) -> bool {
        self.is_used.load(Ordering::Acquire) && self.asks.lock().known.remove(&correlation)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.asks.lock().known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_once_each_and_no_more_than_there_is_room_for() {
        let withdrawn = Withdrawn::default();
        let last = 3 * REMEMBERED as u64;
        (0..=last).for_each(|correlation| withdrawn.note(correlation));
        assert!(withdrawn.take(last));
        assert!(!withdrawn.take(last));
        assert!(!withdrawn.take(0));
        let asks = withdrawn.asks.lock();
        assert_eq!((asks.known.len(), asks.order.len()), (REMEMBERED - 1, REMEMBERED));
    }
}
