//! How often to try again, and how long to wait in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::config::Check;

/// How often to try again, and how long to wait in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Attempts in all, the first one included. 3; 1 to 1,000.
    pub max_attempts: u32,
    /// The pause after the first attempt, before jitter. 1 s; 0 to `cap`.
    #[serde(with = "crate::config::duration")]
    pub base: Duration,
    /// The longest pause of our own, jitter included. 60 s; 1 ms to 24 h. A target that asks for more is obeyed.
    #[serde(with = "crate::config::duration")]
    pub cap: Duration,
    /// By how much each pause is longer than the one before. 2; 1 to 100.
    pub factor: f64,
    /// How pauses are spread. Full.
    pub jitter: Jitter,
    /// Time for all attempts and pauses together. None, so that it is the caller's deadline alone; up to 24 h.
    #[serde(with = "crate::config::duration::optional")]
    pub total: Option<Duration>,
}

/// How pauses are spread, so that those who failed together do not come back together. None makes a pause longer than
/// the cap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Not at all.
    None,
    /// Anything from nothing to the whole pause.
    Full,
    /// The pause, give or take this share of it; 0 to 1. Written `{ factor = 0.1 }`.
    Factor(f64),
    /// Anything from the base to three times the pause before.
    Decorrelated,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            factor: 2.0,
            jitter: Jitter::Full,
            total: None,
        }
    }
}

impl RetryConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (tick, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let mut check = Check::default();
        check.range("max_attempts", &self.max_attempts, &1, &1_000);
        check.range("base", &self.base, &Duration::ZERO, &self.cap);
        check.range("cap", &self.cap, &tick, &day);
        check.range("factor", &self.factor, &1.0, &100.0);
        if let Jitter::Factor(share) = self.jitter {
            check.range("jitter.factor", &share, &0.0, &1.0);
        }
        if let Some(total) = self.total {
            check.range("total", &total, &tick, &day);
        }
        check.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(config: RetryConfig) -> Vec<String> {
        config.validate().unwrap_err().problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn zero_attempts_are_a_config_error() {
        assert_eq!(fields(RetryConfig { max_attempts: 0, ..RetryConfig::default() }), ["max_attempts"]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = RetryConfig {
            max_attempts: 0,
            base: Duration::from_secs(61),
            factor: f64::INFINITY,
            jitter: Jitter::Factor(f64::NAN),
            total: Some(Duration::ZERO),
            ..RetryConfig::default()
        };
        assert_eq!(fields(config), ["max_attempts", "base", "factor", "jitter.factor", "total"]);
        assert_eq!(RetryConfig::default().validate(), Ok(()));
    }

    #[test]
    fn settings_are_written_as_people_write_them() {
        let config: RetryConfig =
            toml::from_str("base = \"250ms\"\njitter = { factor = 0.1 }\ntotal = \"30s\"").unwrap();
        assert_eq!((config.base, config.jitter), (Duration::from_millis(250), Jitter::Factor(0.1)));
        assert_eq!(toml::from_str::<RetryConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
        assert_eq!(toml::from_str::<RetryConfig>("jitter = \"full\"").unwrap(), RetryConfig::default());
        assert!(toml::from_str::<RetryConfig>("base = 1").is_err());
        assert!(toml::from_str::<RetryConfig>("attempts = 1").is_err());
    }
}
