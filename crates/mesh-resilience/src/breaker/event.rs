//! What happens to a breaker, and what it makes of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Verdict;

/// Whether a breaker lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All calls pass.
    Closed,
    /// No call passes.
    Open,
    /// A few calls pass, to see whether the target is well again.
    HalfOpen,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// Too many calls failed.
    Failures,
    /// Too many calls were slow.
    SlowCalls,
    /// A probe failed.
    ProbeFailed,
    /// Enough probes succeeded.
    Recovered,
    /// It was open for as long as it stays open.
    ResetElapsed,
    /// Somebody who knows better says that the target is lost, as a supervisor that gave up on it.
    Tripped,
    /// An operator holds it in this state.
    Forced,
    /// An operator started it afresh.
    Reset,
}

/// What happens to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A call wants to pass.
    Acquire,
    /// A call that was let through is over.
    Finished {
        /// The generation that it was let through in.
        generation: u64,
        /// What it says about the target.
        verdict: Verdict,
        /// How long it took.
        took: Duration,
    },
    /// The target is known to be lost. Opens the breaker as if calls had failed just now.
    Trip,
    /// Opens it, and holds it open.
    ForceOpen,
    /// Closes it, and holds it closed.
    ForceClose,
    /// Closes it, forgets everything, and lets it go its own way again.
    Reset,
}

/// What a breaker makes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaction {
    /// The answer.
    pub decision: Decision,
    /// The change of state, if there was one.
    pub change: Option<Change>,
}

/// The answer to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The call passes. What comes of it must name this generation.
    Admitted {
        /// The current generation.
        generation: u64,
    },
    /// The call does not pass.
    Refused {
        /// When it may be worth asking again; `None` where nobody can know: an operator holds it open, or all probes
        /// are under way.
        retry_after: Option<Duration>,
    },
    /// The event was taken in.
    Noted,
    /// The result belongs to an older generation, and changed nothing.
    Stale,
}

/// One change of a breaker's state. Both are the same where it only began anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub why: Why,
}
