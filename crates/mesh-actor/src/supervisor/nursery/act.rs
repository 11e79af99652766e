//! Doing what the rules of supervisors say.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Arc, Branch, Charge, Child, Children, Event, Exit, ExitReason, Instance, Instant, Lineage, Nursery,
    Order, Ordering, Place, Supervision, SupervisorSpec, VecDeque,
};
use crate::events::SupervisionEvent;
use crate::supervisor::rules::{Action, End, Flags, Rules};
use crate::supervisor_spec::Make;

/// What is done when the lock is free: it runs what belongs to users.
pub(super) enum Later {
    /// Ends an actor for good.
    Bury(Box<Child>, ExitReason),
    /// An actor takes nothing until it is started again.
    Rest(Arc<dyn Charge>),
    /// Tells that a supervisor has ended.
    Tell(Arc<Lineage>, ExitReason),
}

pub(super) fn finish(laters: Vec<Later>) {
    for later in laters {
        match later {
            Later::Bury(child, reason) => bury(child, reason),
            Later::Rest(charge) => charge.rest(),
            Later::Tell(lineage, reason) => lineage.end(reason),
        }
    }
}

/// Ends a child for good. What it owns is its user's, whose panics are no business of the other children.
fn bury(child: Box<Child>, reason: ExitReason) {
    let charge = Arc::clone(&child.charge);
    if catch_unwind(AssertUnwindSafe(move || drop(child))).is_err() {
        tracing::error!(actor = charge.name(), "the maker of an actor panicked when it was dropped");
    }
    charge.end(reason);
}

/// One event on its way through a tree.
struct Run<'a> {
    nursery: &'a Nursery,
    supervision: &'a Supervision,
    events: VecDeque<(u64, Event)>,
    laters: Vec<Later>,
}

impl Children {
    /// Makes a supervisor and all below it; nothing is started yet.
    pub(super) fn plant(
        &mut self,
        spec: SupervisorSpec,
        parent: Option<(u64, Place)>,
        nursery: &Nursery,
        supervision: &Supervision,
    ) -> u64 {
        let serial = nursery.hatchery.serial();
        let flags = Flags { strategy: spec.strategy, pace: spec.pace, auto_shutdown: spec.auto_shutdown };
        let rows = spec.children.iter().map(super::ChildSpec::row).collect();
        let rules = Rules::new(flags, rows, self.rng.fork(), Instant::now());
        let branch = Branch::new(serial, spec, rules, parent);
        let places: Vec<Place> = branch.seats.keys().copied().collect();
        self.branches.insert(serial, branch);
        nursery.branches.fetch_add(1, Ordering::AcqRel);
        for place in places {
            self.fill(serial, place, nursery, supervision);
        }
        serial
    }

    /// Makes the child of a seat that has none. An actor that gets no thread is none.
    pub(super) fn fill(&mut self, branch: u64, place: Place, nursery: &Nursery, supervision: &Supervision) {
        let Some(seat) = self.branches.get(&branch).and_then(|branch| branch.seats.get(&place)) else {
            return;
        };
        let spec = seat.spec.clone();
        let instance = match &spec.make {
            Make::Supervisor(spec) => {
                Instance::Supervisor(self.plant(spec.clone(), Some((branch, place)), nursery, supervision))
            }
            Make::Actor(spec, hatch) => match hatch.hatch(&nursery.hatchery, supervision, spec) {
                Ok(hatched) => {
                    let serial = hatched.charge.serial();
                    let child = Child::of(hatched, branch, place, spec.on_crash.clone());
                    self.by_serial.insert(serial, child.into());
                    Instance::Actor(serial)
                }
                Err((charge, error)) => {
                    tracing::error!(actor = charge.name(), %error, "cannot start its thread");
                    return;
                }
            },
        };
        if let Some(seat) = self.branches.get_mut(&branch).and_then(|branch| branch.seats.get_mut(&place)) {
            seat.instance = Some(instance);
            seat.has_run = false;
        }
    }

    /// Has a supervisor decide on an event, and does all that follows from it now.
    pub(super) fn run(
        &mut self,
        branch: u64,
        event: Event,
        nursery: &Nursery,
        supervision: &Supervision,
    ) -> Vec<Later> {
        let mut run =
            Run { nursery, supervision, events: VecDeque::from([(branch, event)]), laters: Vec::new() };
        while let Some((serial, event)) = run.events.pop_front() {
            let Some(branch) = self.branches.get_mut(&serial) else { continue };
            if let Event::Due(token) = event {
                branch.timers.remove(&token);
            }
            let actions = branch.rules.on(event, Instant::now());
            for action in actions {
                self.act(serial, action, &mut run);
            }
        }
        run.laters
    }

