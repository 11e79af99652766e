//! How often was restarted lately, whether it may be once more, and after which pause.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many restarts there may be within a period (OTP's intensity), and the pauses before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) restarts_max: u32,
    pub(crate) period: Duration,
    pub(crate) backoff_first: Duration,
    pub(crate) backoff_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            restarts_max: 5,
            period: Duration::from_secs(10),
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// The restarts within the last period.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// The pause before one more restart, which is counted; none if there were too many.
    pub(crate) fn one_more(
        &mut self,
        pace: &Pace,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Duration> {
        // As in OTP, one that is exactly a period old still counts.
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) > pace.period) {
            self.recent.pop_front();
        }
        if self.recent.len() >= pace.restarts_max as usize {
            return None;
        }
        let pause = pause_after(self.recent.len(), pace, rng);
        // A restart that is put off happens, and counts, at its time.
        self.recent.push_back(now + pause);
        Some(pause)
    }
}

/// Nothing before the first restart, then doubling, each spread over half to all of its length.
fn pause_after(restarts: usize, pace: &Pace, rng: &mut fastrand::Rng) -> Duration {
    let Some(doublings) = restarts.checked_sub(1) else { return Duration::ZERO };
    let pause = pace.backoff_first.saturating_mul(1 << doublings.min(20)).min(pace.backoff_max);
    pause / 2 + (pause / 2).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_later_pauses_double_up_to_a_limit() {
        let mut rng = fastrand::Rng::with_seed(1);
        let pace = Pace::default();
        assert_eq!(pause_after(0, &pace, &mut rng), Duration::ZERO);
        for (restarts, longest_ms) in [(1, 50), (2, 100), (3, 200), (40, 5_000)] {
            let longest = Duration::from_millis(longest_ms);
            let pause = pause_after(restarts, &pace, &mut rng);
            assert!(pause >= longest / 2 && pause <= longest, "{restarts}: {pause:?}");
        }
    }

    #[test]
    fn pauses_are_spread_by_chance() {
        let pauses = [1, 2, 3]
            .map(|seed| pause_after(4, &Pace::default(), &mut fastrand::Rng::with_seed(seed)).as_nanos());
        assert!(pauses[0] != pauses[1] && pauses[1] != pauses[2], "{pauses:?}");
    }

    #[test]
    fn restarts_are_forgotten_after_the_period() {
        let (mut restarts, mut rng) = (Restarts::default(), fastrand::Rng::with_seed(1));
        let pace = Pace { restarts_max: 2, backoff_first: Duration::ZERO, ..Pace::default() };
        let start = Instant::now();
        assert_eq!(restarts.one_more(&pace, start, &mut rng), Some(Duration::ZERO));
        assert_eq!(restarts.one_more(&pace, start, &mut rng), Some(Duration::ZERO));
        assert_eq!(restarts.one_more(&pace, start + pace.period, &mut rng), None);
        let later = start + pace.period + Duration::from_millis(1);
        assert_eq!(restarts.one_more(&pace, later, &mut rng), Some(Duration::ZERO));
    }
}
