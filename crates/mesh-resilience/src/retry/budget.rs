//! How many of the calls to a target may be retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::ConfigError;
use crate::config::Check;

/// How many of the calls to a target may be retries.
///
/// A target that fails under load fails more when everybody tries three times. So each first attempt puts a share of a
/// retry aside, each retry takes one, and when none is left, errors are final. In any stretch of time there are at most
/// `burst + ratio * calls + floor_per_second * seconds` retries.
///
/// Clones are the same budget: give one to each [`RetryPolicy`](super::RetryPolicy) that calls the target.
///
/// ```
/// use mesh_resilience::{RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let search = RetryBudget::new(RetryBudgetConfig::default())?;
/// let policy = RetryPolicy::new(RetryConfig::default())?.budget(search.clone());
/// # Ok::<(), mesh_resilience::ConfigError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    bucket: Arc<Mutex<Bucket>>,
}

/// The size of a [`RetryBudget`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudgetConfig {
    /// Retries for each first attempt. 0.1; 0 to 10.
    pub ratio: f64,
    /// Retries a second that are allowed besides, for targets that are called seldom. 1; 0 to 1,000.
    pub floor_per_second: f64,
    /// Retries that may be saved up; as many are there to begin with. 10; 1 to 100,000.
    pub burst: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.1, floor_per_second: 1.0, burst: 10 }
    }
}

impl RetryBudgetConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut check = Check::default();
        check.range("ratio", &self.ratio, &0.0, &10.0);
        check.range("floor_per_second", &self.floor_per_second, &0.0, &1_000.0);
        check.range("burst", &self.burst, &1, &100_000);
        check.done()
    }
}

impl RetryBudget {
    /// A full budget.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let bucket = Bucket { config, saved: f64::from(config.burst), at: Instant::now() };
        Ok(Self { bucket: Arc::new(Mutex::new(bucket)) })
    }

    /// Notes a first attempt.
    pub fn deposit(&self) {
        self.bucket.lock().deposit();
    }

    /// Takes one retry, if there is one.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.bucket.lock().withdraw(Instant::now())
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.bucket.lock();
        f.debug_struct("RetryBudget").field("config", &bucket.config).field("saved", &bucket.saved).finish()
    }
}

#[derive(Debug)]
struct Bucket {
    config: RetryBudgetConfig,
    saved: f64,
    at: Instant,
}

impl Bucket {
    fn deposit(&mut self) {
        self.save(self.config.ratio);
    }

    fn withdraw(&mut self, now: Instant) -> bool {
        let elapsed: Duration = now.saturating_duration_since(self.at);
        self.at = now.max(self.at);
        self.save(elapsed.as_secs_f64() * self.config.floor_per_second);
        // A tenth has no exact binary form: ten of them are one for us.
        let is_there = self.saved >= 1.0 - 1e-9;
        if is_there {
            self.saved -= 1.0;
        }
        is_there
    }

    fn save(&mut self, more: f64) {
        self.saved = (self.saved + more).min(f64::from(self.config.burst));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(config: RetryBudgetConfig) -> Bucket {
        Bucket { config, saved: f64::from(config.burst), at: Instant::now() }
    }

    #[test]
    fn one_in_ten_calls_may_be_a_retry() {
        let mut bucket = bucket(RetryBudgetConfig { floor_per_second: 0.0, ..RetryBudgetConfig::default() });
        let now = bucket.at;
        while bucket.withdraw(now) {}
        let mut retries = 0;
        for _ in 0..1_000 {
            bucket.deposit();
            retries += u32::from(bucket.withdraw(now));
        }
        assert!((99..=100).contains(&retries), "{retries}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = RetryBudgetConfig { ratio: -0.1, floor_per_second: f64::NAN, burst: 0 };
        let fields: Vec<_> =
            config.validate().unwrap_err().problems.into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["ratio", "floor_per_second", "burst"]);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_what_the_budget_promises(
            ratio in 0.0_f64..2.0,
            floor_per_second in 0.0_f64..5.0,
            burst in 1_u32..20,
            steps in prop::collection::vec((0..3_u8, 0..2_000_u64), 1..400),
        ) {
            let mut bucket = bucket(RetryBudgetConfig { ratio, floor_per_second, burst });
            let begun = bucket.at;
            let (mut now, mut calls, mut retries) = (begun, 0_u32, 0_u32);
            for (step, ms) in steps {
                match step {
                    0 => now += Duration::from_millis(ms),
                    1 => {
                        bucket.deposit();
                        calls += 1;
                    }
                    _ => retries += u32::from(bucket.withdraw(now)),
                }
                let seconds = (now - begun).as_secs_f64();
                let most = f64::from(burst) + ratio * f64::from(calls) + floor_per_second * seconds;
                prop_assert!(f64::from(retries) <= most + 1e-6, "{retries} > {most}");
            }
        }
    }
}
