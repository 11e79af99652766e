//! All limiters of a node, by key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{LimitConfig, LimitView, Limiter};
use crate::ConfigError;

/// All limiters of a node, by key: one for each account at each provider.
///
/// A key is a name that may be shown, such as `anthropic/team-a`, and never the secret itself. Clones are the same.
///
/// ```
/// use mesh_resilience::{LimitConfig, Limiters, Rate};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let limiters = Limiters::new(100);
/// let config = LimitConfig { requests: Some(Rate::per_second(5)), ..LimitConfig::default() };
/// let limiter = limiters.limiter("anthropic/team-a", &config)?;
/// assert_eq!(limiters.list().len(), 1);
/// # Ok::<(), mesh_resilience::LimitersError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Limiters {
    limiters_max: usize,
    limiters: Arc<Mutex<BTreeMap<String, Limiter>>>,
}

/// Why there is no limiter for a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitersError {
    /// There is a limiter for this key with other settings: two parts of the program disagree. Correct one of them.
    #[error("there is a limiter for {key} with other settings")]
    OtherConfig {
        /// The key.
        key: String,
    },
    /// There are as many limiters as may be. [`remove`](Limiters::remove) those that are of no more use.
    #[error("there are {limiters_max} limiters already")]
    Full {
        /// As many there may be.
        limiters_max: usize,
    },
    /// The settings cannot be used.
    #[error("the settings of the limiter for {key} cannot be used")]
    Config {
        /// The key.
        key: String,
        /// What is wrong with them.
        source: ConfigError,
    },
}

impl Limiters {
    /// No limiters yet, and at most so many at once.
    #[must_use]
    pub fn new(limiters_max: usize) -> Self {
        Self { limiters_max, limiters: Arc::default() }
    }

    /// The limiter for this key, which is made if there is none.
    ///
    /// # Errors
    /// [`LimitersError`]; nothing was changed.
    pub fn limiter(&self, key: &str, config: &LimitConfig) -> Result<Limiter, LimitersError> {
        let mut limiters = self.limiters.lock();
        match limiters.get(key) {
            Some(limiter) if limiter.config() == config => return Ok(limiter.clone()),
            Some(_) => return Err(LimitersError::OtherConfig { key: key.to_owned() }),
            None if limiters.len() >= self.limiters_max => {
                return Err(LimitersError::Full { limiters_max: self.limiters_max });
            }
            None => {}
        }
        let limiter = Limiter::new(config.clone())
            .map_err(|source| LimitersError::Config { key: key.to_owned(), source })?;
        limiters.insert(key.to_owned(), limiter.clone());
        Ok(limiter)
    }

    /// The limiter for this key, if there is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Limiter> {
        self.limiters.lock().get(key).cloned()
    }

    /// Forgets the limiter for this key. Who holds it keeps it, and nobody else finds it.
    pub fn remove(&self, key: &str) -> Option<Limiter> {
        self.limiters.lock().remove(key)
    }

    /// All limiters as they are right now, by key.
    #[must_use]
    pub fn list(&self) -> Vec<(String, LimitView)> {
        // Taken out first: a view locks its limiter, and one lock at a time is enough.
        let limiters = self.limiters.lock().clone();
        limiters.into_iter().map(|(key, limiter)| (key, limiter.view())).collect()
    }
}

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiters").field("limiters", &self.limiters.lock().len()).finish_non_exhaustive()
    }
}
