//! The time of an inbox: what has expired stays so, whatever is done to the machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since 1970 that never go back: neither while it runs, nor behind what the store has seen.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    began_ms: i64,
}

impl Clock {
    /// `seen_ms` is the latest time that is known to have been.
    pub(super) fn behind(seen_ms: i64) -> Self {
        Self { began: Instant::now(), began_ms: wall_ms().max(seen_ms) }
    }

    pub(super) fn now_ms(&self) -> i64 {
        let since = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        // A machine that slept has a monotonic clock that slept too.
        self.began_ms.saturating_add(since).max(wall_ms())
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_bring_time_back() {
        let later = wall_ms() + 3_600_000;
        assert!(Clock::behind(later).now_ms() >= later);
        assert!(Clock::behind(0).now_ms() >= later - 3_600_000);
    }
}
