//! Whether an attempt at an item is followed by another.

use std::time::Duration;

use mesh::{AskError, Retry, RetryHint};

use crate::agent::Refusal;
use crate::workflow::ItemError;

/// Attempts at one item, the first included.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// The pause before the second attempt where nobody says how long; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// The mesh lost the agent, or never reached it.
    Mesh(AskError),
    /// The agent is well, its model is not.
    Agent(Refusal),
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The node runs no agents, or lacks what they need: a model. That is no attempt.
    Unfit,
    /// The node or the agent is lost: again at once, elsewhere.
    Elsewhere,
    /// Again after this pause.
    Later(Duration),
    /// The item has failed.
    Final,
}

impl Failure {
    /// What to do after `attempt` attempts at the item at `index`.
    pub(super) fn verdict(&self, attempt: u32, index: usize) -> Verdict {
        let verdict = match self {
            Self::Mesh(error) => of_mesh(error, attempt, index),
            Self::Agent(refusal) => of_agent(refusal, attempt, index),
        };
        if attempt >= ATTEMPTS_MAX && verdict != Verdict::Unfit { Verdict::Final } else { verdict }
    }

    /// Whether a model may have been asked.
    pub(super) fn may_have_run(&self) -> bool {
        match self {
            Self::Mesh(error) => error.may_have_run(),
            Self::Agent(refusal) => refusal.may_have_run,
        }
    }

    /// Whether the whole of it may succeed later.
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Agent(refusal) => refusal.retry,
            Self::Mesh(error) => match error.retry() {
                RetryHint::Never => Retry::Never,
                RetryHint::After(pause) => Retry::AfterMs(crate::millis(pause)),
                RetryHint::Backoff => Retry::Backoff,
            },
        }
    }

    pub(super) fn error(&self) -> ItemError {
        match self {
            Self::Mesh(error) => ItemError::new(error.code(), error.to_string()),
            Self::Agent(refusal) => ItemError::new(refusal.code.as_str(), refusal.message.as_str()),
        }
    }
}

fn of_mesh(error: &AskError, attempt: u32, index: usize) -> Verdict {
    match error {
        AskError::UnknownKind { .. } | AskError::Denied { .. } | AskError::CannotSpawn { .. } => {
            Verdict::Unfit
        }
        // An agent's work is a call of a model, which does no harm when it is made twice.
        AskError::Unreachable { .. }
        | AskError::NoSuchNode { .. }
        | AskError::NoSuchActor { .. }
        | AskError::Stopped { .. }
        | AskError::NotRunning { .. } => Verdict::Elsewhere,
        AskError::DeadlineExceeded { .. } => Verdict::Final,
        other => match other.retry() {
            RetryHint::After(pause) => Verdict::Later(pause),
            RetryHint::Backoff => Verdict::Later(pause(attempt, index)),
            RetryHint::Never => Verdict::Final,
        },
    }
}

fn of_agent(refusal: &Refusal, attempt: u32, index: usize) -> Verdict {
    match refusal.retry {
        Retry::Never => Verdict::Final,
        Retry::AfterMs(pause) => Verdict::Later(Duration::from_millis(pause)),
        Retry::Backoff => Verdict::Later(pause(attempt, index)),
    }
}

/// Items that fail together do not come back together: each waits a little longer than the one before it.
fn pause(attempt: u32, index: usize) -> Duration {
    let eighths = u32::try_from(index % 8).unwrap_or_default();
    let doubled = PAUSE * 2u32.pow(attempt.saturating_sub(1).min(6));
    doubled + doubled * eighths / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(retry: Retry) -> Failure {
        let (code, message) = ("MODEL_FAILED".to_owned(), "no".to_owned());
        Failure::Agent(Refusal { code, message, retry, may_have_run: true })
    }

    #[test]
    fn a_lost_agent_is_replaced_elsewhere_twice() {
        let lost = Failure::Mesh(AskError::Unreachable { node: "beta".to_owned(), may_have_run: true });
        assert_eq!(lost.verdict(1, 0), Verdict::Elsewhere);
        assert_eq!(lost.verdict(2, 0), Verdict::Elsewhere);
        assert_eq!(lost.verdict(3, 0), Verdict::Final);
    }

    #[test]
    fn a_model_that_says_when_is_asked_then_and_one_that_says_never_is_not() {
        assert_eq!(refusal(Retry::AfterMs(7_000)).verdict(1, 0), Verdict::Later(Duration::from_secs(7)));
        assert_eq!(refusal(Retry::Never).verdict(1, 0), Verdict::Final);
    }

    #[test]
    fn pauses_double_and_differ_from_item_to_item() {
        assert_eq!(refusal(Retry::Backoff).verdict(1, 0), Verdict::Later(Duration::from_millis(500)));
        assert_eq!(refusal(Retry::Backoff).verdict(2, 0), Verdict::Later(Duration::from_secs(1)));
        assert_eq!(refusal(Retry::Backoff).verdict(1, 4), Verdict::Later(Duration::from_millis(750)));
        assert_eq!(refusal(Retry::Backoff).verdict(3, 0), Verdict::Final);
    }

    #[test]
    fn a_node_without_a_model_costs_no_attempt() {
        let (path, reason) = ("beta/runs/1".to_owned(), "node beta has no model".to_owned());
        let nothing = Failure::Mesh(AskError::CannotSpawn { path, reason });
        assert_eq!(nothing.verdict(3, 0), Verdict::Unfit);
        assert!(!nothing.may_have_run());
    }
}
