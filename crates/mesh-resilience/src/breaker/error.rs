//! What a caller hears of a breaker.

use std::time::Duration;

use super::State;

/// The breaker let the call not pass: its target was not well lately. The call was not begun, and nobody waited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker of {name} is open{}", hint(*retry_after))]
#[non_exhaustive]
pub struct CircuitOpen {
    /// The breaker's name.
    pub name: String,
    /// Open, or half-open with all its probes under way.
    pub state: State,
    /// When it may be worth asking again; `None` where nobody can know: an operator holds it open, or all probes are
    /// under way.
    pub retry_after: Option<Duration>,
}

impl CircuitOpen {
    /// The refusal of the breaker `name`, as it was or as another process told it.
    #[must_use]
    pub fn new(name: &str, state: State, retry_after: Option<Duration>) -> Self {
        Self { name: name.to_owned(), state, retry_after }
    }
}

fn hint(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |pause| format!(", for {:.1} s more", pause.as_secs_f64()))
}

/// Why a guarded call brought no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardedError<E> {
    /// It was not begun, since the breaker is open. Ask another target, or later.
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    /// It was made, and failed by itself.
    #[error("{0}")]
    Failed(E),
}

impl<E> GuardedError<E> {
    /// The call's own error, if it was made.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Open(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}
