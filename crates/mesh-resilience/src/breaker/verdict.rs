//! What a result says about the target that gave it.

/// What a call says about the health of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target did its part.
    Success,
    /// The target is not well.
    Failure,
    /// Nothing: the caller gave up, asked for something wrong, or was asked to slow down.
    Ignore,
}

impl Verdict {
    /// What an HTTP status says: 5xx and 408 are failures of the server. 429 is no failure, it belongs to the
    /// limiter; nor is another 4xx, which is the caller's own mistake.
    #[must_use]
    pub fn of_http_status(status: u16) -> Self {
        match status {
            408 | 500..=599 => Self::Failure,
            400..=499 => Self::Ignore,
            _ => Self::Success,
        }
    }
}

/// An error that says itself what it means for its target.
///
/// ```
/// use mesh_resilience::{Classify, Verdict};
///
/// enum CallError { Status(u16), Cancelled }
///
/// impl Classify for CallError {
///     fn classify(&self) -> Verdict {
///         match self {
///             Self::Status(status) => Verdict::of_http_status(*status),
///             Self::Cancelled => Verdict::Ignore,
///         }
///     }
/// }
/// assert_eq!(CallError::Status(429).classify(), Verdict::Ignore);
/// ```
pub trait Classify {
    /// What this error says about its target.
    fn classify(&self) -> Verdict;

    /// A stable word for the error, which settings can exclude; empty for none.
    fn code(&self) -> &str {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn a_429_belongs_to_the_limiter_and_not_to_the_breaker() {
        assert_eq!(Verdict::of_http_status(429), Verdict::Ignore);
        for (status, verdict) in [
            (200, Verdict::Success),
            (404, Verdict::Ignore),
            (408, Verdict::Failure),
            (503, Verdict::Failure),
            (529, Verdict::Failure),
        ] {
            assert_eq!(Verdict::of_http_status(status), verdict, "{status}");
        }
    }
}
