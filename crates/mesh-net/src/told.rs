//! How often something is told that peers can make happen as often as they like.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Told one by one: 10 in 10 s. The next one that is told says how many were not.
const TOLD_MAX: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// Keeps a log from growing as fast as somebody knocks.
pub(crate) struct Told {
    state: Mutex<State>,
}

struct State {
    since: Instant,
    count: u32,
    untold: u64,
}

impl Told {
    /// How many were not told before this one; `None` if this one is not to be told either.
    pub(crate) fn next(&self) -> Option<u64> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if now.duration_since(state.since) >= PERIOD {
            (state.since, state.count) = (now, 0);
        }
        if state.count >= TOLD_MAX {
            state.untold += 1;
            return None;
        }
        state.count += 1;
        Some(std::mem::take(&mut state.untold))
    }
}

impl Default for Told {
    fn default() -> Self {
        Self { state: Mutex::new(State { since: Instant::now(), count: 0, untold: 0 }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_by_its_first_and_then_by_its_number() {
        let (told, start) = (Told::default(), Instant::now());
        let seen = (0..100).filter(|_| told.at(start) == Some(0)).count();
        assert_eq!(seen, 10);
        assert_eq!(told.at(start + PERIOD), Some(90));
    }
}
