//! All actors of one process, and where they run.

mod thread;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all, ready};
use parking_lot::Mutex;
use ractor::ActorRuntime;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) use self::thread::Thread;
use crate::actor::{Actor, ExitReason, StartError};
use crate::actor_ref::ActorRef;
use crate::cell::Factory;
use crate::dead_letters::DeadLetters;
use crate::events::SupervisionEvent;
use crate::info::ActorInfo;
use crate::spec::ActorSpec;
use crate::supervisor::{Charge, Child, Event, Hatchery, Nursery, Supervision, Supervisor, Traits};
use crate::supervisor_ref::SupervisorRef;
use crate::supervisor_spec::{SupervisionError, SupervisorSpec};
use crate::tree::TreeNode;
use crate::watermark::Watermark;

/// How long killed actors get to come to their next await.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Where tasks run. A test gives one runtime, whose clock it may pause, for both.
#[derive(Clone, Debug)]
pub struct Runtimes {
    /// The network's thread: connections, the supervisor, and actors of [`Class::Trusted`](crate::Class::Trusted).
    pub network: Handle,
    /// The pool of threads: actors of [`Class::Pool`](crate::Class::Pool).
    pub pool: Handle,
}

impl Runtimes {
    /// The current runtime for everything.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn current() -> Self {
        Self { network: Handle::current(), pool: Handle::current() }
    }
}

/// The actors of one process, under one supervisor.
///
/// End it with [`shutdown`](Self::shutdown). Dropped without that, it kills its actors.
pub struct System {
    supervision: Supervision,
    supervising: Mutex<Option<JoinHandle<()>>>,
    nursery: Arc<Nursery>,
}

impl System {
    /// A system without actors. Its supervisor runs on the network's thread.
    pub fn new(runtimes: Runtimes) -> Self {
        let network = runtimes.network.clone();
        let nursery = Arc::new(Nursery::new(Hatchery::new(runtimes)));
        let _on_network = network.enter();
        let (supervisor, starting) = ActorRuntime::spawn_instant(None, Supervisor, Arc::clone(&nursery))
            .expect("only a name could be taken already, and the supervisor has none");
        let supervising = network.spawn(async move {
            if let Ok(Ok(task)) = starting.await {
                let _ = task.await;
            }
        });
        let supervising = Mutex::new(Some(supervising));
        let supervision = Supervision::new(supervisor, &nursery.hatchery);
        Self { supervision, supervising, nursery }
    }

    /// Spawns an actor that `make` makes, now and at each restart. Messages wait in its mailbox until it has started.
    ///
    /// After a shutdown, the actor is born stopped.
    pub fn spawn<A: Actor>(
        &self,
        spec: ActorSpec,
        mut make: impl FnMut() -> A + Send + 'static,
    ) -> ActorRef<A> {
        self.spawn_with(spec, move || ready(Ok(make())))
    }

    /// Spawns an actor whose making may wait or fail; it runs in the actor's task. A failure is a crash.
    pub fn spawn_with<A: Actor, F>(
        &self,
        spec: ActorSpec,
        mut open: impl FnMut() -> F + Send + 'static,
    ) -> ActorRef<A>
    where
        F: Future<Output = Result<A, StartError>> + Send + 'static,
    {
        self.adopt(spec, Arc::new(Mutex::new(move || open().boxed())))
    }

    /// Starts a supervisor with all its children, one after the other; returns before they have started.
    ///
    /// Under the root it is alone: when it gives up, it has ended for good.
    ///
    /// # Errors
    /// [`SupervisionError`]; nothing was started then.
    pub fn supervise(&self, spec: SupervisorSpec) -> Result<SupervisorRef, SupervisionError> {
        spec.check()?;
        let lineage = self.nursery.supervise(spec, &self.supervision)?;
        Ok(SupervisorRef::new(lineage, Arc::clone(&self.nursery), self.supervision.clone()))
    }

    /// Every actor that has not ended, in order of their spawning.
    pub fn list(&self) -> Vec<ActorInfo> {
        self.nursery.charges().iter().map(|charge| charge.info()).collect()
    }

    /// All actors and supervisors that have not ended, each under its supervisor; those that have none but the root in
    /// order of their spawning.
    pub fn tree(&self) -> Vec<TreeNode> {
        self.nursery.tree()
    }

