//! How often an actor was started again lately, and whether it may be once more.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::spec::Policy;

/// The restarts of one actor within its period.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: Policy,
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, recent: VecDeque::new() }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The pause before one more restart, which is counted; none if there were too many.
    pub(crate) fn one_more(&mut self, now: Instant) -> Option<Duration> {
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= self.policy.period) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.policy.restarts_max as usize {
            return None;
        }
        let pause = pause_after(self.recent.len(), self.policy.backoff_first, self.policy.backoff_max);
        // A restart that is put off happens, and counts, at its time.
        self.recent.push_back(now + pause);
        Some(pause)
    }
}

/// Nothing before the first restart, then doubling, each spread over half to all of its length.
fn pause_after(restarts: usize, first: Duration, longest: Duration) -> Duration {
    let Some(doublings) = restarts.checked_sub(1) else { return Duration::ZERO };
    let pause = first.saturating_mul(1 << doublings.min(20)).min(longest);
    // Every `RandomState` has keys of its own: chance enough for a pause.
    let chance = RandomState::new().hash_one(restarts) % 1024;
    pause / 2 + (pause / 2).mul_f64(f64::from(u32::try_from(chance).unwrap_or(0)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ActorSpec;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn the_first_restart_is_immediate_and_later_pauses_double_up_to_a_limit() {
        assert_eq!(pause_after(0, FIRST, LONGEST), Duration::ZERO);
        for (restarts, longest_ms) in [(1, 50), (2, 100), (3, 200), (40, 5_000)] {
            let longest = Duration::from_millis(longest_ms);
            let pause = pause_after(restarts, FIRST, LONGEST);
            assert!(pause >= longest / 2 && pause <= longest, "{restarts}: {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn restarts_are_forgotten_after_the_period() {
        let mut restarts = Restarts::new(ActorSpec::new("a").intensity(2, Duration::from_secs(10)).policy);
        assert_eq!(restarts.one_more(Instant::now()), Some(Duration::ZERO));
        assert!(restarts.one_more(Instant::now()).is_some());
        assert_eq!(restarts.one_more(Instant::now()), None);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(restarts.one_more(Instant::now()), Some(Duration::ZERO));
    }
}
