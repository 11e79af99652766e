//! How long the oldest message has waited, without a clock reading for each message.

use std::collections::VecDeque;

use tokio::time::Instant;

/// One message in so many is stamped, besides each that waits alone.
const EVERY: u64 = 64;

/// Sampled times of arrival. An age is never too small, and too large by the time in which 64 messages arrived.
#[derive(Debug, Default)]
pub(super) struct Ages {
    arrived: u64,
    left: u64,
    stamps: VecDeque<(u64, Instant)>,
}

impl Ages {
    /// Notes that `messages` arrived together. Those that wake an idle actor are taken at once: unless somebody
    /// asks, nobody needs to know when they came.
    pub(super) fn arrive(&mut self, messages: u32, wakes: bool) {
        let is_due = match self.stamps.back() {
            Some((at, _)) => *at < self.left || self.arrived - at >= EVERY,
            None => true,
        };
        if is_due && !wakes {
            self.stamps.push_back((self.arrived, Instant::now()));
        }
        self.arrived += u64::from(messages);
    }

    /// Notes that the oldest `messages` left.
    pub(super) fn leave(&mut self, messages: u32) {
        self.left = (self.left + u64::from(messages)).min(self.arrived);
        // The last stamp at or before the head is the head's.
        while self.stamps.get(1).is_some_and(|(at, _)| *at <= self.left) {
            self.stamps.pop_front();
        }
    }

    /// When the oldest message arrived, or a little before; at the latest, when this was asked for the first time.
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
