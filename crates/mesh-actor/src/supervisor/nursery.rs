//! The children of the supervisor, and what is decided when one of them ends.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use ractor::{ActorCell, ActorId, ActorRef as TaskRef};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Order, Restarts};
use crate::actor::{Actor, ExitReason};
use crate::info::ActorInfo;
use crate::mailbox::Inner;
use crate::spec::{Policy, Restart};
use crate::system::Thread;

/// All actors of a system that have not ended.
#[derive(Default)]
pub(crate) struct Nursery {
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    by_serial: BTreeMap<u64, Child>,
    serial_of: HashMap<ActorId, u64>,
    leavers: Leavers,
    is_closed: bool,
}

/// What incarnations leave behind, until it is joined.
#[derive(Default)]
pub(crate) struct Leavers {
    pub(crate) tasks: Vec<BoxFuture<'static, ()>>,
    pub(crate) threads: Vec<Thread>,
}

/// One actor, with the means to start it again.
pub(crate) struct Child {
    charge: Arc<dyn Charge>,
    start: Box<dyn Fn(ActorCell) -> Started + Send>,
    restarts: Restarts,
    thread: Option<Thread>,
    task: Option<BoxFuture<'static, ()>>,
    /// The timer of a restart that is put off.
    timer: Option<AbortHandle>,
}

/// The task of one incarnation.
pub(crate) struct Started {
    pub(crate) id: ActorId,
    /// Done when the task is.
    pub(crate) task: BoxFuture<'static, ()>,
}

/// How an incarnation ended.
pub(super) enum Ended {
    Well,
    Killed,
    Crashed(String),
}

/// An actor of any type, as its supervisor sees it.
pub(crate) trait Charge: Send + Sync {
    fn serial(&self) -> u64;
    fn info(&self) -> ActorInfo;
    fn ending(&self) -> Option<ExitReason>;
    fn stop(&self);
    fn drain(&self);
    fn kill(&self);
    fn crashed(&self, reason: &str);
    fn restarting(&self);
    /// The end of an actor that is not started again after this crash.
    fn given_up(&self, reason: &str) -> ExitReason;
    fn end(&self, reason: ExitReason);
    fn has_ended(&self) -> bool;
    fn stopped(self: Arc<Self>) -> BoxFuture<'static, ExitReason>;
}

