//! What other nodes say of their breakers.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::State;

/// The longest name of a breaker or a node that is taken from others, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What other nodes said lately, bounded in number and in age.
#[derive(Debug)]
pub(super) struct Heard {
    entries_max: usize,
    age_max: Duration,
    /// By breaker, then by who says it.
    by_name: BTreeMap<String, BTreeMap<String, (State, Instant)>>,
    entries: usize,
}

impl Heard {
    pub(super) fn new(entries_max: usize, age_max: Duration) -> Self {
        Self { entries_max, age_max, by_name: BTreeMap::new(), entries: 0 }
    }

    /// Returns whether it was noted: not when there is no room, or a name is too long.
    pub(super) fn learn(&mut self, name: &str, origin: &str, state: State, now: Instant) -> bool {
        if name.len() > NAME_BYTES_MAX || origin.len() > NAME_BYTES_MAX {
            return false;
        }
        let is_known = self.by_name.get(name).is_some_and(|origins| origins.contains_key(origin));
        if !is_known && self.entries >= self.entries_max {
            self.forget_old(now);
        }
        if !is_known && self.entries >= self.entries_max {
            return false;
        }
        self.entries += usize::from(!is_known);
        self.by_name.entry(name.to_owned()).or_default().insert(origin.to_owned(), (state, now));
        true
    }

    /// Drops all that a node said: it is gone.
    pub(super) fn forget_origin(&mut self, origin: &str) {
        self.retain(|who, _| who != origin);
    }

    fn forget_old(&mut self, now: Instant) {
        let age_max = self.age_max;
        self.retain(|_, at| now.saturating_duration_since(at) <= age_max);
    }

    fn retain(&mut self, mut keep: impl FnMut(&str, Instant) -> bool) {
        self.by_name.retain(|_, origins| {
            origins.retain(|origin, (_, at)| keep(origin, *at));
            !origins.is_empty()
        });
        self.entries = self.by_name.values().map(BTreeMap::len).sum();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What is said of `name` and is not too old.
    pub(super) fn of(&self, name: &str, now: Instant) -> impl Iterator<Item = (&str, State)> {
        let fresh = move |at: Instant| now.saturating_duration_since(at) <= self.age_max;
        let said = self.by_name.get(name).into_iter().flatten();
        said.filter(move |(_, (_, at))| fresh(*at)).map(|(origin, (state, _))| (origin.as_str(), *state))
    }
}
