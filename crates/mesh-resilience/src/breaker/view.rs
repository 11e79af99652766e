//! A breaker as it is right now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::State;

/// What there is to see of a breaker, for people and for other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct View {
    /// The state.
    pub state: State,
    /// Whether an operator holds it in that state.
    pub is_held: bool,
    /// How often something began anew: a change of state, or a reset.
    pub generation: u64,
    /// For how long it has been in that state, in milliseconds.
    pub since_ms: u64,
    /// How long it stays open yet, in milliseconds; `None` unless it is open, and not held so.
    pub retry_after_ms: Option<u64>,
    /// Results in the window.
    pub calls: u32,
    /// Failures in the window.
    pub failures: u32,
    /// Slow calls in the window; always 0 without `slow_ratio`.
    pub slow: u32,
    /// Probes that are under way.
    pub probes: u32,
    /// Probes that succeeded since it is half-open.
    pub probe_successes: u32,
    /// Calls that were refused since it exists.
    pub rejected: u64,
    /// How often it has opened since it exists.
    pub opened: u64,
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
