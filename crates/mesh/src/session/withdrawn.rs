//! Asks that the peer withdrew before their handler began.

use std::collections::{HashSet, VecDeque};

/// How many are remembered; the oldest are forgotten first. Most are of asks that had ended by then.
const REMEMBERED: usize = 4096;

/// The last asks that were withdrawn while they were not running. Numbers of asks are never used again.
#[derive(Debug, Default)]
pub(super) struct Withdrawn {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Withdrawn {
    pub(super) fn note(&mut self, correlation: u64) {
        if !self.known.insert(correlation) {
            return;
        }
        self.order.push_back(correlation);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether it was withdrawn; it is forgotten then.
    pub(super) fn take(&mut self, correlation: u64) -> bool {
        self.known.remove(&correlation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_once_each_and_no_more_than_there_is_room_for() {
        let mut withdrawn = Withdrawn::default();
        let last = 3 * REMEMBERED as u64;
        (0..=last).for_each(|correlation| withdrawn.note(correlation));
        assert!(withdrawn.take(last));
        assert!(!withdrawn.take(last));
        assert!(!withdrawn.take(0));
        assert_eq!((withdrawn.known.len(), withdrawn.order.len()), (REMEMBERED - 1, REMEMBERED));
    }
}
