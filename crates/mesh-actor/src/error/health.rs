//! What an error says about the health of whom was asked, and whether to ask again.

use mesh_resilience::{CircuitOpen, Classify, Retry, Retryable, Verdict};

use super::{AskError, RemoteFailure};

/// What an ask that failed says about its actor, and about the actor's node.
///
/// | code | the actor | its node |
/// |---|---|---|
/// | `NO_SUCH_ACTOR`, `NOT_RUNNING`, `STOPPED` | failure: it is gone, or crashed | success: it answered |
/// | `TIMEOUT` | failure | nothing: the handler may be slow |
/// | `UNREACHABLE`, `NO_SUCH_NODE` | nothing: it was not asked | failure |
/// | `UNKNOWN_KIND` | nothing | success: it answered |
/// | `MAILBOX_FULL` | nothing: that is for limiters, and for whoever sends too much | nothing |
/// | `CANCELLED`, `UNCONFIRMED` | nothing: the caller withdrew it | nothing |
/// | `BAD_PATH`, `BAD_MESSAGE`, `TOO_LARGE`, `DENIED`, `ANSWERS_WITH_STREAM`, `BAD_NAME`, `NAME_TAKEN` | nothing: the caller's mistake | nothing |
/// | `CANNOT_SPAWN`, `VERSION` | nothing: an operator's affair | nothing |
/// | `CIRCUIT_OPEN` | nothing: it was not asked | nothing |
/// | any other, told by another node | failure if it is to be tried with a backoff; one that names its pause, as a 429 does, is for limiters | nothing |
impl AskError {
    /// What it says about the actor that was asked.
    pub fn verdict_on_actor(&self) -> Verdict {
        match self {
            Self::NoSuchActor { .. }
            | Self::NotRunning { .. }
            | Self::Stopped { .. }
            | Self::DeadlineExceeded { .. } => Verdict::Failure,
            Self::Remote { failure } => verdict_of_remote(failure),
            _ => Verdict::Ignore,
        }
    }

    /// What it says about that actor's node.
    pub fn verdict_on_node(&self) -> Verdict {
        match self {
            Self::Unreachable { .. } | Self::NoSuchNode { .. } => Verdict::Failure,
            Self::NoSuchActor { .. }
            | Self::NotRunning { .. }
            | Self::Stopped { .. }
            | Self::UnknownKind { .. } => Verdict::Success,
            _ => Verdict::Ignore,
        }
    }
}

fn verdict_of_remote(failure: &RemoteFailure) -> Verdict {
    match failure.retry {
        Retry::Backoff => Verdict::Failure,
        Retry::Never | Retry::After(_) => Verdict::Ignore,
    }
}

/// For a breaker that guards the actor and the way to it together.
impl Classify for AskError {
    fn classify(&self) -> Verdict {
        match (self.verdict_on_actor(), self.verdict_on_node()) {
            (Verdict::Failure, _) | (_, Verdict::Failure) => Verdict::Failure,
            _ => Verdict::Ignore,
        }
    }

    fn code(&self) -> &str {
        self.code()
    }
}

/// For a [`RetryPolicy`](mesh_resilience::RetryPolicy). Unlike [`AskError::retry`] it never sends again what may have run:
/// for a message that may run twice, or that goes under an id, give [`AskError::retry`] itself.
impl Retryable for AskError {
    fn retry(&self) -> Retry {
        if self.may_have_run() { Retry::Never } else { Self::retry(self) }
    }
}

impl From<CircuitOpen> for AskError {
    fn from(open: CircuitOpen) -> Self {
        Self::CircuitOpen { name: open.name, state: open.state, retry_after: open.retry_after }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mesh_resilience::State;

    use super::*;

    const PATH: fn() -> String = || "beta/echo".to_owned();

    fn remote(retry: Retry) -> AskError {
        let failure = RemoteFailure {
            code: "SOMETHING_NEW".to_owned(),
            message: String::new(),
            retry,
            may_have_run: false,
            whole: Arc::new(()),
        };
        AskError::Remote { failure }
    }

    #[test]
    fn a_full_mailbox_a_429_and_the_callers_own_mistakes_open_no_breaker() {
        let full = AskError::MailboxFull { path: PATH(), len: 1, capacity: 1, oldest_ms: 0 };
        let denied = AskError::Denied { path: PATH(), reason: String::new() };
        let cancelled = AskError::Cancelled { path: PATH() };
        for error in [full, denied, cancelled, remote(Retry::After(Duration::from_secs(7)))] {
            let verdicts = (error.verdict_on_actor(), error.verdict_on_node(), error.classify());
            assert_eq!(verdicts, (Verdict::Ignore, Verdict::Ignore, Verdict::Ignore), "{error}");
        }
        assert_eq!(remote(Retry::Backoff).classify(), Verdict::Failure);
    }

    #[test]
    fn a_lost_node_is_no_fault_of_its_actor_and_a_crash_none_of_the_node() {
        let lost = AskError::Unreachable { node: "beta".to_owned(), may_have_run: false };
        assert_eq!((lost.verdict_on_actor(), lost.verdict_on_node()), (Verdict::Ignore, Verdict::Failure));
        let crashed = AskError::Stopped { path: PATH() };
        assert_eq!(
            (crashed.verdict_on_actor(), crashed.verdict_on_node()),
            (Verdict::Failure, Verdict::Success)
        );
    }

    #[test]
    fn what_may_have_run_is_not_sent_again_by_itself() {
        let unsent = AskError::Unreachable { node: "beta".to_owned(), may_have_run: false };
        assert_eq!(Retryable::retry(&unsent), Retry::Backoff);
        let sent = AskError::Unreachable { node: "beta".to_owned(), may_have_run: true };
        assert_eq!((sent.retry(), Retryable::retry(&sent)), (Retry::Backoff, Retry::Never));
    }

    #[test]
    fn an_open_breaker_says_when_to_come_again() {
        let open = |state, retry_after| AskError::CircuitOpen { name: PATH(), state, retry_after };
        let pause = Duration::from_secs(40);
        let timed = open(State::Open, Some(pause));
        assert_eq!(
            (timed.code(), timed.retry(), timed.may_have_run()),
            ("CIRCUIT_OPEN", Retry::After(pause), false)
        );
        assert_eq!(timed.to_string(), "the circuit breaker of beta/echo is open, for 40.0 s more");
        assert_eq!(open(State::HalfOpen, None).retry(), Retry::Backoff);
        assert_eq!(open(State::Open, None).retry(), Retry::Never);
    }
}
