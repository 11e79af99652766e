//! What a supervisor does step by step: children start in order, each when the one before has started, and stop in
//! reverse, each when the one after has ended.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Action, End, Pending, Place, Restart, Rules, Shutdown, State, Strategy};

#[derive(Debug)]
pub(super) enum Phase {
    /// It waits for what happens.
    Idle,
    Starting {
        queue: VecDeque<Place>,
        /// Whether the supervisor itself is starting.
        is_first: bool,
        current: Option<Place>,
    },
    Stopping {
        queue: VecDeque<Place>,
        then: Then,
    },
    /// It has not begun, or has ended.
    Over,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Restart { place: Place, pause: Duration },
    End(End),
}

impl Phase {
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Stopping { .. })
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self, Self::Stopping { then: Then::End(_), .. } | Self::Over)
    }

    /// A child that was waited for has started, or is gone.
    pub(super) fn is_done_with(&mut self, place: Place) {
        if let Self::Starting { current, .. } = self {
            current.take_if(|current| *current == place);
        }
    }
}

impl Rules {
    /// Goes on with what is being done, as far as it goes now.
    pub(super) fn advance(&mut self) {
        loop {
            match &mut self.phase {
                Phase::Idle | Phase::Over => return,
                Phase::Starting { current: Some(_), .. } => return,
                Phase::Starting { queue, is_first, current } => {
                    let Some(place) = queue.pop_front() else {
                        if *is_first {
                            self.actions.push(Action::Ready);
                        }
                        self.phase = Phase::Idle;
                        return;
                    };
                    if self.rows.get(&place).is_some_and(|row| row.state.is_down()) {
                        *current = Some(place);
                        self.start(place);
                    }
                }
                Phase::Stopping { .. } if self.stopping > 0 => return,
                Phase::Stopping { queue, then } => {
                    let then = *then;
                    match queue.pop_front() {
                        Some(place) => self.stop(place),
                        None => self.have_stopped(then),
                    }
                }
            }
        }
    }

    fn stop(&mut self, place: Place) {
        let Some(row) = self.rows.get(&place) else { return };
        match (row.state, row.spec.shutdown) {
            (State::Live | State::Starting, Shutdown::Kill) => {
                self.told_to_stop(place, 0);
                self.actions.push(Action::Kill(place));
            }
            (State::Live | State::Starting, shutdown) => {
                self.actions.push(Action::Stop(place));
                let token = if let Shutdown::Within(limit) = shutdown { self.wait(limit) } else { 0 };
                self.told_to_stop(place, token);
            }
            // It ended by itself before its turn came; nothing else is to follow from that.
            (State::Ended, _) => {
                self.pending.retain(|pending| !matches!(pending, Pending::Ended(of, _) if *of == place));
                self.is_down(place);
            }
            (State::Down | State::Failed | State::Waiting(_), _) => self.is_down(place),
            (State::Stopping(_), _) => {}
        }
    }

    fn told_to_stop(&mut self, place: Place, token: u64) {
        if let Some(row) = self.rows.get_mut(&place) {
            row.state = State::Stopping(token);
            self.stopping += 1;
        }
    }

    /// A child that was told to end has ended.
    pub(super) fn has_stopped(&mut self, place: Place) {
        self.stopping -= 1;
        self.is_down(place);
    }

    /// A child does not run any more; a temporary one is not started with the others.
    fn is_down(&mut self, place: Place) {
        let Some(row) = self.rows.get_mut(&place) else { return };
        row.state = State::Down;
        if row.spec.restart == Restart::Temporary {
            self.remove(place);
        }
    }

    fn have_stopped(&mut self, then: Then) {
        match then {
            Then::Restart { place, pause } => {
                self.phase = Phase::Idle;
                self.start_after(place, pause);
            }
            Then::End(end) => {
                let dynamic = |(place, row): (&Place, &super::Row)| row.is_dynamic.then_some(*place);
                let forgotten: Vec<Place> = self.rows.iter().filter_map(dynamic).collect();
                forgotten.into_iter().for_each(|place| self.remove(place));
                self.pending.clear();
                self.phase = Phase::Over;
                self.actions.push(Action::Over(end));
            }
        }
    }

    /// A child did not start.
    pub(super) fn start_failed(&mut self, place: Place) {
        let is_first = matches!(self.phase, Phase::Starting { is_first: true, .. });
        if let Some(row) = self.rows.get_mut(&place) {
            row.state = State::Failed;
        }
        if is_first {
            return self.end(End::StartFailed);
        }
        if matches!(self.phase, Phase::Starting { current: Some(current), .. } if current == place) {
            // Those after it stay down until it is tried again.
            self.phase = Phase::Idle;
        }
        self.pending.push_back(Pending::TryAgain(place));
    }

    /// Stops all children, and ends.
    pub(super) fn end(&mut self, end: End) {
        if self.phase.is_ending() {
            return;
        }
        let queue: VecDeque<Place> = self.rows.keys().rev().copied().collect();
        let is_simple = self.flags.strategy == Strategy::SimpleOneForOne;
        let at_once = if is_simple { queue.clone() } else { VecDeque::new() };
        self.phase = Phase::Stopping { queue, then: Then::End(end) };
        at_once.into_iter().for_each(|place| self.stop(place));
    }

    /// Kills all children, and ends.
    pub(super) fn kill(&mut self) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        let places: Vec<Place> = self.rows.keys().rev().copied().collect();
        self.phase = Phase::Stopping { queue: places.iter().copied().collect(), then: Then::End(End::Asked) };
        for place in places {
            match self.rows.get(&place).map(|row| row.state) {
                Some(State::Live | State::Starting) => {
                    self.told_to_stop(place, 0);
                    self.actions.push(Action::Kill(place));
                }
                Some(State::Stopping(_)) => self.actions.push(Action::Kill(place)),
                _ => {}
            }
        }
    }
}
