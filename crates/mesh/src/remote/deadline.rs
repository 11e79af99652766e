//! One deadline for all of a message, and what is said when it has passed.

use mesh_actor::AskError;
use tokio::time::{Instant, timeout_at};

/// The error of a message that had no time left before anything of it was sent.
pub(crate) fn expired(path: &(impl ToString + ?Sized)) -> AskError {
    AskError::DeadlineExceeded { path: path.to_string(), budget_ms: 0, may_have_run: false }
}

/// Whether there is no time at all for a message.
pub(crate) fn is_expired(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| at <= Instant::now())
}

/// Runs `work` until the deadline.
pub(crate) async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, AskError>>,
    late: impl FnOnce() -> AskError,
) -> Result<T, AskError> {
    match deadline {
        Some(at) => timeout_at(at, work).await.unwrap_or_else(|_elapsed| Err(late())),
        None => work.await,
    }
}

pub(crate) fn elapsed_ms(started: Instant, deadline: Option<Instant>) -> u64 {
    let budget = deadline.map_or(0, |at| at.saturating_duration_since(started).as_millis());
    u64::try_from(budget).unwrap_or(u64::MAX)
}
