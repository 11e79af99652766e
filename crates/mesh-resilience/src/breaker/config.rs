//! When a breaker opens, and when it closes again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::config::Check;

/// When a breaker opens, and when it closes again.
///
/// It looks at a rolling window: the last [`window_calls`](Self::window_calls) results, none older than
/// [`window`](Self::window). So successes push failures out, and so does time. It opens as soon as the window holds
/// [`minimum_calls`](Self::minimum_calls) and either too many failures or too many slow calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in the window that open it. 5; 1 to `window_calls`.
    pub failure_threshold: u32,
    /// Share of the window's calls that must have failed besides, so that a busy target is not cut off for a few
    /// failures among many successes. None; above 0, to 1.
    pub failure_ratio: Option<f64>,
    /// Share of the window's calls that opens it when they were slow, whether they failed or not. None: slowness is
    /// no failure; above 0, to 1.
    pub slow_ratio: Option<f64>,
    /// From when on a call is slow. 10 s; 1 ms to 1 h. Matters only with `slow_ratio`, and then a slow probe counts
    /// as a failed one.
    #[serde(with = "crate::config::duration")]
    pub slow_after: Duration,
    /// Results that the window must hold before anything opens the breaker. None: as many as `failure_threshold`;
    /// 1 to `window_calls`.
    pub minimum_calls: Option<u32>,
    /// Results that are remembered. 20; 1 to 10,000. Each costs 32 bytes.
    pub window_calls: u32,
    /// For how long a result is remembered. 60 s; 1 ms to 24 h.
    #[serde(with = "crate::config::duration")]
    pub window: Duration,
    /// For how long it stays open before it lets probes through. 60 s; 1 ms to 24 h.
    #[serde(with = "crate::config::duration")]
    pub reset: Duration,
    /// Probes that may be under way at once while it is half-open. 3; 1 to 1,000.
    pub half_open_probes: u32,
    /// Successful probes that close it. 3; 1 to 1,000. One failed probe opens it again.
    pub success_threshold: u32,
    /// Codes of errors that say nothing about the target, such as `CANCELLED`; see
    /// [`Classify::code`](crate::Classify::code). None.
    pub excluded: Vec<String>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            failure_ratio: None,
            slow_ratio: None,
            slow_after: Duration::from_secs(10),
            minimum_calls: None,
            window_calls: 20,
            window: Duration::from_secs(60),
            reset: Duration::from_secs(60),
            half_open_probes: 3,
            success_threshold: 3,
            excluded: Vec::new(),
        }
    }
}

impl BreakerConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (tick, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let mut check = Check::default();
        check.range("failure_threshold", &self.failure_threshold, &1, &self.window_calls);
        for (field, ratio) in [("failure_ratio", self.failure_ratio), ("slow_ratio", self.slow_ratio)] {
            let is_share = ratio.is_none_or(|ratio| ratio > 0.0 && ratio <= 1.0);
            check.that(is_share, field, || format!("{ratio:?} is no share above 0, to 1"));
        }
        check.range("slow_after", &self.slow_after, &tick, &Duration::from_secs(3_600));
        if let Some(calls) = self.minimum_calls {
            check.range("minimum_calls", &calls, &1, &self.window_calls);
        }
        check.range("window_calls", &self.window_calls, &1, &10_000);
        check.range("window", &self.window, &tick, &day);
        check.range("reset", &self.reset, &tick, &day);
        check.range("half_open_probes", &self.half_open_probes, &1, &1_000);
        check.range("success_threshold", &self.success_threshold, &1, &1_000);
        check.done()
    }

    pub(super) fn volume(&self) -> u32 {
        self.minimum_calls.unwrap_or(self.failure_threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_told_at_once() {
        let config = BreakerConfig {
            failure_threshold: 0,
            slow_ratio: Some(f64::NAN),
            reset: Duration::ZERO,
            half_open_probes: 0,
            ..BreakerConfig::default()
        };
        let error = config.validate().unwrap_err();
        let fields: Vec<_> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["failure_threshold", "slow_ratio", "reset", "half_open_probes"]);
        assert_eq!(BreakerConfig::default().validate(), Ok(()));
    }

    #[test]
    fn settings_are_written_as_people_write_them() {
        let config: BreakerConfig = toml::from_str("failure_threshold = 3\nreset = \"90s\"").unwrap();
        let expected = BreakerConfig {
            failure_threshold: 3,
            reset: Duration::from_secs(90),
            ..BreakerConfig::default()
        };
        assert_eq!(config, expected);
        assert_eq!(toml::from_str::<BreakerConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
        assert!(toml::from_str::<BreakerConfig>("reset_after = \"1s\"").is_err());
    }
}
