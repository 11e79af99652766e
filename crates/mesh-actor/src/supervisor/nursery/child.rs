//! One actor, with the means to start it again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::ActorCell;
use tokio::time::Instant;

use super::{Charge, Ended, Event, Exit, ExitReason, Place, Restart, Stage, Started, Thread, Timer};
use crate::remedy::{Remedy, RestartStrategy};
use crate::supervisor::charge::Hatched;
use crate::supervisor::restarts::{Pace, Restarts};

pub(crate) struct Child {
    pub(super) charge: Arc<dyn Charge>,
    pub(super) start: Box<dyn Fn(ActorCell) -> Started + Send>,
    rule: Rule,
    pub(super) thread: Option<Thread>,
    pub(super) task: Option<BoxFuture<'static, ()>>,
    /// The timer of a restart that is put off.
    pub(super) timer: Option<Timer>,
    /// Whether there is an incarnation whose end was not heard of.
    pub(super) is_live: bool,
    /// When the last incarnation was started.
    pub(super) since: Instant,
    /// Boxed again, since most have none.
    on_crash: Option<Box<Arc<dyn RestartStrategy>>>,
}

/// What decides on a child's restarts.
enum Rule {
    /// The child is alone under the root.
    Own { restart: Restart, pace: Pace, restarts: Restarts },
    Supervisor {
        branch: u64,
        place: Place,
        /// How it has ended, should it not be started again.
        exit: Option<ExitReason>,
    },
}

/// Whose child an actor is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under {
    Root,
    Supervisor(u64, Place),
}

impl Child {
    pub(crate) fn of_root(
        hatched: Hatched,
        restart: Restart,
        pace: Pace,
        on_crash: Option<Arc<dyn RestartStrategy>>,
    ) -> Self {
        Self::new(hatched, Rule::Own { restart, pace, restarts: Restarts::default() }, on_crash)
    }

    pub(super) fn of(
        hatched: Hatched,
        branch: u64,
        place: Place,
        on_crash: Option<Arc<dyn RestartStrategy>>,
    ) -> Self {
        Self::new(hatched, Rule::Supervisor { branch, place, exit: None }, on_crash)
    }

    fn new(hatched: Hatched, rule: Rule, on_crash: Option<Arc<dyn RestartStrategy>>) -> Self {
        let Hatched { charge, start, thread } = hatched;
        let since = Instant::now();
        Self {
            charge,
            start,
            rule,
            thread,
            task: None,
            timer: None,
            is_live: false,
            since,
            on_crash: on_crash.map(Box::new),
        }
    }

    pub(super) fn under(&self) -> Under {
        match &self.rule {
            Rule::Own { .. } => Under::Root,
            Rule::Supervisor { branch, place, .. } => Under::Supervisor(*branch, *place),
        }
    }

    /// Notes how a child of a supervisor has ended, should it not be started again.
    pub(super) fn will_end(&mut self, reason: ExitReason) {
        if let Rule::Supervisor { exit, .. } = &mut self.rule {
            *exit = Some(reason);
        }
    }

    pub(super) fn take_exit(&mut self) -> Option<ExitReason> {
        match &mut self.rule {
            Rule::Supervisor { exit, .. } => exit.take(),
            Rule::Own { .. } => None,
        }
    }

    pub(super) fn on_crash(&self) -> Option<Arc<dyn RestartStrategy>> {
        self.on_crash.as_deref().cloned()
    }

    pub(super) fn name(&self) -> String {
        self.charge.name().to_owned()
    }

    /// When a child of the root is started again.
    pub(super) fn restart(&self) -> Restart {
        match &self.rule {
            Rule::Own { restart, .. } => *restart,
            Rule::Supervisor { .. } => Restart::Temporary,
        }
    }

    /// The pause before the restart of a child of the root, or why there is none.
    pub(super) fn judge(&mut self, ended: &Ended, rng: &mut fastrand::Rng) -> Result<Duration, ExitReason> {
        if let Some(reason) = self.charge.ending() {
            return Err(reason);
        }
        let Rule::Own { restart, pace, restarts } = &mut self.rule else {
            unreachable!("only children of the root are judged by themselves")
        };
        match (ended, *restart) {
            (Ended::Killed, _) => return Err(ExitReason::Killed),
            (Ended::Well, Restart::Transient | Restart::Temporary) => return Err(ExitReason::Stopped),
            (Ended::Crashed(reason, Remedy::GiveUp), _) => return Err(self.charge.given_up(reason)),
            (Ended::Crashed(reason, _), Restart::Temporary) => return Err(self.charge.given_up(reason)),
            (Ended::Well | Ended::Crashed(..), _) => {}
        }
        let Some(pause) = restarts.one_more(pace, Instant::now(), rng) else {
            return Err(match ended {
                Ended::Crashed(reason, _) => self.charge.given_up(reason),
                Ended::Well | Ended::Killed => self.charge.given_up("stops by itself too often"),
            });
        };
        self.charge.restarting();
        Ok(pause)
    }

    /// What the supervisor is told of an end.
    pub(super) fn report(&mut self, place: Place, ended: &Ended) -> Event {
        self.charge.enter(Stage::Restarting);
        if let Some(reason) = self.charge.ending() {
            self.will_end(reason);
            return Event::Gone(place);
        }
        let restarts = self.charge.info().restarts;
        let (exit, reason) = match ended {
            Ended::Well => (Exit::Normal, ExitReason::Stopped),
            Ended::Killed => (Exit::Crashed, ExitReason::Killed),
            Ended::Crashed(reason, remedy) => {
                let exit = if *remedy == Remedy::GiveUp { Exit::Hopeless } else { Exit::Crashed };
                (exit, ExitReason::Crashed { reason: reason.clone(), restarts })
            }
        };
        self.will_end(reason);
        Event::Ended(place, exit)
    }
}
