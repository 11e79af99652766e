//! The control lane: one place for each kind of order, so that orders neither queue nor wait behind messages.

use std::sync::atomic::Ordering;

use super::{Inner, ring, wake};
use crate::actor::{Actor, ExitReason};
use crate::cell::Bell;
use crate::error::AskError;
use crate::info::ActorInfo;

/// Who rings whom, and what the actor was told.
#[derive(Default)]
pub(crate) struct Gate {
    pub(super) bell: Option<Bell>,
    /// The actor has started, and answers its bell.
    pub(super) is_listening: bool,
    /// The bell was rung and not answered yet: at most one ring is under way.
    pub(super) is_rung: bool,
    pub(super) is_paused: bool,
    /// No new messages.
    pub(super) is_closed: bool,
    pub(super) is_draining: bool,
    pub(super) is_stopping: bool,
    pub(super) is_killed: bool,
}

impl Gate {
    /// Whether the actor must not take the next message.
    pub(super) fn is_shut(&self) -> bool {
        self.is_paused || self.must_end()
    }

    pub(super) fn must_end(&self) -> bool {
        self.is_stopping || self.is_killed
    }
}

impl<A: Actor> Inner<A> {
    pub(crate) fn stop(&self) {
        let bell = self.turn(|gate| {
            gate.is_stopping = true;
            gate.is_closed = true;
        });
        if let Some(bell) = bell {
            bell.stop();
        }
        self.life.call_supervisor();
    }

    pub(crate) fn drain(&self) {
        self.turn(|gate| {
            gate.is_draining = true;
            gate.is_closed = true;
        });
        self.life.call_supervisor();
    }

    pub(crate) fn kill(&self) {
        let bell = self.turn(|gate| {
            gate.is_killed = true;
            gate.is_closed = true;
        });
        if let Some(bell) = bell {
            bell.kill();
        }
        self.life.call_supervisor();
    }

    pub(crate) fn pause(&self, is_paused: bool) {
        self.turn(|gate| gate.is_paused = is_paused);
    }

    /// A new incarnation takes its seat: it can be stopped and killed, but takes no message yet.
    pub(crate) fn sit(&self, bell: &Bell) {
        let mut must_end = false;
        self.turn(|gate| {
            gate.is_listening = false;
            gate.is_rung = false;
            gate.bell = Some(bell.clone());
            must_end = gate.must_end();
        });
        if must_end {
            bell.kill();
        }
    }

    /// The incarnation has started: it is rung for what waits, and for an order to drain.
    pub(crate) fn listen(&self) {
        self.turn(|gate| gate.is_listening = true);
    }

    /// How the actor was told to end, if it was; a drain counts when the mailbox is empty.
    pub(crate) fn ending(&self) -> Option<ExitReason> {
        let queue = self.queue.lock();
        let gate = &queue.gate;
        if gate.is_killed {
            Some(ExitReason::Killed)
        } else if gate.is_stopping {
            Some(ExitReason::Stopped)
        } else if gate.is_draining && queue.is_empty() {
            Some(ExitReason::Drained)
        } else {
            None
        }
    }

    pub(crate) fn info(&self) -> ActorInfo {
        let queue = self.queue.lock();
        let queued = queue.ledger.queued();
        ActorInfo {
            serial: self.life.serial(),
            name: self.life.path().to_owned(),
            class: self.life.class(),
            len: queued.messages,
            capacity: self.capacity.messages,
            bytes: queued.bytes,
            is_high: queue.is_high(),
            state: self.life.state(queue.gate.is_paused),
            restarts: self.life.restarts(),
            last_crash: self.life.last_crash(),
            counters: queue.counters,
        }
    }

    /// Why there is no room: no more messages at all, or none now.
    pub(crate) fn refusal(&self) -> AskError {
        let is_closed = self.queue.lock().gate.is_closed;
        if is_closed { self.not_running() } else { self.full() }
    }

    pub(crate) fn count_crash(&self) {
        self.queue.lock().counters.crashed += 1;
    }

    /// Changes the gate, then rings if that is due now. Gives the bell of the incarnation in its seat.
    pub(super) fn turn(&self, change: impl FnOnce(&mut Gate)) -> Option<Bell> {
        let mut wakes = Vec::new();
        let mut queue = self.queue.lock();
        change(&mut queue.gate);
        self.attention.store(queue.gate.is_shut(), Ordering::Relaxed);
        if queue.gate.is_closed {
            queue.ledger.dismiss(&mut wakes);
        }
        let seated = queue.gate.bell.clone();
        let due = queue.ring();
        drop(queue);
        wake(wakes);
        ring(due);
        seated
    }
}
