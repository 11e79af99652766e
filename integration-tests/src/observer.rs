use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::Process;

/// A moment that all processes of this machine agree on: the time since 1970.
pub type Moment = Duration;

/// This moment.
///
/// # Panics
/// On a machine that lives before 1970.
#[must_use]
pub fn moment() -> Moment {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970")
}

/// A client that stays with one node: it looks every 20 ms at what members and names the node knows, and asks one actor
/// as often, without waiting for earlier asks.
#[derive(Debug)]
pub struct Observer {
    at: String,
    process: Process,
}

/// One ask of an [`Observer`] that has ended.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its place in the order of asks, from 0.
    pub number: u64,
    /// When it was begun.
    pub at: Moment,
    /// How long it took.
    pub took: Duration,
    /// The error's code, if it failed.
    pub error: Option<String>,
}

impl Asked {
    /// When it had ended.
    #[must_use]
    pub fn ended(&self) -> Moment {
        self.at + self.took
    }
}

impl Observer {
    pub(crate) fn new(at: &str, process: Process) -> Self {
        Self { at: at.to_owned(), process }
    }

    /// The node that it asks.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Every state that the node gave `member`, with the moment it was first seen and the member's id.
    #[must_use]
    pub fn states(&self, member: &str) -> Vec<(Moment, String, String)> {
        let mut states: Vec<(Moment, String, String)> = Vec::new();
        for line in self.lines() {
            let row = &line["members"][member];
            let (Some(state), Some(id)) = (row[0].as_str(), row[1].as_str()) else { continue };
            if states.last().is_none_or(|(_, last, last_id)| (last.as_str(), last_id.as_str()) != (state, id))
            {
                states.push((moment_of(&line["at"]), state.to_owned(), id.to_owned()));
            }
        }
        states
    }

    /// Each member and the state that the node gives it now.
    #[must_use]
    pub fn members(&self) -> BTreeMap<String, String> {
        let state = |row: &Value| row[0].as_str().unwrap_or("missing").to_owned();
        let rows = self.last("members").as_object().cloned().unwrap_or_default();
        rows.into_iter().map(|(name, row)| (name, state(&row))).collect()
    }

    /// Each published name and the node that owns it, as the node has it now.
    #[must_use]
    pub fn names(&self) -> Value {
        self.last("names")
    }

    /// Every ask that has ended.
    #[must_use]
    pub fn asks(&self) -> Vec<Asked> {
        let asked = |line: &Value| {
            Some(Asked {
                number: line["ask"].as_u64()?,
                at: moment_of(&line["at"]),
                took: moment_of(&line["took"]),
                error: line["error"].as_str().map(str::to_owned),
            })
        };
        self.lines().iter().filter_map(asked).collect()
    }

    /// The first success among the asks that had ended after `since`.
    #[must_use]
    pub fn first_answer(&self, since: Moment) -> Option<Asked> {
        let asks = self.asks().into_iter();
        asks.filter(|ask| ask.error.is_none() && ask.ended() > since).min_by_key(Asked::ended)
    }

    fn last(&self, what: &str) -> Value {
        self.lines()
            .into_iter()
            .rev()
            .find_map(|mut line| line.get_mut(what).map(Value::take))
            .unwrap_or_default()
    }

    /// # Panics
    /// If it has ended: its node could not be asked.
    fn lines(&self) -> Vec<Value> {
        let said = self.process.stderr();
        assert!(said.is_empty(), "the observer of {} has ended: {said}", self.at);
        let text = self.process.stdout();
        // The last line may still be on its way.
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn moment_of(micros: &Value) -> Moment {
    Duration::from_micros(micros.as_u64().unwrap_or_default())
}
