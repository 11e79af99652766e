//! How the calls of a tool went, in numbers.

use std::collections::VecDeque;
use std::time::Duration;

use super::record::RecordState;

/// Durations that quantiles are taken of: the latest ones.
const LATENCIES_MAX: usize = 1024;

/// How the calls of a tool went, since it was made. `total` is the sum of those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// All calls.
    pub total: u64,
    /// Those that have not ended.
    pub running: u64,
    /// The tool answered.
    pub ok: u64,
    /// The tool began, and failed or was late.
    pub failed: u64,
    /// Whoever asked went away.
    pub cancelled: u64,
    /// The tool failed, and a hook's answer took the place of its own.
    pub fallback: u64,
    /// A hook answered in the tool's place.
    pub skipped: u64,
    /// They did not begin: bad arguments, a hook, no approval, no slot in time. Calls of other tools too.
    pub refused: u64,
    /// Of the refused ones, those that were of another tool.
    pub unknown: u64,
    /// Hooks behind calls that failed.
    pub hook_failures: u64,
    /// How long the middle one of the last 1,024 calls took that the tool began and ended; `None` if there was none.
    pub p50: Option<Duration>,
    /// As `p50`: nine of ten took no longer.
    pub p90: Option<Duration>,
    /// As `p50`: 99 of 100 took no longer.
    pub p99: Option<Duration>,
}

impl Stats {
    /// Which part of the calls that the tool began and ended were answered by it, from 0 to 1; `None` if there was none.
    /// Calls that run, were withdrawn, or never began say nothing about the tool.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.ok + self.failed + self.fallback;
        #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^53 calls")]
        (ended > 0).then(|| self.ok as f64 / ended as f64)
    }
}

/// What [`Stats`] are made of.
#[derive(Debug, Default)]
pub(super) struct Counts {
    stats: Stats,
    latencies: VecDeque<Duration>,
}

impl Counts {
    pub(super) fn begin(&mut self) {
        self.stats.total += 1;
        self.stats.running += 1;
    }

    pub(super) fn end(&mut self, state: RecordState, is_unknown: bool, took: Duration, hook_failures: u32) {
        let stats = &mut self.stats;
        stats.running -= 1;
        stats.unknown += u64::from(is_unknown);
        stats.hook_failures += u64::from(hook_failures);
        let (count, has_run) = match state {
            RecordState::Ok => (&mut stats.ok, true),
            RecordState::Failed => (&mut stats.failed, true),
            RecordState::Fallback => (&mut stats.fallback, true),
            RecordState::Cancelled => (&mut stats.cancelled, false),
            RecordState::Skipped => (&mut stats.skipped, false),
            RecordState::Refused | RecordState::Running => (&mut stats.refused, false),
        };
        *count += 1;
        if has_run {
            if self.latencies.len() == LATENCIES_MAX {
                self.latencies.pop_front();
            }
            self.latencies.push_back(took);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut sorted: Vec<_> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |percent: usize| {
            // The nearest rank: the smallest that so many are not longer than.
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        Stats { p50: quantile(50), p90: quantile(90), p99: quantile(99), ..self.stats.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_calls_that_ran_and_the_rate_counts_what_it_says() {
        let mut counts = Counts::default();
        assert_eq!((counts.stats().p50, counts.stats().success_rate()), (None, None));
        let ms = Duration::from_millis;
        for at in 1..=100 {
            counts.begin();
            let state = if at % 4 == 0 { RecordState::Failed } else { RecordState::Ok };
            counts.end(state, false, ms(at), 0);
        }
        for state in [RecordState::Cancelled, RecordState::Skipped, RecordState::Refused] {
            counts.begin();
            counts.end(state, false, ms(9_000), 0);
        }
        counts.begin();
        let stats = counts.stats();
        assert_eq!((stats.p50, stats.p90, stats.p99), (Some(ms(50)), Some(ms(90)), Some(ms(99))));
        assert_eq!(stats.success_rate(), Some(0.75));
        assert_eq!((stats.total, stats.running, stats.ok, stats.failed), (104, 1, 75, 25));
    }
}
