//! Circuit breakers: a target that fails is left alone for a while.
//!
//! ```text
//!            failures, or slow calls             reset elapsed
//!   closed ───────────────────────────► open ────────────────────► half-open
//!     ▲                                  ▲                          │     │
//!     │                                  └────── a probe failed ────┘     │
//!     └─────────────────────────────── enough probes succeeded ───────────┘
//! ```
//!
//! This module does not know what it guards, asks nobody about health by itself, and never waits.

mod config;
mod error;
mod event;
mod heard;
mod machine;
mod permit;
mod registry;
mod verdict;
mod view;
mod window;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time::Instant;

pub use config::BreakerConfig;
pub use error::{CircuitOpen, GuardedError};
pub use event::{Change, Decision, Event, Reaction, State, Why};
pub use machine::Machine;
pub use permit::Permit;
pub use registry::{Advice, Registry, RegistryConfig, RegistryError};
pub use verdict::{Classify, Verdict};
pub use view::View;

use crate::ConfigError;

/// Changes that a slow reader may be behind before it misses some.
const TRANSITIONS_MAX: usize = 256;

/// A circuit breaker, shared by all who call one target.
///
/// Clones are the same breaker. Guard a call in one line:
///
/// ```
/// # use mesh_resilience::{Breaker, BreakerConfig, Classify, Verdict};
/// # #[derive(Debug)] struct Failed;
/// # impl Classify for Failed { fn classify(&self) -> Verdict { Verdict::Failure } }
/// # async fn search(_: &str) -> Result<u32, Failed> { Ok(3) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let breaker = Breaker::new("search", BreakerConfig::default())?;
/// let found = breaker.call(search("tides")).await;
/// # assert_eq!(found.unwrap(), 3);
/// # Ok::<(), mesh_resilience::ConfigError>(())
/// # }).unwrap();
/// ```
///
/// A half-open breaker lets a probe's place go when the probe is over, and not before: what is guarded needs a
/// deadline.
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    machine: Mutex<Machine>,
    transitions: broadcast::Sender<Transition>,
}

/// One change of the state of one breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The breaker's name.
    pub name: String,
    /// The state before, the state now, and why.
    pub change: Change,
    /// When.
    pub at: Instant,
}

/// A breaker as it is right now, for people and for other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name.
    pub name: String,
    /// What there is to see of it.
    pub view: View,
}

impl Breaker {
    /// A closed breaker of this name, on its own. [`Registry::breaker`] makes them where they can be found.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(name: impl Into<String>, config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::with_transitions(name.into(), config, broadcast::Sender::new(TRANSITIONS_MAX))
    }

    fn with_transitions(
        name: String,
        config: BreakerConfig,
        transitions: broadcast::Sender<Transition>,
    ) -> Result<Self, ConfigError> {
        let machine = Mutex::new(Machine::new(config, Instant::now())?);
        Ok(Self { shared: Arc::new(Shared { name, machine, transitions }) })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Makes the call if the breaker lets it pass, and notes what its error says about the target.
    ///
    /// # Errors
    /// [`GuardedError::Open`] at once, without a begun call; or the call's own error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the call, which then says nothing about the target.
    pub async fn call<T, E: Classify>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, GuardedError<E>> {
        self.call_with(call, Classify::classify, Classify::code).await
    }

    /// The same for an error of somebody else's, of which `classify` knows what it means.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_as<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        classify: impl FnOnce(&E) -> Verdict,
    ) -> Result<T, GuardedError<E>> {
        self.call_with(call, classify, |_| "").await
    }

    async fn call_with<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        classify: impl FnOnce(&E) -> Verdict,
        code: impl FnOnce(&E) -> &str,
    ) -> Result<T, GuardedError<E>> {
        let permit = self.acquire()?;
        match call.await {
            Ok(value) => {
                permit.success();
                Ok(value)
            }
            Err(error) => {
                let is_excluded = self.excludes(code(&error));
                permit.record(if is_excluded { Verdict::Ignore } else { classify(&error) });
                Err(GuardedError::Failed(error))
            }
        }
    }

    /// Whether its settings say that errors with this code say nothing about the target.
    #[must_use]
    pub fn excludes(&self, code: &str) -> bool {
        !code.is_empty() && self.shared.machine.lock().config().excluded.iter().any(|word| word == code)
    }

    /// The right to make one call, for callers that tell themselves what came of it.
    ///
    /// # Errors
    /// [`CircuitOpen`], at once.
    pub fn acquire(&self) -> Result<Permit, CircuitOpen> {
        let now = Instant::now();
        let (decision, state) = self.apply(Event::Acquire, now);
        match decision {
            Decision::Admitted { generation } => Ok(Permit::new(self.clone(), generation, now)),
            Decision::Refused { retry_after } => Err(CircuitOpen::new(self.name(), state, retry_after)),
            Decision::Noted | Decision::Stale => unreachable!("who asks to pass is let through or refused"),
        }
    }

    /// Opens it as if calls had failed, since the target is known to be lost: a supervisor gave up on it. It lets
    /// probes through after its usual time from now. Changes nothing while an operator holds it.
    pub fn trip(&self) {
        self.apply(Event::Trip, Instant::now());
    }

    /// Opens it, and holds it open until [`force_close`](Self::force_close) or [`reset`](Self::reset).
    pub fn force_open(&self) {
        self.apply(Event::ForceOpen, Instant::now());
    }

    /// Closes it, and holds it closed, whatever fails, until [`force_open`](Self::force_open) or
    /// [`reset`](Self::reset).
    pub fn force_close(&self) {
        self.apply(Event::ForceClose, Instant::now());
    }

    /// Closes it, forgets all results, and lets it go its own way again.
    pub fn reset(&self) {
        self.apply(Event::Reset, Instant::now());
    }

    /// The state. An open breaker whose time is over stays open until a call asks to pass.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.machine.lock().state()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.shared.machine.lock().config().clone()
    }

    /// What there is to see of it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let view = self.shared.machine.lock().view(Instant::now());
        Snapshot { name: self.shared.name.clone(), view }
    }

    /// Its changes from now on. A reader that is more than 256 behind misses the oldest, and is told so. In a registry
    /// these are the changes of all its breakers.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.shared.transitions.subscribe()
    }

    fn apply(&self, event: Event, now: Instant) -> (Decision, State) {
        let mut machine = self.shared.machine.lock();
        let Reaction { decision, change } = machine.on(event, now);
        if let Some(change) = change {
            // Under the lock, so that changes are told in their order. Nobody has to listen.
            let transition = Transition { name: self.shared.name.clone(), change, at: now };
            let _ = self.shared.transitions.send(transition);
        }
        (decision, machine.state())
    }

    fn advice(&self) -> Option<Advice> {
        let mut machine = self.shared.machine.lock();
        let now = Instant::now();
        match machine.state() {
            State::Closed if machine.is_held() || machine.view(now).calls > 0 => Some(Advice::Prefer),
            State::Closed => None,
            State::Open | State::HalfOpen if machine.would_admit(now) => Some(Advice::Probe),
            State::Open | State::HalfOpen => Some(Advice::Avoid),
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name()).field("state", &self.state()).finish()
    }
}
