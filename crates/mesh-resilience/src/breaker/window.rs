//! The last results of a target.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The last results, bounded in number and in age.
#[derive(Debug)]
pub(super) struct Window {
    calls_max: usize,
    age_max: Duration,
    results: VecDeque<Seen>,
    failures: u32,
    slow: u32,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    is_failure: bool,
    is_slow: bool,
}

impl Window {
    pub(super) fn new(calls_max: u32, age_max: Duration) -> Self {
        let calls_max = usize::try_from(calls_max).unwrap_or(usize::MAX);
        Self { calls_max, age_max, results: VecDeque::new(), failures: 0, slow: 0 }
    }

    pub(super) fn push(&mut self, at: Instant, is_failure: bool, is_slow: bool) {
        self.results.push_back(Seen { at, is_failure, is_slow });
        self.failures += u32::from(is_failure);
        self.slow += u32::from(is_slow);
        if self.results.len() > self.calls_max {
            self.pop();
        }
        self.forget_old(at);
    }

    /// Drops what is older than the window at `now`.
    pub(super) fn forget_old(&mut self, now: Instant) {
        while self.results.front().is_some_and(|seen| now.saturating_duration_since(seen.at) > self.age_max) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(seen) = self.results.pop_front() {
            self.failures -= u32::from(seen.is_failure);
            self.slow -= u32::from(seen.is_slow);
        }
    }

    pub(super) fn clear(&mut self) {
        self.results.clear();
        (self.failures, self.slow) = (0, 0);
    }

    pub(super) fn calls(&self) -> u32 {
        u32::try_from(self.results.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn slow(&self) -> u32 {
        self.slow
    }
}
