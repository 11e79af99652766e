//! Why a model gave no answer, or not all of it.

use std::fmt;
use std::time::Duration;

use mesh_resilience::{Classify, Retry, Retryable, Verdict};

use crate::Rounded;

/// Why a model gave no answer, or not all of it.
///
/// Events that came before the error stay valid as what they are: the beginning of an answer. No variant holds the
/// prompt or the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing answers at the address, or its certificate is not trusted. Nothing was sent. Start the server, or
    /// correct the address.
    #[error("no model server answers at {url}: {reason}")]
    Unreachable {
        /// The address, without its query.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The server was too slow. It may have worked on the request, and has been told to stop by closing the
    /// connection. Try again, or allow more time.
    #[error("the model server exceeded its {phase} limit of {}", Rounded(*after))]
    Timeout {
        /// What was waited for.
        phase: TimeoutPhase,
        /// The limit.
        after: Duration,
    },
    /// The server understood the request and refused it. 4xx: the key, the model's name or the request is wrong,
    /// except 408, 409 and 429. 5xx: the server's own fault.
    #[error("the model server answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The server's explanation, at most 500 characters, without the key.
        message: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server reported a failure of its own after it had begun to answer. What has come is incomplete.
    #[error("the model server failed while answering: {message} ({kind})")]
    Reported {
        /// The server's word for it, as `overloaded_error`.
        kind: String,
        /// The server's explanation, at most 500 characters, without the key.
        message: String,
    },
    /// What came is not what the protocol or the request says: the address may belong to some other service.
    #[error("the model server's answer cannot be read: {reason}")]
    BadReply {
        /// What is wrong with it.
        reason: String,
    },
    /// The connection ended before the answer did. What has come is incomplete.
    #[error("the model server's answer was cut short: {reason}")]
    Truncated {
        /// What the network said.
        reason: String,
    },
    /// The settings or the request can't work. Nothing was sent; correct what `key` names.
    #[error("{key}: {reason}")]
    Misconfigured {
        /// The setting or the part of the request, as `base_url`.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ModelError {
    /// Whether and when the same request may succeed.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Status { retry_after: Some(pause), status, .. } if is_transient(*status) => {
                Retry::After(*pause)
            }
            Self::Status { status, .. } if is_transient(*status) => Retry::Backoff,
            Self::Timeout { phase: TimeoutPhase::Deadline, .. }
            | Self::Status { .. }
            | Self::BadReply { .. }
            | Self::Misconfigured { .. } => Retry::Never,
            Self::Reported { kind, .. } if is_callers_fault(kind) => Retry::Never,
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Reported { .. }
            | Self::Truncated { .. } => Retry::Backoff,
        }
    }

    /// Whether the server may have worked on the request. False is a promise: it never got it.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable { .. }
                | Self::Misconfigured { .. }
                | Self::Timeout { phase: TimeoutPhase::Connect, .. }
        )
    }

    /// A stable word for programs, as `MODEL_TIMEOUT`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "MODEL_UNREACHABLE",
            Self::Timeout { .. } => "MODEL_TIMEOUT",
            Self::Status { status: 429, .. } => "MODEL_RATE_LIMITED",
            Self::Status { status: 401 | 403, .. } => "MODEL_UNAUTHORIZED",
            Self::Status { .. } => "MODEL_REFUSED",
            Self::Reported { .. } => "MODEL_FAILED",
            Self::BadReply { .. } => "MODEL_BAD_REPLY",
            Self::Truncated { .. } => "MODEL_TRUNCATED",
            Self::Misconfigured { .. } => "MODEL_MISCONFIGURED",
        }
    }
}

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}

/// Anthropic's and OpenAI's words for a request that will never do.
fn is_callers_fault(kind: &str) -> bool {
    matches!(
        kind,
        "invalid_request_error"
            | "authentication_error"
            | "permission_error"
            | "not_found_error"
            | "request_too_large"
            | "billing_error"
            | "insufficient_quota"
            | "BadRequestError"
    )
}

/// What a caller was waiting for when a limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The connection, TLS included.
    Connect,
    /// The first byte of the answer.
    FirstByte,
    /// The next piece of an answer that has begun.
    Idle,
    /// The end of the answer.
    Whole,
    /// The end of the answer, by the deadline of the request itself.
    Deadline,
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::FirstByte => "first byte",
            Self::Idle => "idle",
            Self::Whole => "whole call",
            Self::Deadline => "deadline",
        })
    }
}

