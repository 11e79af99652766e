//! What came of all attempts.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{Retry, Retryable};

/// What came of all attempts together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<T, E> {
    /// The value, or why there is none.
    pub result: Result<T, RetryError<E>>,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Time spent in pauses between them.
    pub waited: Duration,
}

/// All attempts failed, or no more were worth making.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryError<E> {
    /// Why there was no further attempt.
    pub gave_up: GaveUp,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Time spent in pauses between them.
    pub waited: Duration,
    /// The last error; `None` only if the first attempt was cut off by the deadline.
    pub last: Option<E>,
}

/// Why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// The error says that another attempt would fail, too.
    NotRetryable,
    /// As many attempts were made as are allowed.
    Attempts,
    /// There is no time for the next pause, or the deadline passed during an attempt, which was dropped.
    Deadline,
    /// Too many calls of this target are retries already.
    Budget,
    /// Trying again is for the layer above.
    Nested,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRetryable => "another would fail, too",
            Self::Attempts => "no more are allowed",
            Self::Deadline => "no time is left for another",
            Self::Budget => "too many calls to this target are retries already",
            Self::Nested => "trying again is for the layer above",
        })
    }
}

impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempts, gave_up) = (self.attempts, self.gave_up);
        let ending = if attempts == 1 { "" } else { "s" };
        write!(f, "failed after {attempts} attempt{ending}: {gave_up}")
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.as_ref().map(|error| error as _)
    }
}

/// An error that was retried in vain is final for the layers above: only one layer retries.
impl<E: Retryable> Retryable for RetryError<E> {
    fn retry(&self) -> Retry {
        match (&self.last, self.gave_up) {
            (Some(error), GaveUp::Nested) => error.retry(),
            _ => Retry::Never,
        }
    }
}
