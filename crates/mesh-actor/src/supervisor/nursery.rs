//! All actors and supervisors of a system, and what is done when one of them ends.
//!
//! Supervisors have no tasks of their own: the events of all of them come to the one task of ractor that all actors
//! are linked to, and each is decided by the rules of the supervisor that it is about. An actor that was spawned
//! without a supervisor is alone under the root, with an intensity of its own.

mod act;
mod child;
mod picture;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use ractor::ActorId;
use tokio::time::Instant;

use self::act::Later;
pub(crate) use self::child::{Child, Under};
use super::branch::{Branch, Instance, Lineage};
use super::charge::{Charge, Hatchery, Started};
use super::rules::{Event, Exit, Place};
use super::{Order, Supervision, Timer};
use crate::actor::ExitReason;
use crate::events::SupervisionEvent;
use crate::life::Stage;
use crate::remedy::{Crash, Remedy, RestartStrategy};
use crate::spec::Restart;
use crate::supervisor_spec::{ChildSpec, SupervisionError, SupervisorSpec};
use crate::system::Thread;

/// All actors and supervisors of a system that have not ended.
pub(crate) struct Nursery {
    pub(crate) hatchery: Hatchery,
    children: Mutex<Children>,
    /// How many supervisors there are: without any, nobody needs to hear of starts.
    branches: AtomicUsize,
}

#[derive(Default)]
struct Children {
    /// Boxed, since the nodes of the map are half empty.
    by_serial: BTreeMap<u64, Box<Child>>,
    serial_of: HashMap<ActorId, u64>,
    branches: BTreeMap<u64, Branch>,
    leavers: Leavers,
    rng: fastrand::Rng,
    is_closed: bool,
}

/// What incarnations leave behind, until it is joined.
#[derive(Default)]
pub(crate) struct Leavers {
    pub(crate) tasks: Vec<BoxFuture<'static, ()>>,
    pub(crate) threads: Vec<Thread>,
}

/// How an incarnation ended.
pub(super) enum Ended {
    Well,
    Killed,
    Crashed(String, Remedy),
}

impl Nursery {
    pub(crate) fn new(hatchery: Hatchery) -> Self {
        Self { hatchery, children: Mutex::default(), branches: AtomicUsize::new(0) }
    }

    /// Takes a child of the root in and starts it; gives its charge back when the system has shut down.
    pub(crate) fn adopt(&self, child: Child, supervision: &Supervision) -> Result<(), Arc<dyn Charge>> {
        let serial = child.charge.serial();
        let mut children = self.children.lock();
        if children.is_closed {
            return Err(child.charge);
        }
        children.by_serial.insert(serial, child.into());
        children.start(serial, supervision);
        Ok(())
    }

    /// Takes a supervisor in, and begins to start its children.
    ///
    /// # Errors
    /// [`SupervisionError::NotRunning`]: the system has shut down.
    pub(crate) fn supervise(
        &self,
        spec: SupervisorSpec,
        supervision: &Supervision,
    ) -> Result<Arc<Lineage>, SupervisionError> {
        let mut children = self.children.lock();
        if children.is_closed {
            return Err(SupervisionError::NotRunning { supervisor: spec.name });
        }
        let serial = children.plant(spec, None, self, supervision);
        let lineage = Arc::clone(&children.branches[&serial].lineage);
        let laters = children.run(serial, Event::Begin, self, supervision);
        drop(children);
        act::finish(laters);
        Ok(lineage)
    }

    /// Adds a child to a supervisor that runs.
    ///
    /// # Errors
    /// The supervisor has ended, or has such a child.
    pub(crate) fn add(
        &self,
        to: &Lineage,
        spec: ChildSpec,
        supervision: &Supervision,
    ) -> Result<(), SupervisionError> {
        let mut children = self.children.lock();
        let gone = || SupervisionError::NotRunning { supervisor: to.name.clone() };
        let branch = children.branches.get_mut(&to.serial).ok_or_else(gone)?;
        if branch.rules.is_ending() {
            return Err(gone());
        }
        let row = spec.row();
        let name = spec.name().to_owned();
        let place = branch
            .add_seat(spec)
            .ok_or_else(|| SupervisionError::NameTaken { supervisor: to.name.clone(), child: name })?;
        children.fill(to.serial, place, self, supervision);
        let laters = children.run(to.serial, Event::Add(place, row), self, supervision);
        drop(children);
        act::finish(laters);
        Ok(())
    }

