//! All actors of one process, and where they run.

mod thread;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all, ready};
use parking_lot::Mutex;
use ractor::{ActorRef as TaskRef, ActorRuntime};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) use self::thread::Thread;
use crate::actor::{Actor, ExitReason, StartError};
use crate::actor_ref::ActorRef;
use crate::cell::{Cell, Factory, Seat};
use crate::info::ActorInfo;
use crate::life::Life;
use crate::mailbox::Mailbox;
use crate::spec::{ActorSpec, Class};
use crate::supervisor::{Charge, Child, Nursery, Order, Started, Supervision, Supervisor};

/// How long killed actors get to come to their next await.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Where tasks run. A test gives one runtime, whose clock it may pause, for both.
#[derive(Clone, Debug)]
pub struct Runtimes {
    /// The network's thread: connections, the supervisor, and actors of [`Class::Trusted`].
    pub network: Handle,
    /// The pool of threads: actors of [`Class::Pool`].
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
    runtimes: Runtimes,
    supervisor: TaskRef<Order>,
    supervising: Mutex<Option<JoinHandle<()>>>,
    nursery: Arc<Nursery>,
    spawned: AtomicU64,
}

impl System {
    /// A system without actors. Its supervisor runs on the network's thread.
    pub fn new(runtimes: Runtimes) -> Self {
        let nursery = Arc::new(Nursery::default());
        let _on_network = runtimes.network.enter();
        let (supervisor, starting) = ActorRuntime::spawn_instant(None, Supervisor, Arc::clone(&nursery))
            .expect("only a name could be taken already, and the supervisor has none");
        let supervising = runtimes.network.spawn(async move {
            if let Ok(Ok(task)) = starting.await {
                let _ = task.await;
            }
        });
        let supervising = Mutex::new(Some(supervising));
        Self { runtimes, supervisor, supervising, nursery, spawned: AtomicU64::new(0) }
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

    /// Every actor that has not ended, in order of their spawning.
    pub fn list(&self) -> Vec<ActorInfo> {
        self.nursery.charges().iter().map(|charge| charge.info()).collect()
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

    /// Stops every actor after its message in hand, kills those that need longer than `limit`, and waits for all
    /// tasks and threads.
    ///
    /// # Errors
    /// [`StillRunning`] names those that block their thread, so that not even a kill reaches them.
    ///
    /// # Cancel safety
    /// Dropped early, the actors still stop, but nobody waits for them or kills them.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), StillRunning> {
        self.nursery.close();
        let charges = self.nursery.charges();
        charges.iter().for_each(|charge| charge.stop());
        let slow = wait_for(&charges, limit).await;
        slow.iter().for_each(|charge| charge.kill());
        let stuck = wait_for(&slow, KILL_GRACE).await;
        self.supervisor.stop(None);
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
        let ActorSpec { name, mailbox, class, policy, listing } = spec;
        let serial = self.spawned.fetch_add(1, Ordering::Relaxed) + 1;
        let supervision = Supervision(self.supervisor.clone());
        let life = Life::new(serial, name.as_str().into(), class, listing, supervision);
        let mailbox = Mailbox::new(life, mailbox);
        let charge: Arc<dyn Charge> = Arc::<crate::mailbox::Inner<A>>::clone(mailbox.inner());
        let (runtime, thread) = match self.place(class, &name) {
            Ok(place) => place,
            Err(error) => {
                let reason = format!("cannot start its thread: {error}");
                charge.end(ExitReason::Crashed { reason, restarts: 0 });
                return ActorRef::from(mailbox);
            }
        };
        let seated = mailbox.clone();
        let child = Child::new(charge, policy, thread, move |supervisor| {
            let seat = Seat { mailbox: seated.clone(), factory: Arc::clone(&factory) };
            let _on_its_runtime = runtime.enter();
            let (task, starting) =
                ActorRuntime::spawn_linked_instant(None, Cell::<A>::new(), seat, supervisor)
                    .expect("only a name could be taken already, and this actor of ractor has none");
            let task_of = async move {
                if let Ok(Ok(task)) = starting.await {
                    let _ = task.await;
                }
            };
            Started { id: task.get_id(), task: task_of.boxed() }
        });
        if let Err(charge) = self.nursery.adopt(child, &self.supervisor) {
            charge.end(ExitReason::Stopped);
        }
        ActorRef::from(mailbox)
    }

    fn place(&self, class: Class, name: &str) -> std::io::Result<(Handle, Option<Thread>)> {
        match class {
            Class::Trusted => Ok((self.runtimes.network.clone(), None)),
            Class::Pool => Ok((self.runtimes.pool.clone(), None)),
            Class::Dedicated => {
                let thread = Thread::spawn(name)?;
                Ok((thread.handle().clone(), Some(thread)))
            }
        }
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
        self.supervisor.stop(None);
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
        Err(Self { names: rest.iter().map(|charge| charge.info().name).collect() })
    }
}
