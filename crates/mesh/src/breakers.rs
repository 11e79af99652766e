//! Circuit breakers on the mesh: who is not well is not asked, by nobody, until it is well again.
//!
//! ```text
//!  Guard ── asks the breaker of the actor, `beta/echo`, and that of its node, `node:beta`
//!    ├── both let it pass ──▶ the message; what comes of it is told to both
//!    └── one is open ──────▶ CIRCUIT_OPEN at once, or the next of several targets
//!  changes ── on the topic `mesh/breakers` ──▶ NODE/mesh of all others, whose routers then prefer other targets
//! ```
//!
//! Each node judges by what it saw itself: what another node says moves its routers ([`Breakers::advice`]), and opens none of
//! its breakers. There is one exception: an actor's own node knows that its supervisor gave up on it, and is believed
//! everywhere.
//!
//! This module tries nothing again, and asks nobody about health by itself.

use crate::mesh::Mesh;
use mesh_actor::AskError;
use mesh_proto::ActorPath;
use mesh_resilience::{
    Advice, Breaker, BreakerConfig, Registry, RegistryConfig, RegistryError, Snapshot, State, Transition,
};
use std::sync::Arc;
use tokio::sync::broadcast;

mod guard;
mod news;
mod pass;
mod targets;

pub use guard::Guard;
pub(crate) use news::{BreakerNews, TOPIC, learn, tell_others, word};
pub(crate) use pass::Pass;
pub(crate) use targets::{advice_on, pass_on};

/// What the breaker of a node is called, before the node's name. No path has a colon.
const OF_NODE: &str = "node:";

/// The circuit breakers of one process: one for each actor and each node that it calls through a [`Guard`]. Clones are the
/// same.
///
/// ```no_run
/// # use mesh::{Mesh, WireMessage};
/// # async fn ask<Question: WireMessage>(mesh: Mesh, question: Question) -> Result<(), Box<dyn std::error::Error>> {
/// let researcher = mesh.guarded::<Question>("beta/researcher")?;
/// let answer = researcher.ask(question).await; // CIRCUIT_OPEN at once after five failures
/// if mesh.breakers().is_open("beta/researcher") { /* … ask another one … */ }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Breakers {
    registry: Registry,
    /// For actors, where nothing else was declared.
    config: Arc<BreakerConfig>,
}

impl Breakers {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        let registry = Registry::new(RegistryConfig::default()).expect("the defaults are in their ranges");
        Self { registry, config: Arc::new(config) }
    }

    /// All of them, with what other nodes say of theirs: by `node/actor`, and by `node:NAME` for nodes.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Gives the breaker of an actor (`node/name`) or of a node (`node:NAME`) settings of its own, before it is first
    /// called. Otherwise it has those of the node's configuration.
    ///
    /// # Errors
    /// [`RegistryError`]: it has other settings already, or these cannot be used. Nothing was changed.
    pub fn declare(&self, name: &str, config: &BreakerConfig) -> Result<Breaker, RegistryError> {
        self.registry.breaker(name, config)
    }

    /// Whether a call of the actor at `path` (`node/name`) is worth it, as far as its breaker, that of its node and
    /// what other nodes say tell: for routers, which sort their targets by it.
    #[must_use]
    pub fn advice(&self, path: &str) -> Advice {
        let of_actor = self.registry.advice(path);
        of_node(path).map_or(of_actor, |node| of_actor.max(self.registry.advice(&node)))
    }

    /// Whether there is nothing to advise with: no breaker here, and nothing heard of one.
    pub(crate) fn know_nothing(&self) -> bool {
        self.registry.is_empty()
    }

    /// Whether the actor at `path` (`node/name`) is not to be asked now.
    #[must_use]
    pub fn is_open(&self, path: &str) -> bool {
        self.advice(path) == Advice::Avoid
    }

    /// All of them as they are now, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Snapshot> {
        self.registry.list()
    }

    /// Their changes from now on; one that is 256 behind misses the oldest, and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.registry.subscribe()
    }

    /// The breaker of this name, which is made if there is none; `None` where there are as many as may be, and all know
    /// something.
    pub(crate) fn named(&self, name: &str) -> Option<Breaker> {
        if let Some(known) = self.registry.get(name) {
            return Some(known);
        }
        let of_nodes;
        let config = if name.starts_with(OF_NODE) {
            // A slow actor is no slow node.
            of_nodes = BreakerConfig { slow_ratio: None, ..(*self.config).clone() };
            &of_nodes
        } else {
            &*self.config
        };
        match self.registry.breaker(name, config) {
            Err(RegistryError::Full { .. }) if self.registry.prune() > 0 => {
                self.registry.breaker(name, config).ok()
            }
            // Somebody was faster, and had other settings in mind.
            Err(RegistryError::OtherConfig { .. }) => self.registry.get(name),
            made => made.ok(),
        }
    }

    /// The breaker of this name, for an operator.
    ///
    /// # Errors
    /// [`AskError`]: that is no name of a breaker, or there are too many.
    pub(crate) fn checked(&self, name: &str) -> Result<Breaker, AskError> {
        let path = name.strip_prefix(OF_NODE).unwrap_or(name);
        path.parse::<ActorPath>().map_err(|error| AskError::BadPath { reason: error.to_string() })?;
        let full =
            || AskError::Denied { path: name.to_owned(), reason: "there are too many breakers".to_owned() };
        self.named(name).ok_or_else(full)
    }

    /// A supervisor gave up on the actor at `path`.
    pub(crate) fn given_up(&self, path: &str) {
        if let Some(breaker) = self.named(path) {
            breaker.trip();
        }
    }

    /// What was seen of a target before is no longer true: there is a new actor, or a new connection. An operator's hold
    /// stays.
    pub(crate) fn renewed(&self, name: &str) {
        let Some(breaker) = self.registry.get(name) else { return };
        let view = breaker.snapshot().view;
        if view.state != State::Closed && !view.is_held {
            breaker.reset();
        }
    }
}

/// The name of the breaker of a path's node.
fn of_node(path: &str) -> Option<String> {
    path.split_once('/').map(|(node, _)| format!("{OF_NODE}{node}"))
}

impl Mesh {
    /// The circuit breakers of this process.
    #[must_use]
    pub fn breakers(&self) -> &Breakers {
        &self.shared().breakers
    }
}