    fn act(&mut self, serial: u64, action: Action, run: &mut Run<'_>) {
        let Some(branch) = self.branches.get_mut(&serial) else { return };
        match action {
            Action::Start(place) => self.start_child(serial, place, run),
            Action::Stop(place) => match branch.at(place) {
                Some(Instance::Actor(actor)) => self.with(actor, |child| child.charge.halt()),
                Some(Instance::Supervisor(inner)) => run.events.push_back((inner, Event::Shutdown)),
                None => {}
            },
            Action::Kill(place) => match branch.at(place) {
                Some(Instance::Actor(actor)) => self.with(actor, |child| child.charge.cut()),
                Some(Instance::Supervisor(inner)) => run.events.push_back((inner, Event::Kill)),
                None => {}
            },
            Action::Rest(place) => {
                if let Some(instance) = branch.at(place) {
                    self.rest(instance, run);
                }
            }
            Action::Remove(place) => {
                if let Some(instance) = branch.vacate(place) {
                    self.let_go(instance, run);
                }
            }
            Action::Wait(token, pause) => {
                let timer = run.supervision.send_after(pause, Order::Due(serial, token));
                branch.timers.insert(token, timer);
            }
            Action::Ready => {
                branch.since = Instant::now();
                if let Some((parent, place)) = branch.parent {
                    run.events.push_back((parent, Event::Started(place)));
                }
            }
            Action::Restarting(place) => {
                let path = branch.note_restart(place);
                run.nursery.hatchery.events.tell(|| SupervisionEvent::Restarting { path });
            }
            Action::Over(end) => self.is_over(serial, end, run),
        }
    }

    fn with(&mut self, actor: u64, act: impl FnOnce(&Child)) {
        if let Some(child) = self.by_serial.get(&actor) {
            act(child);
        }
    }

    fn start_child(&mut self, serial: u64, place: Place, run: &mut Run<'_>) {
        if self.branches.get(&serial).is_some_and(|branch| branch.at(place).is_none()) {
            self.fill(serial, place, run.nursery, run.supervision);
        }
        let Some(branch) = self.branches.get_mut(&serial) else { return };
        let Some(seat) = branch.seats.get_mut(&place) else { return };
        let has_run = std::mem::replace(&mut seat.has_run, true);
        match seat.instance {
            Some(Instance::Actor(actor)) => {
                self.with(actor, |child| {
                    if has_run {
                        child.charge.restarting();
                        child.charge.make_ready();
                    }
                });
                self.start(actor, run.supervision);
            }
            Some(Instance::Supervisor(inner)) => {
                if has_run && let Some(inner) = self.branches.get_mut(&inner) {
                    inner.restarts += 1;
                }
                run.events.push_back((inner, Event::Begin));
            }
            None => run.events.push_back((serial, Event::Ended(place, Exit::Crashed))),
        }
    }

    /// All actors of a child take nothing until they are started again.
    fn rest(&mut self, instance: Instance, run: &mut Run<'_>) {
        match instance {
            Instance::Actor(actor) => {
                let charge = self.by_serial.get(&actor).map(|child| Arc::clone(&child.charge));
                run.laters.extend(charge.map(Later::Rest));
            }
            Instance::Supervisor(inner) => {
                let instances = self.branches.get(&inner).map(Branch::instances).unwrap_or_default();
                for instance in instances {
                    self.rest(instance, run);
                }
            }
        }
    }

    /// Ends a child that has no task any more, for good, and all below it.
    fn let_go(&mut self, instance: Instance, run: &mut Run<'_>) {
        match instance {
            Instance::Actor(actor) => {
                if let Some(mut child) = self.remove(actor) {
                    let reason = child.take_exit().unwrap_or(ExitReason::Stopped);
                    run.laters.push(Later::Bury(child, reason));
                }
            }
            Instance::Supervisor(inner) => {
                let Some(mut branch) = self.branches.remove(&inner) else { return };
                run.nursery.branches.fetch_sub(1, Ordering::AcqRel);
                for instance in branch.instances() {
                    self.let_go(instance, run);
                }
                let reason = branch.exit.take().unwrap_or(ExitReason::Stopped);
                run.laters.push(Later::Tell(branch.lineage, reason));
            }
        }
    }

    fn tell_of_end(&self, serial: u64, run: &Run<'_>) {
        let Some(branch) = self.branches.get(&serial) else { return };
        let path = branch.lineage.name.clone();
        let above = branch.parent.and_then(|(parent, _)| self.branches.get(&parent));
        run.nursery.hatchery.events.tell(|| match above {
            Some(above) => SupervisionEvent::Escalated { path, to: above.lineage.name.clone() },
            None => {
                let reason = branch.exit.as_ref().map(ToString::to_string).unwrap_or_default();
                SupervisionEvent::GaveUp { path, reason }
            }
        });
    }

    /// A supervisor has ended, and none of its children runs.
    fn is_over(&mut self, serial: u64, end: End, run: &mut Run<'_>) {
        let Some(branch) = self.branches.get_mut(&serial) else { return };
        branch.timers.clear();
        branch.is_over(end);
        if matches!(end, End::GaveUp | End::StartFailed) {
            self.tell_of_end(serial, run);
        }
        let Some(branch) = self.branches.get_mut(&serial) else { return };
        match branch.parent {
            // Somebody outside wanted that.
            Some((parent, place)) if !branch.is_wanted => run.events.push_back((parent, Event::Gone(place))),
            Some((parent, place)) => run.events.push_back((parent, Event::Ended(place, Exit::Shutdown))),
            None => self.let_go(Instance::Supervisor(serial), run),
        }
    }
}
