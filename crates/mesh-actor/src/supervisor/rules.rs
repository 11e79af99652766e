//! What a supervisor does when something happens to its children: OTP's rules, as values alone.
//!
//! ```text
//!   Event ──► Rules::on(event, now) ──► Actions, in their order ──► who has tasks and timers
//!     ▲                                                                       │
//!     └────────────── Started, Ended, Due ◄───────────────────────────────────┘
//! ```
//!
//! A supervisor of OTP stops at each start and each stop until it is done, and what happens meanwhile waits in its
//! queue. Here that queue is `pending`, and what is done step by step is a `Phase`. The order of all that can be seen
//! is OTP's (`supervisor.erl`), with one difference: under simple_one_for_one, a child that is slow to start holds up no
//! other.

mod event;
mod row;
mod sequence;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::event::{Action, End, Event, Exit, Place, Token};
use self::row::Row;
pub(crate) use self::row::{RowSpec, State};
use self::sequence::{Phase, Then};
use super::restarts::{Pace, Restarts};
use crate::spec::Restart;
use crate::strategy::{AutoShutdown, Shutdown, Strategy};

/// How a supervisor treats its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) strategy: Strategy,
    pub(crate) pace: Pace,
    pub(crate) auto_shutdown: AutoShutdown,
}

/// One supervisor.
#[derive(Debug)]
pub(crate) struct Rules {
    flags: Flags,
    specs: Vec<RowSpec>,
    rows: BTreeMap<Place, Row>,
    restarts: Restarts,
    phase: Phase,
    /// How many children were told to end, and have not yet.
    stopping: usize,
    /// What came while the supervisor was busy.
    pending: VecDeque<Pending>,
    tokens: Token,
    rng: fastrand::Rng,
    now: Instant,
    actions: Vec<Action>,
}

/// A message in the queue of a supervisor that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Ended(Place, Exit),
    /// The start of this child failed; it is tried again when what came before is done.
    TryAgain(Place),
    Add(Place),
}

impl Rules {
    /// A supervisor that has not begun. `specs` are its children in the order of their start; chance spreads pauses.
    pub(crate) fn new(flags: Flags, specs: Vec<RowSpec>, rng: fastrand::Rng, now: Instant) -> Self {
        Self {
            flags,
            specs,
            rows: BTreeMap::new(),
            restarts: Restarts::default(),
            phase: Phase::Over,
            stopping: 0,
            pending: VecDeque::new(),
            tokens: 0,
            rng,
            now,
            actions: Vec::new(),
        }
    }

