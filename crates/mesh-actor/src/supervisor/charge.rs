//! An actor of any type, as its supervisor sees it; and how one comes into being.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, FutureExt};
use ractor::{ActorCell, ActorId, ActorRuntime};
use tokio::runtime::Handle;

use super::Supervision;
use crate::actor::{Actor, ExitReason};
use crate::cell::{Cell, Factory, Seat};
use crate::dead_letters::DeadLetters;
use crate::events::Events;
use crate::info::ActorInfo;
use crate::life::{Life, Stage};
use crate::mailbox::{Inner, Mailbox, MailboxConfig};
use crate::remedy::Remedy;
use crate::spec::{ActorSpec, Class, Listing};
use crate::system::{Runtimes, Thread};
use crate::watermark::Watermarks;

/// The task of one incarnation.
pub(crate) struct Started {
    pub(crate) id: ActorId,
    /// Done when the task is.
    pub(crate) task: BoxFuture<'static, ()>,
}

/// An actor of any type.
pub(crate) trait Charge: Any + Send + Sync {
    fn serial(&self) -> u64;
    fn name(&self) -> &str;
    fn info(&self) -> ActorInfo;
    fn ending(&self) -> Option<ExitReason>;
    fn stop(&self);
    fn drain(&self);
    fn kill(&self);
    /// Ends this incarnation after the message in hand. The mailbox stays open.
    fn halt(&self);
    /// Ends this incarnation at its next await. The mailbox stays open.
    fn cut(&self);
    /// Refuses messages, those that are queued too, until it is made ready.
    fn rest(self: Arc<Self>);
    /// Is about to have another incarnation.
    fn make_ready(&self);
    fn crashed(&self, reason: &str, remedy: Remedy);
    fn pause(&self);
    fn enter(&self, stage: Stage);
    /// Counts a restart.
    fn restarting(&self);
    /// The end of an actor that is not started again after this crash.
    fn given_up(&self, reason: &str) -> ExitReason;
    fn end(self: Arc<Self>, reason: ExitReason);
    fn has_ended(&self) -> bool;
    fn stopped(self: Arc<Self>) -> BoxFuture<'static, ExitReason>;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<A: Actor> Charge for Inner<A> {
    fn serial(&self) -> u64 {
        self.life.serial()
    }

    fn name(&self) -> &str {
        self.life.path()
    }

    fn info(&self) -> ActorInfo {
        Self::info(self)
    }

    fn ending(&self) -> Option<ExitReason> {
        Self::ending(self)
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn drain(&self) {
        Self::drain(self);
    }

    fn kill(&self) {
        Self::kill(self);
    }

    fn halt(&self) {
        Self::halt(self);
    }

    fn cut(&self) {
        Self::cut(self);
    }

    fn rest(self: Arc<Self>) {
        self.life.enter(Stage::Resting);
        if catch_unwind(AssertUnwindSafe(|| self.refuse_all())).is_err() {
            tracing::error!(actor = self.life.path(), "a message panicked when it was dropped");
        }
    }

    fn make_ready(&self) {
        Self::make_ready(self);
    }

    fn crashed(&self, reason: &str, remedy: Remedy) {
        tracing::warn!(actor = self.life.path(), reason, ?remedy, "actor crashed");
        self.life.crashed(reason, remedy);
        self.count_crash();
    }

    fn pause(&self) {
        Self::pause(self, true);
    }

    fn enter(&self, stage: Stage) {
        self.life.enter(stage);
    }

    fn restarting(&self) {
        self.life.restarting();
    }

    fn given_up(&self, reason: &str) -> ExitReason {
        let restarts = self.life.restarts();
        tracing::error!(actor = self.life.path(), reason, restarts, "actor is not started again");
        ExitReason::Crashed { reason: reason.to_owned(), restarts }
    }

    fn end(self: Arc<Self>, reason: ExitReason) {
        let buried = catch_unwind(AssertUnwindSafe(|| self.refuse_all()));
        self.life.end(reason);
        if buried.is_err() {
            tracing::error!(actor = self.life.path(), "a message panicked when it was dropped");
        }
    }

    fn has_ended(&self) -> bool {
        self.life.exit().is_some()
    }

    fn stopped(self: Arc<Self>) -> BoxFuture<'static, ExitReason> {
        Box::pin(async move { self.life.stopped().await })
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Where actors come from.
pub(crate) struct Hatchery {
    pub(crate) runtimes: Runtimes,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) watermarks: Arc<Watermarks>,
    pub(crate) events: Events,
    spawned: AtomicU64,
}

/// What of a spec lasts as long as the actor.
#[derive(Clone)]
pub(crate) struct Traits<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: Class,
    pub(crate) listing: Listing,
    pub(crate) redeliver: u8,
}

