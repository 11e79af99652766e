//! A counter that learns from what the provider reports.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::{ErrorBound, Framing, TokenCounter, Tokens, scaled};
use crate::{ChatRequest, Usage};

/// How many calls are remembered.
const CALLS_MAX: usize = 32;
/// From how many calls on the bound is what was seen, and no longer the counter's own.
const CALLS_MIN: usize = 4;
/// What was reported as less than a quarter or more than four times the count is a server's mistake.
const RATIO_MAX: f64 = 4.0;
/// The error that is stated at least, however well the counts agreed.
const SHARE_MIN: f64 = 0.02;
/// The next call may be worse than all that were seen.
const MARGIN: f64 = 1.5;

/// A counter whose counts are corrected by the ratio of what providers reported to what it counted.
///
/// The ratio is that of the last 32 calls. From the fourth call on the stated bound is one and a half times the worst
/// error seen among them, at least 2 % and 4 tokens; until then it is the inner counter's own. It is as good as the calls
/// are alike: one of JSON after thirty of prose may be beyond it.
#[derive(Debug)]
pub struct Calibrated<C> {
    inner: C,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Counted and reported.
    calls: VecDeque<(u64, u64)>,
    ratio: f64,
    bound: Option<ErrorBound>,
}

impl<C: TokenCounter> Calibrated<C> {
    /// The counts of `inner`, until something is observed.
    pub fn new(inner: C) -> Self {
        Self { inner, seen: Mutex::new(Seen { calls: VecDeque::new(), ratio: 1.0, bound: None }) }
    }

    /// Learns what the provider reported for `request`. A report of nothing, or of something impossible, is passed over.
    pub fn observe(&self, request: &ChatRequest, usage: &Usage) {
        self.observe_counts(Tokens::of(request, &self.inner).total(), usage.input);
    }

    /// Learns that `reported` tokens were read where the inner counter said `counted`.
    pub fn observe_counts(&self, counted: u64, reported: u64) {
        let ratio = ratio(counted, reported);
        if !(1.0 / RATIO_MAX..=RATIO_MAX).contains(&ratio) {
            tracing::debug!(counted, reported, "a token count is not believed");
            return;
        }
        let mut seen = self.lock();
        if seen.calls.len() == CALLS_MAX {
            seen.calls.pop_front();
        }
        seen.calls.push_back((counted, reported));
        seen.learn();
    }

    /// What the inner counter's counts are multiplied with.
    pub fn ratio(&self) -> f64 {
        self.lock().ratio
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Seen {
    fn learn(&mut self) {
        let counted = self.calls.iter().map(|call| call.0).sum();
        let reported = self.calls.iter().map(|call| call.1).sum();
        self.ratio = ratio(counted, reported);
        if self.calls.len() < CALLS_MIN {
            return;
        }
        let errors =
            self.calls.iter().map(|&(counted, reported)| ratio(counted, reported) / self.ratio - 1.0);
        let worst = errors.fold(0.0, f64::max);
        self.bound = Some(ErrorBound { share: (worst * MARGIN).max(SHARE_MIN), tokens: 4 });
    }
}

#[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 tokens")]
fn ratio(counted: u64, reported: u64) -> f64 {
    reported as f64 / counted as f64
}

impl<C: TokenCounter> TokenCounter for Calibrated<C> {
    fn count(&self, text: &str) -> u64 {
        scaled(self.inner.count(text), self.ratio())
    }

    fn bound(&self) -> ErrorBound {
        self.lock().bound.unwrap_or_else(|| self.inner.bound())
    }

    fn framing(&self) -> Framing {
        self.inner.framing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bpe, Estimator};

    #[test]
    fn a_counter_comes_to_what_the_provider_reports() {
        let counter = Calibrated::new(Estimator::new(Framing::OPENAI));
        let text = include_str!("../../tests/samples/german.txt");
        // The provider counts by a table that the counter does not know.
        for length in [200, 300, 250, 400, 350] {
            let request = ChatRequest::user(text.chars().take(length).collect::<String>());
            let real = Tokens::of(&request, &Bpe::cl100k()).total();
            counter.observe(&request, &Usage::new(real, 1));
        }
        let request = ChatRequest::user(text);
        let (real, told) = (Tokens::of(&request, &Bpe::cl100k()).total(), Tokens::of(&request, &counter));
        assert!(
            counter.bound().share < Estimator::new(Framing::OPENAI).bound().share,
            "{:?}",
            counter.bound()
        );
        assert!(
            real <= counter.bound().at_most(told.total()),
            "{real} of {told:?} with {:?}",
            counter.bound()
        );
        assert!(told.total() < real * 5 / 4, "{told:?} for {real}");
    }

    #[test]
    fn a_report_of_nothing_or_of_nonsense_teaches_nothing() {
        let counter = Calibrated::new(Estimator::new(Framing::OPENAI));
        for (counted, reported) in [(100, 0), (0, 0), (0, 100), (100, 1_000_000)] {
            counter.observe_counts(counted, reported);
        }
        assert_eq!(counter.ratio(), 1.0);
    }

    #[test]
    fn until_enough_was_seen_the_bound_is_the_counters_own() {
        let counter = Calibrated::new(Estimator::new(Framing::OPENAI));
        for _ in 0..3 {
            counter.observe_counts(100, 100);
            assert_eq!(counter.bound(), Estimator::new(Framing::OPENAI).bound());
        }
        counter.observe_counts(100, 100);
        assert_eq!(counter.bound(), ErrorBound { share: SHARE_MIN, tokens: 4 });
        // One that was far off widens it again.
        counter.observe_counts(100, 150);
        assert!(counter.bound().share > 0.3, "{:?}", counter.bound());
    }
}