    /// Hears of what happens in supervision from now on; one that is 1,024 events behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<SupervisionEvent> {
        self.nursery.hatchery.events.subscribe()
    }

    /// Hears of mailboxes that become nearly full, and that are so no more, from now on; one that is 256 behind misses the
    /// oldest.
    pub fn watermarks(&self) -> broadcast::Receiver<Watermark> {
        self.nursery.hatchery.watermarks.subscribe()
    }

    /// The messages that nobody will handle.
    pub fn dead_letters(&self) -> &Arc<DeadLetters> {
        self.supervision.dead_letters()
    }

    /// How many actors have not ended.
    pub fn len(&self) -> usize {
        self.nursery.len()
    }

    /// Whether every actor has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has every actor finish its mailbox, and waits for that until the timeout. New messages are refused.
    ///
    /// # Errors
    /// [`StillRunning`] names those that are not done; they go on.
    ///
    /// # Cancel safety
    /// Cancel safe: the order to drain stays.
    pub async fn drain(&self, limit: Duration) -> Result<(), StillRunning> {
        let charges = self.nursery.charges();
        charges.iter().for_each(|charge| charge.drain());
        StillRunning::after(&wait_for(&charges, limit).await)
    }

    /// Stops every actor after its message in hand, those under a supervisor in its order; kills those that need longer
    /// than `limit`, and waits for all tasks and threads.
    ///
    /// # Errors
    /// [`StillRunning`] names those that block their thread, so that not even a kill reaches them.
    ///
    /// # Cancel safety
    /// Dropped early, the actors still stop, but nobody waits for them or kills them.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), StillRunning> {
        self.nursery.close();
        let charges = self.nursery.charges();
        self.nursery.charges_of_root().iter().for_each(|charge| charge.stop());
        for tree in self.nursery.trees() {
            self.nursery.stop(tree.serial, Event::Shutdown, &self.supervision);
        }
        let slow = wait_for(&charges, limit).await;
        slow.iter().for_each(|charge| charge.kill());
        let stuck = wait_for(&slow, KILL_GRACE).await;
        self.supervision.stop();
        let supervising = self.supervising.lock().take();
        if let Some(supervising) = supervising {
            let _ = supervising.await;
        }
        let leavers = self.nursery.take_leavers();
        let until = Instant::now() + KILL_GRACE;
        let _ = timeout_at(until, join_all(leavers.tasks)).await;
        for thread in leavers.threads {
            let _ = timeout_at(until, thread.join()).await;
        }
        StillRunning::after(&stuck)
    }

    fn adopt<A: Actor>(&self, spec: ActorSpec, factory: Factory<A>) -> ActorRef<A> {
        let hatchery = &self.nursery.hatchery;
        let ActorSpec { name, mailbox, class, restart, pace, redeliver, on_crash, listing } = spec;
        let traits = Traits { name: &name, class, listing, redeliver };
        let mailbox = hatchery.mailbox::<A>(&self.supervision, traits, mailbox);
        match hatchery.hatch(mailbox.clone(), class, factory) {
            Ok(hatched) => {
                let child = Child::of_root(hatched, restart, pace, on_crash);
                if let Err(charge) = self.nursery.adopt(child, &self.supervision) {
                    charge.end(ExitReason::Stopped);
                }
            }
            Err((charge, error)) => {
                let reason = format!("cannot start its thread: {error}");
                charge.end(ExitReason::Crashed { reason, restarts: 0 });
            }
        }
        ActorRef::from(mailbox)
    }
}

/// Waits until all have ended, or the time is up; gives those that have not.
async fn wait_for(charges: &[Arc<dyn Charge>], limit: Duration) -> Vec<Arc<dyn Charge>> {
    let all = charges.iter().map(|charge| -> BoxFuture<'static, ExitReason> { Arc::clone(charge).stopped() });
    if timeout(limit, join_all(all)).await.is_ok() {
        return Vec::new();
    }
    charges.iter().filter(|charge| !charge.has_ended()).cloned().collect()
}

impl Drop for System {
    fn drop(&mut self) {
        self.nursery.close();
        for charge in self.nursery.charges() {
            charge.kill();
            // The supervisor would say so, but it ends now.
            charge.end(ExitReason::Killed);
        }
        // They are of messages, which may hold whatever their users like.
        self.dead_letters().clear();
        self.nursery.uproot();
        self.supervision.stop();
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("actors", &self.len()).finish_non_exhaustive()
    }
}

/// Some actors did not end in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running: {}", names.join(", "))]
pub struct StillRunning {
    /// Their names.
    pub names: Vec<String>,
}

impl StillRunning {
    fn after(rest: &[Arc<dyn Charge>]) -> Result<(), Self> {
        if rest.is_empty() {
            return Ok(());
        }
        Err(Self { names: rest.iter().map(|charge| charge.name().to_owned()).collect() })
    }
}