impl<A: Actor> Charge for Inner<A> {
    fn serial(&self) -> u64 {
        self.life.serial()
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

    fn crashed(&self, reason: &str) {
        tracing::warn!(actor = self.life.path(), reason, "actor crashed");
        self.life.crashed(reason);
        self.count_crash();
    }

    fn restarting(&self) {
        self.life.restarting();
    }

    fn given_up(&self, reason: &str) -> ExitReason {
        let restarts = self.life.restarts();
        tracing::error!(actor = self.life.path(), reason, restarts, "actor is not started again");
        ExitReason::Crashed { reason: reason.to_owned(), restarts }
    }

    fn end(&self, reason: ExitReason) {
        let buried = catch_unwind(AssertUnwindSafe(|| self.bury()));
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
}

impl Nursery {
    /// Takes a child in and starts it; gives its charge back when the system has shut down.
    pub(crate) fn adopt(&self, child: Child, supervisor: &TaskRef<Order>) -> Result<(), Arc<dyn Charge>> {
        let serial = child.charge.serial();
        let mut children = self.children.lock();
        if children.is_closed {
            return Err(child.charge);
        }
        children.by_serial.insert(serial, child);
        children.start(serial, supervisor);
        Ok(())
    }

    pub(super) fn start(&self, serial: u64, supervisor: &TaskRef<Order>) {
        self.children.lock().start(serial, supervisor);
    }

    /// Starts an actor again whose incarnation has ended, or lets it go.
    pub(super) fn ended(&self, task: ActorId, ended: Ended, supervisor: &TaskRef<Order>) {
        let mut children = self.children.lock();
        let Some(serial) = children.serial_of.remove(&task) else { return };
        let Some(child) = children.by_serial.get_mut(&serial) else { return };
        match child.judge(ended) {
            Ok(Duration::ZERO) => children.start(serial, supervisor),
            Ok(pause) => {
                let timer = supervisor.send_after(pause, move || Order::Restart(serial));
                child.timer = Some(timer.abort_handle());
            }
            Err(reason) => {
                let gone = children.remove(serial);
                drop(children);
                bury(gone, reason);
            }
        }
    }

    /// Ends a child that waits for its restart, and was told to end meanwhile.
    pub(super) fn let_go_if_between(&self, serial: u64) {
        let mut children = self.children.lock();
        let waiting = children.by_serial.get(&serial).filter(|child| child.timer.is_some());
        let Some(reason) = waiting.and_then(|child| child.charge.ending()) else { return };
        let gone = children.remove(serial);
        drop(children);
        bury(gone, reason);
    }

    /// Takes no more children in.
    pub(crate) fn close(&self) {
        self.children.lock().is_closed = true;
    }

    /// Every actor that has not ended, in order of their spawning.
    pub(crate) fn charges(&self) -> Vec<Arc<dyn Charge>> {
        self.children.lock().by_serial.values().map(|child| Arc::clone(&child.charge)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.children.lock().by_serial.len()
    }

    pub(crate) fn take_leavers(&self) -> Leavers {
        std::mem::take(&mut self.children.lock().leavers)
    }
}

/// Ends a child for good. What it owns is its user's, whose panics are no business of the other children.
fn bury(gone: Option<Child>, reason: ExitReason) {
    let Some(child) = gone else { return };
    let charge = Arc::clone(&child.charge);
    if catch_unwind(AssertUnwindSafe(move || drop(child))).is_err() {
        tracing::error!(actor = charge.info().name, "the maker of an actor panicked when it was dropped");
    }
    charge.end(reason);
}

impl Children {
    fn start(&mut self, serial: u64, supervisor: &TaskRef<Order>) {
        let Some(child) = self.by_serial.get_mut(&serial) else { return };
        child.timer = None;
        let Started { id, task } = (child.start)(supervisor.get_cell());
        self.leavers.tasks.extend(child.task.replace(task));
        self.leavers.forget_the_gone();
        self.serial_of.insert(id, serial);
    }

    /// Takes a child out, to be dropped when the lock is free: it owns values of its user.
    fn remove(&mut self, serial: u64) -> Option<Child> {
        let mut child = self.by_serial.remove(&serial)?;
        if let Some(timer) = child.timer.take() {
            timer.abort();
        }
        self.leavers.tasks.extend(child.task.take());
        if let Some(mut thread) = child.thread.take() {
            thread.end();
            self.leavers.threads.push(thread);
        }
        self.leavers.forget_the_gone();
        Some(child)
    }
}

impl Leavers {
    fn forget_the_gone(&mut self) {
        let mut nobody = task::Context::from_waker(task::Waker::noop());
        self.tasks.retain_mut(|task| task.as_mut().poll(&mut nobody).is_pending());
        self.threads.retain_mut(|thread| !thread.is_joined());
    }
}

impl Child {
    pub(crate) fn new(
        charge: Arc<dyn Charge>,
        policy: Policy,
        thread: Option<Thread>,
        start: impl Fn(ActorCell) -> Started + Send + 'static,
    ) -> Self {
        Self {
            charge,
            start: Box::new(start),
            restarts: Restarts::new(policy),
            thread,
            task: None,
            timer: None,
        }
    }

    /// The pause before the restart, or why there is none.
    fn judge(&mut self, ended: Ended) -> Result<Duration, ExitReason> {
        if let Ended::Crashed(reason) = &ended {
            self.charge.crashed(reason);
        }
        if let Some(reason) = self.charge.ending() {
            return Err(reason);
        }
        let policy = self.restarts.policy().restart;
        match (&ended, policy) {
            (Ended::Killed, _) => return Err(ExitReason::Killed),
            (Ended::Well, Restart::Transient | Restart::Temporary) => return Err(ExitReason::Stopped),
            (Ended::Crashed(reason), Restart::Temporary) => return Err(self.charge.given_up(reason)),
            (Ended::Well | Ended::Crashed(_), _) => {}
        }
        let Some(pause) = self.restarts.one_more(Instant::now()) else {
            return Err(match ended {
                Ended::Crashed(reason) => self.charge.given_up(&reason),
                Ended::Well | Ended::Killed => self.charge.given_up("stops by itself too often"),
            });
        };
        self.charge.restarting();
        Ok(pause)
    }
}
