//! One caller that waits for a limit.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::queue::Key;
use super::{Ahead, Cost, LimitError, Limiter, Reservation, not_in_time};
use crate::Deadline;

/// A place in the queue, which is left when this is dropped.
pub(super) struct Place {
    limiter: Limiter,
    key: Key,
    cost: Cost,
    bell: Arc<Notify>,
    since: Instant,
}

/// What a caller sees who looks whether it is its turn.
pub(super) enum Look {
    Passed(Reservation),
    /// Look again when the bell rings, and then at the latest.
    Wait(Instant),
}

impl Place {
    pub(super) fn new(limiter: Limiter, key: Key, cost: Cost, bell: Arc<Notify>, since: Instant) -> Self {
        Self { limiter, key, cost, bell, since }
    }

    pub(super) fn bell(&self) -> &Notify {
        &self.bell
    }

    pub(super) fn look(&mut self, deadline: &Deadline) -> Result<Look, LimitError> {
        let now = Instant::now();
        let mut state = self.limiter.at(now);
        let is_first = state.queue.is_first(self.key);
        let short = if is_first {
            // What is left of the money may have gone to others meanwhile.
            state.ledger.check(&self.cost)?;
            state.ledger.shortfall(&self.cost, &Ahead::default())
        } else {
            // What those ahead need was looked at on entering; only the target's own word may have changed it.
            state.ledger.penalty()
        };
        let remaining = deadline.remaining();
        let needs = short.and_then(|short| short.needs);
        if is_first && short.is_none() && !remaining.is_zero() {
            return Ok(Look::Passed(self.limiter.pass(&mut state, self.cost)));
        }
        if remaining.is_zero() || needs > Some(remaining) {
            let short = short.or_else(|| state.ledger.shortfall(&self.cost, &Ahead::default()));
            return Err(not_in_time(short, now.saturating_duration_since(self.since)));
        }
        let wake = needs.filter(|_| is_first).map(|needs| now + needs);
        Ok(Look::Wait(wake.map_or(deadline.instant(), |wake| wake.min(deadline.instant()))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limiter.shared.state.lock().queue.leave(self.key);
    }
}
