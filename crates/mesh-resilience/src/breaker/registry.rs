//! All breakers of a node, by name, and what other nodes say of theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::heard::Heard;
use super::{Breaker, BreakerConfig, Snapshot, State, TRANSITIONS_MAX, Transition};
use crate::ConfigError;
use crate::config::Check;

/// All breakers of a node, by name, and what other nodes say of theirs.
///
/// Clones are the same registry.
///
/// ```
/// use mesh_resilience::{Advice, BreakerConfig, Registry, RegistryConfig, State};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let breakers = Registry::new(RegistryConfig::default()).unwrap();
/// let search = breakers.breaker("search", &BreakerConfig::default()).unwrap();
/// breakers.learn("index", "beta", State::Open);
///
/// let mut targets = ["index", "search"];
/// targets.sort_by_key(|name| breakers.advice(name));
/// assert_eq!(targets, ["search", "index"]);
/// # });
/// ```
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    breakers_max: usize,
    breakers: Mutex<BTreeMap<String, Breaker>>,
    heard: Mutex<Heard>,
    transitions: broadcast::Sender<Transition>,
}

/// The bounds of a [`Registry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Breakers that may exist at once. 10,000; 1 to 1,000,000. Each costs about 1 KiB when its window is full.
    pub breakers_max: usize,
    /// States of other nodes' breakers that are remembered. 10,000; 0 to 1,000,000.
    pub heard_max: usize,
    /// For how long what another node said is believed. 2 min; 1 s to 24 h. Longer than the pause after which it is
    /// said again.
    #[serde(with = "crate::config::duration")]
    pub heard_for: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { breakers_max: 10_000, heard_max: 10_000, heard_for: Duration::from_secs(120) }
    }
}

impl RegistryConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut check = Check::default();
        check.range("breakers_max", &self.breakers_max, &1, &1_000_000);
        check.range("heard_max", &self.heard_max, &0, &1_000_000);
        check.range("heard_for", &self.heard_for, &Duration::from_secs(1), &Duration::from_secs(86_400));
        check.done()
    }
}

/// Why a registry gives no breaker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is a breaker of this name with other settings: two parts of the program disagree. Correct one of them.
    #[error("there is a circuit breaker {name} with other settings")]
    OtherConfig {
        /// The breaker's name.
        name: String,
    },
    /// The registry holds as many breakers as it may. [`remove`](Registry::remove) those that are of no more use.
    #[error("there are {breakers_max} circuit breakers already")]
    Full {
        /// As many there may be.
        breakers_max: usize,
    },
    /// The settings cannot be used.
    #[error("the settings of the circuit breaker {name} cannot be used")]
    Config {
        /// The breaker's name.
        name: String,
        /// What is wrong with them.
        source: ConfigError,
    },
}

/// Whether a target is worth a call, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// Its breaker is closed, here and wherever it was heard of.
    Prefer,
    /// It was not well, and waits for a call that finds out whether it is now.
    Probe,
    /// Its breaker is open, here or, where we know nothing ourselves, on another node.
    Avoid,
}

