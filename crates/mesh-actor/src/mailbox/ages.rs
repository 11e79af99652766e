//! How long the oldest message has waited, without a clock reading for each message.

use std::collections::VecDeque;
use std::ops::Range;

use tokio::time::Instant;

/// One message in so many is stamped, besides those at the head of a queue.
const EVERY: u64 = 64;

/// Sampled times of arrival.
///
/// A message that wakes an idle actor is not stamped: it is taken at once, unless the actor's thread is held up. Then
/// its wait is counted from the next arrival, or from the first time that somebody asked.
#[derive(Debug, Default)]
pub(super) struct Ages {
    arrived: u64,
    left: u64,
    /// What woke the actor last.
    waking: Range<u64>,
    stamps: VecDeque<(u64, Instant)>,
}

impl Ages {
    /// Notes that `messages` arrived together, and whether they woke the actor.
    pub(super) fn arrive(&mut self, messages: u32, wakes: bool) {
        let end = self.arrived + u64::from(messages);
        if wakes {
            self.waking = self.arrived..end;
        } else if self.stamps.back().is_none_or(|(at, _)| *at < self.left || self.arrived - at >= EVERY) {
            self.stamps.push_back((self.arrived, Instant::now()));
        }
        self.arrived = end;
    }

    /// Notes that the oldest `messages` left.
    pub(super) fn leave(&mut self, messages: u32) {
        self.left = (self.left + u64::from(messages)).min(self.arrived);
        if self.left == self.arrived {
            return self.stamps.clear();
        }
        // The last stamp at or before the head is the head's.
        while self.stamps.get(1).is_some_and(|(at, _)| *at <= self.left) {
            self.stamps.pop_front();
        }
    }

    /// Whether some message here has waited for more than its actor's waking up.
    pub(super) fn has_waited(&self) -> bool {
        self.waking != (self.left..self.arrived)
    }

    /// When the oldest message arrived, to within the arrival of 64.
    pub(super) fn oldest(&mut self) -> Option<Instant> {
        if self.left == self.arrived {
            return None;
        }
        if self.stamps.is_empty() {
            self.stamps.push_back((self.left, Instant::now()));
        }
        self.stamps.front().map(|(_, at)| *at)
    }
}