impl<'a> Traits<'a> {
    fn of(spec: &'a ActorSpec) -> Self {
        let listing = spec.listing.clone();
        Self { name: &spec.name, class: spec.class, listing, redeliver: spec.redeliver }
    }
}

/// An actor that was not started yet, with the means to start it as often as needed.
pub(crate) struct Hatched {
    pub(crate) charge: Arc<dyn Charge>,
    pub(crate) start: Box<dyn Fn(ActorCell) -> Started + Send>,
    pub(crate) thread: Option<Thread>,
}

/// The maker of one actor after another, each the child of the same spec.
pub(crate) trait Hatch: Send + Sync {
    /// # Errors
    /// There is no thread for it: the actor has a mailbox, and cannot run.
    fn hatch(
        &self,
        hatchery: &Hatchery,
        supervision: &Supervision,
        spec: &ActorSpec,
    ) -> Result<Hatched, (Arc<dyn Charge>, io::Error)>;
}

impl<A: Actor> Hatch for Factory<A> {
    fn hatch(
        &self,
        hatchery: &Hatchery,
        supervision: &Supervision,
        spec: &ActorSpec,
    ) -> Result<Hatched, (Arc<dyn Charge>, io::Error)> {
        let mailbox = hatchery.mailbox::<A>(supervision, Traits::of(spec), spec.mailbox.clone());
        hatchery.hatch(mailbox, spec.class, Arc::clone(self))
    }
}

impl Hatchery {
    pub(crate) fn new(runtimes: Runtimes) -> Self {
        let dead_letters = Arc::new(DeadLetters::new());
        let watermarks = Arc::new(Watermarks::new());
        Self { runtimes, dead_letters, watermarks, events: Events::new(), spawned: AtomicU64::new(0) }
    }

    /// A number that no other actor or supervisor of the system has.
    pub(crate) fn serial(&self) -> u64 {
        self.spawned.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn mailbox<A: Actor>(
        &self,
        supervision: &Supervision,
        traits: Traits<'_>,
        config: MailboxConfig,
    ) -> Mailbox<A> {
        let Traits { name, class, listing, redeliver } = traits;
        let life = Life::new(self.serial(), name.into(), class, listing, redeliver, supervision.clone());
        Mailbox::new(life, config)
    }

    /// # Errors
    /// There is no thread for it.
    pub(crate) fn hatch<A: Actor>(
        &self,
        mailbox: Mailbox<A>,
        class: Class,
        factory: Factory<A>,
    ) -> Result<Hatched, (Arc<dyn Charge>, io::Error)> {
        let charge: Arc<dyn Charge> = Arc::<Inner<A>>::clone(mailbox.inner());
        let (runtime, thread) = match self.place(class, mailbox.inner().life.path()) {
            Ok(place) => place,
            Err(error) => return Err((charge, error)),
        };
        let start = move |supervisor| {
            let seat = Seat { mailbox: mailbox.clone(), factory: Arc::clone(&factory) };
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
        };
        Ok(Hatched { charge, start: Box::new(start), thread })
    }

    fn place(&self, class: Class, name: &str) -> io::Result<(Handle, Option<Thread>)> {
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
