//! How long a call may wait, and for what.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{ModelError, TimeoutPhase, Timeouts};

/// The limits of one call, counted from its beginning.
pub(super) struct Limits {
    timeouts: Timeouts,
    began: Instant,
    deadline: Option<Instant>,
}

impl Limits {
    pub(super) fn new(timeouts: Timeouts, deadline: Option<Instant>) -> Self {
        Self { timeouts, began: Instant::now(), deadline }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for `work` until the limit of `phase`, of the whole call or of its deadline, whichever is first.
    pub(super) async fn within<T>(
        &self,
        phase: TimeoutPhase,
        work: impl Future<Output = T>,
    ) -> Result<T, ModelError> {
        let (at, phase, after) = self.first_to_pass(phase);
        let passed = || ModelError::Timeout { phase, after };
        // `timeout_at` asks the work first: a server that never pauses would never meet its limit.
        if at <= Instant::now() {
            return Err(passed());
        }
        timeout_at(at, work).await.map_err(|_| passed())
    }

    fn first_to_pass(&self, phase: TimeoutPhase) -> (Instant, TimeoutPhase, Duration) {
        let from = |start: Instant, phase, after| (start + after, phase, after);
        let now = match phase {
            TimeoutPhase::Idle => from(Instant::now(), phase, self.timeouts.idle),
            _ => from(self.began, TimeoutPhase::FirstByte, self.timeouts.first_byte),
        };
        let whole = from(self.began, TimeoutPhase::Whole, self.timeouts.whole);
        let deadline =
            self.deadline.map(|at| (at, TimeoutPhase::Deadline, at.saturating_duration_since(self.began)));
        let of_server = if whole.0 < now.0 { whole } else { now };
        match deadline {
            Some(deadline) if deadline.0 < of_server.0 => deadline,
            _ => of_server,
        }
    }
}

/// A day: long for any model, and short enough that adding it to an [`Instant`] cannot overflow.
const TIMEOUT_MAX: Duration = Duration::from_hours(24);

pub(super) fn check(timeouts: &Timeouts) -> Result<(), ModelError> {
    let Timeouts { connect, first_byte, idle, whole } = *timeouts;
    let all = [("connect", connect), ("first_byte", first_byte), ("idle", idle), ("whole", whole)];
    for (key, limit) in all {
        if limit.is_zero() || limit > TIMEOUT_MAX {
            let reason = format!("a timeout is more than zero and at most a day, not {limit:?}");
            return Err(ModelError::Misconfigured { key, reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Timeouts = Timeouts {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_secs(10),
        idle: Duration::from_secs(3),
        whole: Duration::from_secs(12),
    };

    async fn outcome(limits: &Limits, phase: TimeoutPhase) -> ModelError {
        limits.within(phase, std::future::pending::<()>()).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_the_limit_that_passes_first() {
        let limits = Limits::new(SHORT, None);
        let timeout = |phase, secs| ModelError::Timeout { phase, after: Duration::from_secs(secs) };
        assert_eq!(outcome(&limits, TimeoutPhase::FirstByte).await, timeout(TimeoutPhase::FirstByte, 10));
        assert_eq!(limits.elapsed().as_secs(), 10);
        assert_eq!(outcome(&limits, TimeoutPhase::Idle).await, timeout(TimeoutPhase::Whole, 12));
        assert_eq!(limits.elapsed().as_secs(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_limit_counts_from_the_wait_not_from_the_last_byte() {
        let limits = Limits::new(SHORT, None);
        tokio::time::advance(Duration::from_secs(5)).await;
        let idle = ModelError::Timeout { phase: TimeoutPhase::Idle, after: SHORT.idle };
        assert_eq!(outcome(&limits, TimeoutPhase::Idle).await, idle);
        assert_eq!(limits.elapsed().as_secs(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_ends_even_work_that_is_ready() {
        let limits = Limits::new(SHORT, Some(Instant::now()));
        let late = limits.within(TimeoutPhase::FirstByte, std::future::ready(())).await;
        let passed = ModelError::Timeout { phase: TimeoutPhase::Deadline, after: Duration::ZERO };
        assert_eq!(late, Err(passed));
    }

    #[test]
    fn a_timeout_of_zero_is_refused_by_name() {
        let error = check(&Timeouts { idle: Duration::ZERO, ..SHORT }).unwrap_err();
        assert!(matches!(error, ModelError::Misconfigured { key: "idle", .. }), "{error:?}");
        check(&Timeouts::default()).unwrap();
    }
}
