//! What happens in supervision, for whoever listens.

use tokio::sync::broadcast;

use crate::remedy::Remedy;

/// Events that a slow listener may be behind.
const EVENTS_MAX: usize = 1024;

/// Something that happened to an actor or a supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionEvent {
    /// An actor under a supervisor has started, or started again.
    Started {
        /// Its name.
        path: String,
        /// How often it was restarted before.
        restarts: u32,
    },
    /// An actor has crashed.
    Crashed {
        /// Its name.
        path: String,
        /// Why.
        reason: String,
        /// What is done about it, beyond the restart that the rules allow.
        remedy: Remedy,
    },
    /// An actor or a supervisor is started again.
    Restarting {
        /// Its name.
        path: String,
    },
    /// An actor that crashed, or a supervisor, is not started again.
    GaveUp {
        /// Its name.
        path: String,
        /// Why.
        reason: String,
    },
    /// A supervisor has given up, and its own supervisor decides what follows.
    Escalated {
        /// The supervisor that gave up.
        path: String,
        /// Its own supervisor.
        to: String,
    },
}

/// Where events come from; without listeners they are not made.
pub(crate) struct Events(broadcast::Sender<SupervisionEvent>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(EVENTS_MAX))
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SupervisionEvent> {
        self.0.subscribe()
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> SupervisionEvent) {
        if self.0.receiver_count() > 0 {
            // The last listener may have just gone.
            let _ = self.0.send(event());
        }
    }
}