    /// Takes one event in, and tells what is to be done, in this order.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        self.now = now;
        match event {
            Event::Begin => self.begin(),
            Event::Started(place) => self.started(place),
            Event::Ended(place, exit) => self.ended(place, exit),
            Event::Gone(place) => self.gone(place),
            Event::Add(place, spec) => self.add(place, spec),
            Event::Due(token) => self.due(token),
            Event::Shutdown => self.end(End::Asked),
            Event::Kill => self.kill(),
        }
        self.go_on();
        std::mem::take(&mut self.actions)
    }

    /// How a child is, as far as its supervisor knows.
    pub(crate) fn state(&self, place: Place) -> Option<State> {
        self.rows.get(&place).map(|row| row.state)
    }

    /// Whether the supervisor has ended, or has not begun.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether the children of its spec are being started for the first time.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { is_first: true, .. })
    }

    /// Whether it takes no more children in.
    pub(crate) fn is_ending(&self) -> bool {
        self.phase.is_ending()
    }

    pub(crate) fn auto_shutdown(&self) -> AutoShutdown {
        self.flags.auto_shutdown
    }

    fn begin(&mut self) {
        if !self.is_over() {
            return;
        }
        self.restarts = Restarts::default();
        let places = 0..Place::try_from(self.specs.len()).expect("a spec has far fewer children");
        self.rows = places.clone().zip(self.specs.iter().map(|spec| Row::new(*spec, false))).collect();
        self.phase = Phase::Starting { queue: places.collect(), is_first: true, current: None };
    }

    fn started(&mut self, place: Place) {
        let Some(row) = self.rows.get_mut(&place).filter(|row| row.state == State::Starting) else { return };
        row.state = State::Live;
        row.is_new = false;
        self.phase.is_done_with(place);
    }

    fn ended(&mut self, place: Place, exit: Exit) {
        let Some(row) = self.rows.get_mut(&place) else { return };
        match row.state {
            State::Stopping(_) => self.has_stopped(place),
            State::Starting if row.is_new => {
                self.phase.is_done_with(place);
                self.remove(place);
            }
            State::Starting => self.start_failed(place),
            State::Live if self.phase.is_busy() => {
                row.state = State::Ended;
                self.pending.push_back(Pending::Ended(place, exit));
            }
            State::Live => self.judge(place, exit),
            State::Down | State::Ended | State::Failed | State::Waiting(_) => {}
        }
    }

    fn gone(&mut self, place: Place) {
        let Some(row) = self.rows.get(&place) else { return };
        let state = row.state;
        self.phase.is_done_with(place);
        self.remove(place);
        match state {
            State::Stopping(_) => self.stopping -= 1,
            // Others may be down with it, and are not to wait for it any more.
            State::Waiting(_) | State::Failed if !self.phase.is_busy() => self.start_again(place),
            _ => {}
        }
    }

    fn add(&mut self, place: Place, spec: RowSpec) {
        if self.phase.is_ending() {
            self.actions.push(Action::Remove(place));
            return;
        }
        self.rows.insert(place, Row::new(spec, true));
        self.pending.push_back(Pending::Add(place));
    }

    fn due(&mut self, token: Token) {
        let waits = |state: State| matches!(state, State::Waiting(of) | State::Stopping(of) if of == token);
        let Some((place, row)) = self.rows.iter_mut().find(|(_, row)| waits(row.state)) else { return };
        let place = *place;
        if matches!(row.state, State::Stopping(_)) {
            self.actions.push(Action::Kill(place));
        } else {
            row.state = State::Failed;
            self.start_again(place);
        }
    }

    /// Does what is next until it has to wait, then what came meanwhile.
    fn go_on(&mut self) {
        loop {
            self.advance();
            if self.phase.is_busy() || self.phase.is_ending() {
                return;
            }
            let Some(next) = self.pending.pop_front() else { return };
            match next {
                Pending::Ended(place, exit) if self.state(place) == Some(State::Ended) => {
                    self.judge(place, exit);
                }
                Pending::TryAgain(place) if self.state(place) == Some(State::Failed) => self.restart(place),
                Pending::Add(place) if self.state(place) == Some(State::Down) => {
                    self.start_in_order(VecDeque::from([place]));
                }
                // It was stopped, started with others, or removed since.
                Pending::Ended(..) | Pending::TryAgain(_) | Pending::Add(_) => {}
            }
        }
    }

    /// OTP's table: who is restarted after which end.
    fn judge(&mut self, place: Place, exit: Exit) {
        let Some(row) = self.rows.get_mut(&place) else { return };
        row.state = State::Down;
        if exit == Exit::Hopeless {
            return self.end(End::GaveUp);
        }
        match (row.spec.restart, exit) {
            (Restart::Permanent, _) | (Restart::Transient, Exit::Crashed | Exit::Hopeless) => {
                self.restart(place)
            }
            (Restart::Transient, Exit::Normal | Exit::Shutdown) | (Restart::Temporary, _) => {
                let is_significant = row.spec.is_significant;
                self.let_go(place);
                if is_significant && self.shuts_down_by_itself() {
                    self.end(End::Significant);
                }
            }
        }
    }

    /// A child that is not restarted: its spec stays, unless it is temporary or one of many alike.
    fn let_go(&mut self, place: Place) {
        let Some(row) = self.rows.get(&place) else { return };
        if row.spec.restart == Restart::Temporary || self.flags.strategy == Strategy::SimpleOneForOne {
            self.remove(place);
        } else {
            self.actions.push(Action::Rest(place));
        }
    }

    fn shuts_down_by_itself(&self) -> bool {
        let remains = |row: &Row| row.spec.is_significant && row.state != State::Down;
        match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.rows.values().any(remains),
        }
    }

    /// Counts one more restart, and restarts the child with those that its strategy names.
    fn restart(&mut self, place: Place) {
        if let Some(row) = self.rows.get_mut(&place) {
            row.state = State::Failed;
        }
        let Some(pause) = self.restarts.one_more(&self.flags.pace, self.now, &mut self.rng) else {
            return self.end(End::GaveUp);
        };
        self.actions.push(Action::Restarting(place));
        let group = self.group_of(place);
        if group.len() > 1 {
            let queue = group.into_iter().rev().collect();
            self.phase = Phase::Stopping { queue, then: Then::Restart { place, pause } };
        } else {
            self.start_after(place, pause);
        }
    }

    fn start_after(&mut self, place: Place, pause: Duration) {
        // One that is gone by now had company that is still to be started.
        if pause.is_zero() || !self.rows.contains_key(&place) {
            return self.start_again(place);
        }
        let token = self.wait(pause);
        if let Some(row) = self.rows.get_mut(&place) {
            row.state = State::Waiting(token);
        }
    }

    /// Starts a child and those that are down with it.
    fn start_again(&mut self, place: Place) {
        let is_down = |place: &Place| self.rows.get(place).is_some_and(|row| row.state.is_down());
        let queue = self.group_of(place).into_iter().filter(is_down).collect();
        self.start_in_order(queue);
    }

    fn start_in_order(&mut self, queue: VecDeque<Place>) {
        if self.flags.strategy == Strategy::SimpleOneForOne {
            queue.into_iter().for_each(|place| self.start(place));
        } else {
            self.phase = Phase::Starting { queue, is_first: false, current: None };
        }
    }

    /// Those that are restarted with a child, itself included, in the order of their start.
    fn group_of(&self, place: Place) -> Vec<Place> {
        match self.flags.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => vec![place],
            Strategy::OneForAll => self.rows.keys().copied().collect(),
            Strategy::RestForOne => self.rows.range(place..).map(|(place, _)| *place).collect(),
        }
    }

    fn start(&mut self, place: Place) {
        let Some(row) = self.rows.get_mut(&place) else { return };
        row.state = State::Starting;
        self.actions.push(Action::Start(place));
    }

    fn remove(&mut self, place: Place) {
        self.rows.remove(&place);
        self.actions.push(Action::Remove(place));
    }

    fn wait(&mut self, pause: Duration) -> Token {
        self.tokens += 1;
        self.actions.push(Action::Wait(self.tokens, pause));
        self.tokens
    }
}

#[cfg(test)]
mod tests;