    /// Tells a supervisor something, if it is still there.
    pub(crate) fn tell(&self, branch: u64, event: Event, supervision: &Supervision) {
        let mut children = self.children.lock();
        let laters = children.run(branch, event, self, supervision);
        drop(children);
        act::finish(laters);
    }

    /// Ends a supervisor for good, its children first.
    pub(crate) fn stop(&self, branch: u64, event: Event, supervision: &Supervision) {
        if let Some(branch) = self.children.lock().branches.get_mut(&branch) {
            branch.is_wanted = false;
        }
        self.tell(branch, event, supervision);
    }

    pub(super) fn start(&self, serial: u64, supervision: &Supervision) {
        self.children.lock().start(serial, supervision);
    }

    /// An incarnation is done with its start.
    pub(super) fn started(&self, task: ActorId, supervision: &Supervision) {
        if self.branches.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut children = self.children.lock();
        let Some(serial) = children.serial_of.get(&task) else { return };
        let Some(child) = children.by_serial.get(serial) else { return };
        let Under::Supervisor(branch, place) = child.under() else { return };
        self.hatchery.events.tell(|| {
            let info = child.charge.info();
            SupervisionEvent::Started { path: info.name, restarts: info.restarts }
        });
        let laters = children.run(branch, Event::Started(place), self, supervision);
        drop(children);
        act::finish(laters);
    }

    /// An incarnation has ended: its supervisor decides what follows.
    pub(super) fn ended(&self, task: ActorId, mut ended: Ended, supervision: &Supervision) {
        let mut children = self.children.lock();
        let Some(serial) = children.serial_of.remove(&task) else { return };
        if let Ended::Crashed(reason, remedy) = &mut ended
            && let Some(child) = children.by_serial.get(&serial)
        {
            let (charge, strategy) = (Arc::clone(&child.charge), child.on_crash());
            if let Some(strategy) = strategy {
                // It is its user's, and may do as it likes; that incarnation's end was heard of by nobody else.
                drop(children);
                *remedy = decide(&*strategy, &*charge, reason);
                children = self.children.lock();
            }
            self.note_crash(&*charge, reason, remedy);
        }
        let Children { by_serial, rng, .. } = &mut *children;
        let Some(child) = by_serial.get_mut(&serial) else { return };
        child.is_live = false;
        let ended = &ended;
        let laters = match child.under() {
            Under::Supervisor(branch, place) => {
                let event = child.report(place, ended);
                children.run(branch, event, self, supervision)
            }
            Under::Root => match child.judge(ended, rng) {
                Ok(Duration::ZERO) => {
                    self.hatchery.events.tell(|| SupervisionEvent::Restarting { path: child.name() });
                    children.start(serial, supervision);
                    Vec::new()
                }
                Ok(pause) => {
                    self.hatchery.events.tell(|| SupervisionEvent::Restarting { path: child.name() });
                    child.timer = Some(supervision.send_after(pause, Order::Restart(serial)));
                    Vec::new()
                }
                Err(reason) => {
                    self.tell_of_end(child, &reason);
                    let gone = children.remove(serial);
                    gone.map(|child| Later::Bury(child, reason)).into_iter().collect()
                }
            },
        };
        drop(children);
        act::finish(laters);
    }

    /// An actor of the root is not started again: only after a crash is that of interest.
    fn tell_of_end(&self, child: &Child, reason: &ExitReason) {
        if let ExitReason::Crashed { reason, .. } = reason {
            let (path, reason) = (child.name(), reason.clone());
            self.hatchery.events.tell(|| SupervisionEvent::GaveUp { path, reason });
        }
    }

    fn note_crash(&self, charge: &dyn Charge, reason: &str, remedy: &Remedy) {
        charge.crashed(reason, remedy.clone());
        if *remedy == Remedy::EscalateToHuman {
            charge.pause();
        }
        self.hatchery.events.tell(|| SupervisionEvent::Crashed {
            path: charge.name().to_owned(),
            reason: reason.to_owned(),
            remedy: remedy.clone(),
        });
    }

