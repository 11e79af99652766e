//! Supervisors and their children as data.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt, ready};
use parking_lot::Mutex;

use crate::actor::{Actor, StartError};
use crate::cell::Factory;
use crate::spec::{ActorSpec, Restart};
use crate::strategy::{AutoShutdown, Shutdown, Strategy};
use crate::supervisor::{Hatch, Pace};

/// A supervisor: its children in the order of their start, and what it does when one of them ends.
///
/// It starts each child when the one before has started; if one does not start, it stops those before in reverse
/// order and ends. It restarts them by its [`Strategy`] and their [`Restart`]. When it would have to restart more often
/// than its intensity allows, it stops all of them in reverse order and gives up; then its own supervisor
/// decides, by the rules for a child that ended in order (as in OTP, only a `Permanent` supervisor is started again).
///
/// ```
/// use std::time::Duration;
/// use mesh_actor::{Actor, ActorSpec, ChildSpec, Runtimes, Strategy, SupervisorSpec, System};
///
/// struct Index;
/// impl Actor for Index {}
/// struct Search;
/// impl Actor for Search {}
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let system = System::new(Runtimes::current());
/// let library = SupervisorSpec::new("library")
///     .strategy(Strategy::RestForOne)
///     .intensity(3, Duration::from_secs(60))
///     .child(ChildSpec::actor(ActorSpec::new("index"), || Index))
///     .child(ChildSpec::actor(ActorSpec::new("search"), || Search));
/// let library = system.supervise(library)?;
/// let search = library.child::<Search>("search").expect("it is in the spec");
/// # assert_eq!(search.path(), "search");
/// # Ok::<(), mesh_actor::SupervisionError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    pub(crate) name: String,
    pub(crate) strategy: Strategy,
    pub(crate) pace: Pace,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// A supervisor of this name, without children: one_for_one, at most 5 restarts in 10 s.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            strategy: Strategy::default(),
            pace: Pace::default(),
            auto_shutdown: AutoShutdown::default(),
            children: Vec::new(),
        }
    }

    /// Its name: what trees and logs call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who is restarted with a child that has to be; [`Strategy::OneForOne`] by default.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// It gives up when it would restart more than `restarts` times within `period`; 5 in 10 s by default.
    ///
    /// A group that is restarted together counts once.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.pace.restarts_max = restarts;
        self.pace.period = period;
        self
    }

    /// The pause before the second restart in a period, and the longest; 50 ms and 5 s by default. As
    /// [`ActorSpec::backoff`], for all children together.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.pace.backoff_first = first;
        self.pace.backoff_max = longest;
        self
    }

    /// Whether it ends when its significant children have; [`AutoShutdown::Never`] by default.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// One more child, to be started after those before.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// # Errors
    /// What of the spec, or of one below it, cannot be.
    pub(crate) fn check(&self) -> Result<(), SupervisionError> {
        let supervisor = || self.name.clone();
        if self.strategy == Strategy::SimpleOneForOne && !self.children.is_empty() {
            return Err(SupervisionError::NotSimple { supervisor: supervisor() });
        }
        let mut names = HashSet::new();
        for child in &self.children {
            if !names.insert(child.name()) {
                let child = child.name().to_owned();
                return Err(SupervisionError::NameTaken { supervisor: supervisor(), child });
            }
            child.check(&self.name, self.auto_shutdown)?;
        }
        Ok(())
    }
}

/// One child of a supervisor: an actor, or another supervisor.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) is_significant: bool,
    pub(crate) make: Make,
}

#[derive(Clone)]
pub(crate) enum Make {
    Actor(ActorSpec, Arc<dyn Hatch>),
    Supervisor(SupervisorSpec),
}

impl ChildSpec {
    /// An actor that `make` makes, at its start and at each restart. It has 5 s to stop.
    ///
    /// When it is restarted is said by its spec's [`ActorSpec::restart`]; how often, and after which pause, by the
    /// supervisor.
    pub fn actor<A: Actor>(spec: ActorSpec, mut make: impl FnMut() -> A + Send + 'static) -> Self {
        Self::actor_with(spec, move || ready(Ok(make())))
    }

    /// An actor whose making may wait or fail; it runs in the actor's task. A failure is one to start.
    pub fn actor_with<A: Actor, F>(spec: ActorSpec, mut open: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<A, StartError>> + Send + 'static,
    {
        let factory: Factory<A> = Arc::new(Mutex::new(move || open().boxed()));
        Self {
            restart: spec.restart,
            shutdown: Shutdown::ACTOR,
            is_significant: false,
            make: Make::Actor(spec, Arc::new(factory)),
        }
    }

    /// Another supervisor: `Permanent`, and with as much time to stop as its children need.
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        Self {
            restart: Restart::Permanent,
            shutdown: Shutdown::Infinity,
            is_significant: false,
            make: Make::Supervisor(spec),
        }
    }

    /// Its name, unique among its supervisor's children.
    pub fn name(&self) -> &str {
        match &self.make {
            Make::Actor(spec, _) => spec.name(),
            Make::Supervisor(spec) => spec.name(),
        }
    }

    /// When it is started again.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long it may take to stop before it is killed; 5 s for an actor, without end for a supervisor by default.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Has its supervisor end with it, as its [`AutoShutdown`] says. For children that are not `Permanent`.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.is_significant = true;
        self
    }

    /// # Errors
    /// It cannot be a child of this supervisor, or what is below it cannot be.
    pub(crate) fn check(&self, parent: &str, auto_shutdown: AutoShutdown) -> Result<(), SupervisionError> {
        let is_useless = self.restart == Restart::Permanent || auto_shutdown == AutoShutdown::Never;
        if self.is_significant && is_useless {
            let (supervisor, child) = (parent.to_owned(), self.name().to_owned());
            return Err(SupervisionError::NotSignificant { supervisor, child });
        }
        match &self.make {
            Make::Actor(..) => Ok(()),
            Make::Supervisor(spec) => spec.check(),
        }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ChildSpec");
        shown.field("name", &self.name()).field("restart", &self.restart).field("shutdown", &self.shutdown);
        match &self.make {
            Make::Actor(..) => shown.finish_non_exhaustive(),
            Make::Supervisor(spec) => shown.field("supervisor", spec).finish(),
        }
    }
}

/// Why a supervisor, or a child, was not taken in. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisionError {
    /// The supervisor has a child of that name. The caller's mistake.
    #[error("{supervisor} has a child {child} already")]
    NameTaken {
        /// The supervisor.
        supervisor: String,
        /// The name.
        child: String,
    },
    /// A significant child is one that is not `Permanent`, of a supervisor that ends with such children. The caller's
    /// mistake.
    #[error(
        "{child} of {supervisor} cannot be significant: it is permanent, or the supervisor never ends by itself"
    )]
    NotSignificant {
        /// The supervisor.
        supervisor: String,
        /// The child.
        child: String,
    },
    /// The children of a simple_one_for_one supervisor are added one by one, when it runs. The caller's mistake.
    #[error("{supervisor} is simple_one_for_one, and its spec names no children")]
    NotSimple {
        /// The supervisor.
        supervisor: String,
    },
    /// The supervisor has ended or is about to, or the system has shut down.
    #[error("supervisor {supervisor} is not running")]
    NotRunning {
        /// The supervisor.
        supervisor: String,
    },
}
