//! What others want of a run that is at work.

use std::sync::Arc;

use mesh::Cancel;
use tokio::sync::watch;

use crate::lifecycle::AgentState;

/// What is wanted of a run. Later ones are not undone by earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// That it goes on.
    Run,
    /// That it holds after the step at which it is.
    Pause,
    /// That it lets go after the step at which it is, so that another node can go on.
    HandOver,
    /// That it ends, without waiting for the step at which it is.
    Cancel,
}

/// Where a run stands, for those who look at it from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: AgentState,
    pub(super) current_step: u64,
    pub(super) is_over: bool,
}

/// The two ends meet here: who controls the run, and the run. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Control {
    wanted: Arc<watch::Sender<Wanted>>,
    seen: Arc<watch::Sender<Seen>>,
    /// Set for good with [`Wanted::Cancel`].
    cancel: Cancel,
}

impl Control {
    pub(super) fn new() -> Self {
        let seen = Seen { state: AgentState::Idle, current_step: 0, is_over: false };
        Self {
            wanted: Arc::new(watch::Sender::new(Wanted::Run)),
            seen: Arc::new(watch::Sender::new(seen)),
            cancel: Cancel::new(),
        }
    }

    /// Says what is wanted. A pause that did not take effect yet can be taken back; the rest cannot.
    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|now| {
            let is_news = wanted > *now || *now == Wanted::Pause && wanted == Wanted::Run;
            if is_news {
                *now = wanted;
            }
            is_news
        });
        if wanted == Wanted::Cancel {
            self.cancel.cancel();
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        *self.wanted.borrow()
    }

    /// Set when the run is to be cancelled: what its steps see.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Waits until at least this much is wanted.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub(super) async fn until(&self, least: Wanted) {
        let mut wanted = self.wanted.subscribe();
        // The sender is this value's own.
        let _ = wanted.wait_for(|wanted| *wanted >= least).await;
    }

    /// Waits until at least this much is wanted of a run that waits for a person: there is no end of its step to wait for.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn until_left_waiting(&self, least: Wanted) {
        let (mut wanted, mut seen) = (self.wanted.subscribe(), self.seen.subscribe());
        loop {
            let is_wanted = *wanted.borrow_and_update() >= least;
            if is_wanted && seen.borrow_and_update().state == AgentState::WaitingHuman {
                return;
            }
            // The senders are this value's own.
            tokio::select! {
                _ = wanted.changed() => {}
                _ = seen.changed() => {}
            }
        }
    }

    /// Tells where the run stands.
    pub(super) fn show(&self, state: AgentState, current_step: u64) {
        self.seen.send_if_modified(|seen| {
            let now = Seen { state, current_step, is_over: seen.is_over };
            std::mem::replace(seen, now) != now
        });
    }

    /// Tells that nobody works on the run any more.
    pub(super) fn over(&self) {
        self.seen.send_modify(|seen| seen.is_over = true);
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }
}