impl Registry {
    /// A registry without breakers.
    ///
    /// # Errors
    /// [`ConfigError`]: the bounds cannot be used.
    pub fn new(config: RegistryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            shared: Arc::new(Shared {
                breakers_max: config.breakers_max,
                breakers: Mutex::default(),
                heard: Mutex::new(Heard::new(config.heard_max, config.heard_for)),
                transitions: broadcast::Sender::new(TRANSITIONS_MAX),
            }),
        })
    }

    /// The breaker of this name, which is made if there is none.
    ///
    /// # Errors
    /// [`RegistryError::OtherConfig`], [`Full`](RegistryError::Full) or [`Config`](RegistryError::Config); nothing was
    /// changed.
    pub fn breaker(&self, name: &str, config: &BreakerConfig) -> Result<Breaker, RegistryError> {
        let mut breakers = self.shared.breakers.lock();
        if let Some(breaker) = breakers.get(name) {
            let is_same = breaker.config() == *config;
            return if is_same {
                Ok(breaker.clone())
            } else {
                Err(RegistryError::OtherConfig { name: name.to_owned() })
            };
        }
        let breakers_max = self.shared.breakers_max;
        if breakers.len() >= breakers_max {
            return Err(RegistryError::Full { breakers_max });
        }
        let transitions = self.shared.transitions.clone();
        let breaker = Breaker::with_transitions(name.to_owned(), config.clone(), transitions)
            .map_err(|source| RegistryError::Config { name: name.to_owned(), source })?;
        breakers.insert(name.to_owned(), breaker.clone());
        Ok(breaker)
    }

    /// The breaker of this name, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Breaker> {
        self.shared.breakers.lock().get(name).cloned()
    }

    /// Forgets the breaker of this name. Who holds it keeps it, and nobody else finds it.
    pub fn remove(&self, name: &str) -> Option<Breaker> {
        self.shared.breakers.lock().remove(name)
    }

    /// Forgets the breakers that know nothing that matters now: held by no operator and by no part of the program, and
    /// closed without a result in their window, or open for as long as they stay so. Returns how many. For who makes
    /// breakers by names that others choose.
    pub fn prune(&self) -> usize {
        let mut breakers = self.shared.breakers.lock();
        let before = breakers.len();
        breakers.retain(|_, breaker| {
            let is_in_use = Arc::strong_count(&breaker.shared) > 1;
            is_in_use || matches!(breaker.advice(), Some(Advice::Prefer | Advice::Avoid))
        });
        before - breakers.len()
    }

    /// All breakers as they are right now, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Snapshot> {
        // Taken out first: a snapshot locks its breaker, and one lock at a time is enough.
        let breakers: Vec<Breaker> = self.shared.breakers.lock().values().cloned().collect();
        breakers.iter().map(Breaker::snapshot).collect()
    }

    /// The changes of all its breakers from now on. A reader that is more than 256 behind misses the oldest, and is
    /// told so; [`list`](Self::list) then tells how things are.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.shared.transitions.subscribe()
    }

    /// Notes that the node `origin` says this of its breaker `name`. Returns whether it was noted: not while there is
    /// no room, or when a name is longer than 256 bytes.
    pub fn learn(&self, name: &str, origin: &str, state: State) -> bool {
        self.shared.heard.lock().learn(name, origin, state, Instant::now())
    }

    /// Forgets all that the node `origin` said: it is gone.
    pub fn forget(&self, origin: &str) {
        self.shared.heard.lock().forget_origin(origin);
    }

    /// Whether it has no breaker, and has heard of none: there is nothing to advise with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.breakers.lock().is_empty() && self.shared.heard.lock().is_empty()
    }

    /// What other nodes say of `name`, by node.
    #[must_use]
    pub fn heard(&self, name: &str) -> Vec<(String, State)> {
        let heard = self.shared.heard.lock();
        heard.of(name, Instant::now()).map(|(origin, state)| (origin.to_owned(), state)).collect()
    }

    /// Whether the target of this name is worth a call. What we saw ourselves counts first; where that is nothing,
    /// what others say. A router that always takes the best should give a [`Probe`](Advice::Probe) a call now and
    /// then, or nobody finds out that the target is well again.
    #[must_use]
    pub fn advice(&self, name: &str) -> Advice {
        let own = self.get(name).and_then(|breaker| breaker.advice());
        own.unwrap_or_else(|| {
            let heard = self.shared.heard.lock();
            let is_open = heard.of(name, Instant::now()).any(|(_, state)| state == State::Open);
            if is_open { Advice::Avoid } else { Advice::Prefer }
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breakers = self.shared.breakers.lock().len();
        f.debug_struct("Registry").field("breakers", &breakers).finish_non_exhaustive()
    }
}