    /// Ends a child that has no task now, and was told to end.
    pub(super) fn let_go_if_between(&self, serial: u64, supervision: &Supervision) {
        let mut children = self.children.lock();
        let between = children.by_serial.get_mut(&serial).filter(|child| !child.is_live);
        let Some((child, reason)) = between.and_then(|child| {
            let reason = child.charge.ending()?;
            Some((child, reason))
        }) else {
            return;
        };
        let laters = match child.under() {
            Under::Supervisor(branch, place) => {
                child.will_end(reason);
                children.run(branch, Event::Gone(place), self, supervision)
            }
            Under::Root => {
                children.remove(serial).map(|child| Later::Bury(child, reason)).into_iter().collect()
            }
        };
        drop(children);
        act::finish(laters);
    }

    /// Takes no more children in.
    pub(crate) fn close(&self) {
        self.children.lock().is_closed = true;
    }

    /// Every actor that has not ended, in order of their spawning.
    pub(crate) fn charges(&self) -> Vec<Arc<dyn Charge>> {
        self.children.lock().by_serial.values().map(|child| Arc::clone(&child.charge)).collect()
    }

    /// Every actor that has no supervisor but the root.
    pub(crate) fn charges_of_root(&self) -> Vec<Arc<dyn Charge>> {
        let children = self.children.lock();
        let of_root = children.by_serial.values().filter(|child| matches!(child.under(), Under::Root));
        of_root.map(|child| Arc::clone(&child.charge)).collect()
    }

    /// Every supervisor that has none but the root.
    pub(crate) fn trees(&self) -> Vec<Arc<Lineage>> {
        let children = self.children.lock();
        let of_root = children.branches.values().filter(|branch| branch.parent.is_none());
        of_root.map(|branch| Arc::clone(&branch.lineage)).collect()
    }

    /// Every supervisor has ended, and nobody will hear of it in any other way.
    pub(crate) fn uproot(&self) {
        let branches = std::mem::take(&mut self.children.lock().branches);
        branches.into_values().for_each(|branch| branch.lineage.end(ExitReason::Killed));
    }

    /// # Errors
    /// The child cannot be one of this supervisor, or what is below the child cannot be.
    pub(crate) fn check_child(&self, of: &Lineage, child: &ChildSpec) -> Result<(), SupervisionError> {
        let children = self.children.lock();
        let branch = children.branches.get(&of.serial);
        let branch = branch.ok_or_else(|| SupervisionError::NotRunning { supervisor: of.name.clone() })?;
        child.check(&of.name, branch.rules.auto_shutdown())
    }

    pub(crate) fn len(&self) -> usize {
        self.children.lock().by_serial.len()
    }

    pub(crate) fn take_leavers(&self) -> Leavers {
        std::mem::take(&mut self.children.lock().leavers)
    }

    /// The child of a supervisor that goes by this name.
    pub(crate) fn find(&self, of: &Lineage, name: &str) -> Option<Found> {
        let children = self.children.lock();
        match children.branches.get(&of.serial)?.instance(name)? {
            Instance::Actor(serial) => {
                Some(Found::Actor(Arc::clone(&children.by_serial.get(&serial)?.charge)))
            }
            Instance::Supervisor(serial) => {
                Some(Found::Supervisor(Arc::clone(&children.branches.get(&serial)?.lineage)))
            }
        }
    }
}

/// Asks who knows the actor what is to be done about its crash.
fn decide(strategy: &dyn RestartStrategy, charge: &dyn Charge, reason: &str) -> Remedy {
    let info = charge.info();
    let crash =
        Crash { path: info.name, serial: info.serial, reason: reason.to_owned(), restarts: info.restarts };
    catch_unwind(AssertUnwindSafe(|| strategy.remedy(&crash))).unwrap_or_else(|_| {
        tracing::error!(actor = crash.path, "the restart strategy panicked");
        Remedy::Restart
    })
}

/// A child that was looked for.
pub(crate) enum Found {
    Actor(Arc<dyn Charge>),
    Supervisor(Arc<Lineage>),
}

impl Children {
    fn start(&mut self, serial: u64, supervision: &Supervision) {
        let Some(child) = self.by_serial.get_mut(&serial) else { return };
        child.timer = None;
        child.is_live = true;
        child.since = Instant::now();
        let Started { id, task } = (child.start)(supervision.cell());
        self.leavers.tasks.extend(child.task.replace(task));
        self.leavers.forget_the_gone();
        self.serial_of.insert(id, serial);
    }

    /// Takes a child out, to be dropped when the lock is free: it owns values of its user.
    fn remove(&mut self, serial: u64) -> Option<Box<Child>> {
        let mut child = self.by_serial.remove(&serial)?;
        child.timer = None;
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
