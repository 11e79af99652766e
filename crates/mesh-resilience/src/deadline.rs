//! The moment until which something is worth waiting for.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The moment until which something is worth waiting for. It only ever comes nearer.
///
/// One deadline covers a whole piece of work: every wait on the way down gets what is left of it, and none gets a fresh
/// timeout. Between machines the [`remaining`](Self::remaining) time travels, since their clocks differ.
///
/// ```
/// # use std::time::Duration;
/// use mesh_resilience::Deadline;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// let deadline = Deadline::after(Duration::from_secs(2));
/// assert_eq!(deadline.timeout(async { 42 }).await, Ok(42));
///
/// let step = deadline.within(Duration::from_millis(500));
/// let late = step.timeout(std::future::pending::<()>()).await.unwrap_err();
/// assert_eq!(late.budget, Duration::from_millis(500));
/// assert_eq!(deadline.remaining(), Duration::from_millis(1_500));
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
}

/// What stands for a moment that no clock reaches.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl Deadline {
    /// The moment `budget` from now; one of more than 30 years counts as 30 years.
    #[must_use]
    pub fn after(budget: Duration) -> Self {
        Self { at: Instant::now() + budget.min(FAR), budget }
    }

    /// The moment `at`, with what remains until then as its budget.
    #[must_use]
    pub fn at(at: Instant) -> Self {
        Self { at, budget: at.saturating_duration_since(Instant::now()) }
    }

    /// The moment itself.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.at
    }

    /// How much time there was when it was set.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// How much time is left; zero when it is past.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether no time is left.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The nearer of two deadlines.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// The deadline of a part of the work: `limit` from now, or this one if it is nearer.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        self.min(Self::after(limit))
    }

    /// Waits for `work` until the deadline. What is late already is not even begun.
    ///
    /// # Errors
    /// [`DeadlineExceeded`]: the deadline passed, and `work` was dropped.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`.
    pub async fn timeout<F: Future>(self, work: F) -> Result<F::Output, DeadlineExceeded> {
        if self.is_past() {
            return Err(self.exceeded());
        }
        timeout_at(self.at, work).await.map_err(|_| self.exceeded())
    }

    pub(crate) fn exceeded(&self) -> DeadlineExceeded {
        DeadlineExceeded { budget: self.budget }
    }
}

/// A deadline passed: nobody's fault by itself. What was waited for was dropped, and may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {}", humantime::format_duration(*budget))]
#[non_exhaustive]
pub struct DeadlineExceeded {
    /// How much time there was when the deadline was set.
    pub budget: Duration,
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_only_comes_nearer() {
        let deadline = Deadline::after(2 * SECOND);
        assert_eq!(deadline.within(5 * SECOND), deadline);
        assert_eq!(deadline.min(Deadline::after(SECOND)).remaining(), SECOND);
        advance(SECOND).await;
        assert_eq!(deadline.within(5 * SECOND).remaining(), SECOND);
        advance(2 * SECOND).await;
        assert!(deadline.is_past());
        assert!(deadline.within(5 * SECOND).is_past());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_tells_the_time_that_it_had() {
        let deadline = Deadline::after(2 * SECOND);
        advance(SECOND).await;
        let late = deadline.timeout(pending::<()>()).await.unwrap_err();
        assert_eq!(late.to_string(), "not done within 2s");
        assert!(deadline.is_past());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_already_is_not_begun() {
        let deadline = Deadline::after(Duration::ZERO);
        let mut has_run = false;
        let work = async { has_run = true };
        assert_eq!(deadline.timeout(work).await, Err(DeadlineExceeded { budget: Duration::ZERO }));
        assert!(!has_run);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_beyond_every_clock_is_no_panic() {
        assert_eq!(Deadline::after(Duration::MAX).timeout(ready(1)).await, Ok(1));
    }
}
