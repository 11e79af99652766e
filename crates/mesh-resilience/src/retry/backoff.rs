//! The pauses between attempts.

use std::time::Duration;

use super::{Jitter, RetryConfig};

/// The pauses between attempts: one after the other, each longer than the one before but for its jitter, none above
/// the cap. Endless.
#[derive(Debug)]
pub struct Backoff {
    config: RetryConfig,
    rng: fastrand::Rng,
    made: i32,
    last: Duration,
}

impl Backoff {
    /// The pauses of `config`, which are the same for the same `seed`.
    #[must_use]
    pub fn new(config: RetryConfig, seed: u64) -> Self {
        Self { config, rng: fastrand::Rng::with_seed(seed), made: 0, last: config.base }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let (base, cap) = (self.config.base.as_secs_f64(), self.config.cap.as_secs_f64());
        // Far enough out this is infinite, or no number if the base is nothing: both end at a bound.
        let plain = (base * self.config.factor.powi(self.made)).min(cap);
        self.made = self.made.saturating_add(1);
        let spread = match self.config.jitter {
            Jitter::None => plain,
            Jitter::Full => plain * self.rng.f64(),
            Jitter::Factor(share) => plain * (1.0 + share * (2.0 * self.rng.f64() - 1.0)),
            Jitter::Decorrelated => base + (3.0 * self.last.as_secs_f64() - base) * self.rng.f64(),
        };
        self.last = Duration::try_from_secs_f64(spread).unwrap_or(self.config.cap).min(self.config.cap);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pauses(jitter: Jitter, seed: u64, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(RetryConfig { jitter, ..RetryConfig::default() }, seed);
        (0..count).map(|_| backoff.pause()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let seconds: Vec<_> = pauses(Jitter::None, 0, 8).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn full_jitter_uses_the_whole_pause() {
        let firsts: Vec<_> = (0..1_000).map(|seed| pauses(Jitter::Full, seed, 1)[0]).collect();
        let below = |share: f64| firsts.iter().filter(|pause| pause.as_secs_f64() < share).count();
        assert!((150..350).contains(&below(0.25)), "{}", below(0.25));
        assert!((400..600).contains(&below(0.5)), "{}", below(0.5));
    }

    #[test]
    fn large_attempt_numbers_do_not_overflow() {
        for jitter in [Jitter::None, Jitter::Full, Jitter::Factor(0.5), Jitter::Decorrelated] {
            let config = RetryConfig { factor: 100.0, jitter, ..RetryConfig::default() };
            let mut backoff = Backoff::new(config, 7);
            backoff.made = i32::MAX - 1;
            for _ in 0..3 {
                assert!(backoff.pause() <= config.cap);
            }
        }
        let mut nothing = Backoff::new(RetryConfig { base: Duration::ZERO, ..RetryConfig::default() }, 7);
        nothing.made = i32::MAX;
        assert!(nothing.pause() <= RetryConfig::default().cap);
    }

    proptest! {
        #[test]
        fn jitter_never_exceeds_the_cap(
            seed: u64,
            base_ms in 0_u64..60_000,
            factor in 1.0_f64..100.0,
            share in 0.0_f64..=1.0,
            which in 0..4_u8,
        ) {
            let jitter = [Jitter::None, Jitter::Full, Jitter::Factor(share), Jitter::Decorrelated][usize::from(which)];
            let base = Duration::from_millis(base_ms);
            let config = RetryConfig { base, factor, jitter, ..RetryConfig::default() };
            config.validate().unwrap();
            let mut backoff = Backoff::new(config, seed);
            for number in 0..50 {
                let pause = backoff.pause();
                prop_assert!(pause <= config.cap, "{number}: {pause:?}");
                // Rounding to nanoseconds may take one.
                if jitter == Jitter::Decorrelated {
                    prop_assert!(pause + Duration::from_nanos(1) >= base, "{number}: {pause:?}");
                }
                if jitter == Jitter::Factor(share) && number == 0 {
                    prop_assert!(pause.as_secs_f64() + 1e-6 >= base.as_secs_f64() * (1.0 - share));
                }
            }
        }
    }
}
