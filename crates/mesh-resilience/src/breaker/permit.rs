//! One call that was let through.

use tokio::time::Instant;

use super::{Breaker, Event, Verdict};

/// The right to make one call. Tell it what came of the call.
///
/// One that is dropped untold says nothing about the target, so a caller that gives up, or is cancelled, neither opens
/// nor closes anything; the place of its probe is free again. [`on_drop`](Self::on_drop) changes that. It belongs to
/// one generation of its breaker: when that is over, it changes nothing any more.
#[derive(Debug)]
#[must_use = "a permit that is dropped says nothing about the target"]
pub struct Permit {
    breaker: Breaker,
    generation: u64,
    started: Instant,
    on_drop: Verdict,
}

impl Permit {
    pub(super) fn new(breaker: Breaker, generation: u64, started: Instant) -> Self {
        Self { breaker, generation, started, on_drop: Verdict::Ignore }
    }

    /// The target did its part.
    pub fn success(self) {
        self.record(Verdict::Success);
    }

    /// The target is not well.
    pub fn failure(self) {
        self.record(Verdict::Failure);
    }

    /// Whatever came of it.
    pub fn record(mut self, verdict: Verdict) {
        self.on_drop = verdict;
    }

    /// What it shall mean when this is dropped untold: [`Verdict::Failure`] where only a stuck target makes callers
    /// give up.
    pub fn on_drop(mut self, verdict: Verdict) -> Self {
        self.on_drop = verdict;
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.started);
        let event = Event::Finished { generation: self.generation, verdict: self.on_drop, took };
        self.breaker.apply(event, now);
    }
}
