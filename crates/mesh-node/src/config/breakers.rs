use std::time::Duration;

use mesh::BreakerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, units};

/// When the circuit breakers of a node open and close: those of actors, and, but for slow calls, those of nodes. A breaker
/// that a program declares has that program's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct BreakerSettings {
    /// Failures in the window that open a breaker; 1 to window_calls.
    pub failure_threshold: u32,
    /// Share of the window's calls that must have failed besides; above 0, to 1. Default: none, so the number alone counts.
    #[schemars(example = 0.5)]
    pub failure_ratio: Option<f64>,
    /// Share of the window's calls that opens the breaker of an actor when they were slow, whether they failed or not;
    /// above 0, to 1. Default: none, so slowness is no failure. A slow actor is no slow node.
    #[schemars(example = 0.5)]
    pub slow_ratio: Option<f64>,
    /// From when on a call is slow; 1 ms to 1 h. Matters only with slow_ratio.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub slow_after: Duration,
    /// Results that the window must hold before anything opens the breaker; 1 to window_calls. Default: as many as
    /// failure_threshold.
    #[schemars(example = 5)]
    pub minimum_calls: Option<u32>,
    /// Results that are remembered of each target; 1 to 10000.
    pub window_calls: u32,
    /// How long a result is remembered; 1 ms to 1 day.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// How long a breaker stays open before it lets calls through that find out whether the target is well again; 1 ms to
    /// 1 day.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub reset: Duration,
    /// How many such calls may be under way at once; 1 to 1000.
    pub half_open_probes: u32,
    /// How many of them must succeed to close it; 1 to 1000. One that fails opens it again.
    pub success_threshold: u32,
    /// Codes of errors that say nothing about the target, such as "TIMEOUT".
    pub excluded: Vec<String>,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        let BreakerConfig {
            failure_threshold,
            failure_ratio,
            slow_ratio,
            slow_after,
            minimum_calls,
            window_calls,
            window,
            reset,
            half_open_probes,
            success_threshold,
            excluded,
        } = BreakerConfig::default();
        Self {
            failure_threshold,
            failure_ratio,
            slow_ratio,
            slow_after,
            minimum_calls,
            window_calls,
            window,
            reset,
            half_open_probes,
            success_threshold,
            excluded,
        }
    }
}

impl BreakerSettings {
    /// What they come to.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        BreakerConfig {
            failure_threshold: self.failure_threshold,
            failure_ratio: self.failure_ratio,
            slow_ratio: self.slow_ratio,
            slow_after: self.slow_after,
            minimum_calls: self.minimum_calls,
            window_calls: self.window_calls,
            window: self.window,
            reset: self.reset,
            half_open_probes: self.half_open_probes,
            success_threshold: self.success_threshold,
            excluded: self.excluded.clone(),
        }
    }

    pub(super) fn validate(&self) -> Vec<Problem> {
        let Err(error) = self.config().validate() else { return Vec::new() };
        let problems = error.problems.into_iter();
        problems.map(|one| Problem::new(format!("breakers.{}", one.field), one.problem)).collect()
    }
}
