//! The control lane: one place for each kind of order, so that orders neither queue nor wait behind messages.

use std::task::Waker;

use ractor::ActorCell;

use super::inner::{Inner, ring, wake};
use crate::actor::{Actor, ExitReason};
use crate::error::AskError;
use crate::info::ActorInfo;

/// Whom to ring, and what the actor was told.
#[derive(Default)]
pub(crate) struct Gate {
    /// The task of the incarnation that has the seat.
    pub(super) task: Option<ActorCell>,
    /// The bell of an actor that rests. It is taken to be rung, so it rings once for each rest.
    pub(super) bell: Option<Waker>,
    pub(super) is_paused: bool,
    /// No new messages.
    pub(super) is_closed: bool,
    pub(super) is_draining: bool,
    pub(super) is_stopping: bool,
    pub(super) is_killed: bool,
    /// This incarnation is to end; another follows, or may.
    pub(super) is_halting: bool,
    pub(super) is_cut: bool,
}

impl Gate {
    /// Whether the actor must not take the next message.
    pub(super) fn is_shut(&self) -> bool {
        self.is_paused || self.must_end()
    }

    pub(super) fn must_end(&self) -> bool {
        self.is_stopping || self.is_killed || self.is_halting || self.is_cut
    }
}

impl<A: Actor> Inner<A> {
    pub(crate) fn stop(&self) {
        self.turn(|gate| {
            gate.is_stopping = true;
            gate.is_closed = true;
        });
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
        let task = self.turn(|gate| {
            gate.is_killed = true;
            gate.is_closed = true;
            gate.task.clone()
        });
        if let Some(task) = task {
            task.kill();
        }
        self.life.call_supervisor();
    }

    /// Ends this incarnation after the message in hand; the mailbox stays open.
    pub(crate) fn halt(&self) {
        self.turn(|gate| gate.is_halting = true);
    }

    /// Ends this incarnation at its next await; the mailbox stays open.
    pub(crate) fn cut(&self) {
        let task = self.turn(|gate| {
            gate.is_cut = true;
            gate.task.clone()
        });
        if let Some(task) = task {
            task.kill();
        }
    }

    /// Another incarnation follows: messages are let in again, unless the actor was told to end for good.
    pub(crate) fn make_ready(&self) {
        self.turn(|gate| {
            gate.task = None;
            gate.is_halting = false;
            gate.is_cut = false;
            gate.is_closed = gate.is_stopping || gate.is_draining || gate.is_killed;
        });
    }

    pub(crate) fn pause(&self, is_paused: bool) {
        self.turn(|gate| gate.is_paused = is_paused);
    }

    /// A new incarnation takes its seat: from now on it can be killed.
    pub(crate) fn sit(&self, task: &ActorCell) {
        let is_killed = self.turn(|gate| {
            gate.bell = None;
            gate.task = Some(task.clone());
            gate.is_killed || gate.is_cut
        });
        if is_killed {
            task.kill();
        }
    }

    /// How the actor was told to end, if it was; a drain counts when the mailbox is empty.
    pub(crate) fn ending(&self) -> Option<ExitReason> {
        let queue = self.lock();
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
        let queue = self.lock();
        let queued = queue.ledger.queued();
        ActorInfo {
            serial: self.life.serial(),
            name: self.life.path().to_owned(),
            class: self.life.class(),
            len: queued.messages,
            capacity: self.capacity().messages,
            bytes: queued.bytes,
            is_high: queue.is_high(),
            state: self.life.state(queue.gate.is_paused),
            restarts: self.life.restarts(),
            last_crash: self.life.last_crash(),
            counters: queue.counted(),
        }
    }

    /// Why there is no room: no more messages at all, or none now.
    pub(crate) fn refusal(&self) -> AskError {
        let is_closed = self.lock().gate.is_closed;
        if is_closed { self.not_running() } else { self.full() }
    }

    pub(crate) fn count_crash(&self) {
        self.lock().counters.crashed += 1;
    }

    /// Changes the gate, then rings if that is due now.
    pub(super) fn turn<T>(&self, change: impl FnOnce(&mut Gate) -> T) -> T {
        let mut wakes = Vec::new();
        let mut queue = self.lock();
        let result = change(&mut queue.gate);
        self.set_attention(queue.gate.is_shut());
        if queue.gate.is_closed {
            queue.ledger.dismiss(&mut wakes);
        }
        let bell = queue.ring();
        drop(queue);
        wake(wakes);
        ring(bell);
        result
    }
}