/// For a breaker: 429 and whatever names its pause belong to the limiter, another 4xx is the caller's own mistake, and a
/// deadline of the caller says nothing about the server.
impl Classify for ModelError {
    fn classify(&self) -> Verdict {
        match self {
            Self::Status { status, .. } => Verdict::of_http_status(*status),
            Self::Reported { kind, .. } if is_callers_fault(kind) || is_limiters(kind) => Verdict::Ignore,
            Self::Timeout { phase: TimeoutPhase::Deadline, .. } | Self::Misconfigured { .. } => {
                Verdict::Ignore
            }
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Reported { .. }
            | Self::BadReply { .. }
            | Self::Truncated { .. } => Verdict::Failure,
        }
    }

    fn code(&self) -> &str {
        self.code()
    }
}

/// For a [`RetryPolicy`](mesh_resilience::RetryPolicy).
impl Retryable for ModelError {
    fn retry(&self) -> Retry {
        self.retry()
    }
}

/// The providers' words for a 429.
fn is_limiters(kind: &str) -> bool {
    matches!(kind, "rate_limit_error" | "rate_limit_exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<Duration>) -> ModelError {
        ModelError::Status { status, message: "no".to_owned(), retry_after }
    }

    #[test]
    fn a_busy_server_is_tried_again_when_it_says_so() {
        let pause = Duration::from_secs(7);
        assert_eq!(status(429, Some(pause)).retry(), Retry::After(pause));
        assert_eq!(status(529, None).retry(), Retry::Backoff);
    }

    #[test]
    fn a_wrong_request_is_not_tried_again_whatever_the_server_says() {
        assert_eq!(status(400, Some(Duration::from_secs(1))).retry(), Retry::Never);
        let reported = |kind: &str| ModelError::Reported { kind: kind.to_owned(), message: String::new() };
        assert_eq!(reported("invalid_request_error").retry(), Retry::Never);
        assert_eq!(reported("overloaded_error").retry(), Retry::Backoff);
    }

    #[test]
    fn a_deadline_of_the_caller_is_final_but_a_slow_server_is_not() {
        let timeout = |phase| ModelError::Timeout { phase, after: Duration::from_secs(1) };
        assert_eq!(timeout(TimeoutPhase::Deadline).retry(), Retry::Never);
        assert_eq!(timeout(TimeoutPhase::Idle).retry(), Retry::Backoff);
    }

    #[test]
    fn what_never_got_to_the_server_did_not_run() {
        let timeout = |phase| ModelError::Timeout { phase, after: Duration::from_secs(1) };
        let unreachable = ModelError::Unreachable { url: String::new(), reason: String::new() };
        assert!(!unreachable.may_have_run());
        assert!(!timeout(TimeoutPhase::Connect).may_have_run());
        assert!(timeout(TimeoutPhase::FirstByte).may_have_run());
        assert!(status(503, None).may_have_run());
    }

    #[test]
    fn a_limit_is_told_as_people_read_times() {
        let after = Duration::from_nanos(59_494_525_123);
        let error = ModelError::Timeout { phase: TimeoutPhase::Deadline, after };
        assert_eq!(error.to_string(), "the model server exceeded its deadline limit of 59.5s");
    }

    #[test]
    fn a_429_belongs_to_the_limiter_and_a_bad_request_to_its_caller() {
        assert_eq!(status(429, None).classify(), Verdict::Ignore);
        assert_eq!(status(401, None).classify(), Verdict::Ignore);
        assert_eq!(status(503, None).classify(), Verdict::Failure);
        let reported = |kind: &str| ModelError::Reported { kind: kind.to_owned(), message: String::new() };
        assert_eq!(reported("rate_limit_error").classify(), Verdict::Ignore);
        assert_eq!(reported("overloaded_error").classify(), Verdict::Failure);
    }

    #[test]
    fn the_code_tells_a_bad_key_from_a_bad_request() {
        assert_eq!(status(401, None).code(), "MODEL_UNAUTHORIZED");
        assert_eq!(status(404, None).code(), "MODEL_REFUSED");
        assert_eq!(status(429, None).code(), "MODEL_RATE_LIMITED");
    }
}
