//! What of an actor lasts as long as anybody refers to it: its names, its stage, and how it ended.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::actor::ExitReason;
use crate::dead_letters::DeadLetters;
use crate::info::ActorState;
use crate::remedy::Remedy;
use crate::spec::{Class, Listing};
use crate::supervisor::Supervision;
use crate::watermark::Watermarks;

pub(crate) struct Life {
    serial: u64,
    path: Arc<str>,
    class: Class,
    listing: Listing,
    redeliver: u8,
    supervision: Supervision,
    stage: AtomicU8,
    restarts: AtomicU32,
    last_crash: Mutex<Option<Box<LastCrash>>>,
    exit: OnceLock<ExitReason>,
    exited: Notify,
}

/// Boxed, since most actors never crash.
struct LastCrash {
    reason: String,
    remedy: Remedy,
}

/// Where an actor is between its spawning and its end.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Starting = 0,
    Running = 1,
    Restarting = 2,
    /// It has ended, and starts again only with others.
    Resting = 3,
}

impl Life {
    pub(crate) fn new(
        serial: u64,
        path: Arc<str>,
        class: Class,
        listing: Listing,
        redeliver: u8,
        supervision: Supervision,
    ) -> Self {
        Self {
            serial,
            path,
            class,
            listing,
            redeliver,
            supervision,
            stage: AtomicU8::new(Stage::Starting as u8),
            restarts: AtomicU32::new(0),
            last_crash: Mutex::new(None),
            exit: OnceLock::new(),
            exited: Notify::new(),
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn shared_path(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// How often a tell is handled again that crashed the actor.
    pub(crate) fn redeliver(&self) -> u8 {
        self.redeliver
    }

    pub(crate) fn dead_letters(&self) -> &DeadLetters {
        self.supervision.dead_letters()
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        self.supervision.watermarks()
    }

    pub(crate) fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(crate) fn last_crash(&self) -> Option<String> {
        self.last_crash.lock().as_ref().map(|crash| crash.reason.clone())
    }

    /// Asks the supervisor to look at this actor: it may wait for a restart that is no longer wanted.
    pub(crate) fn call_supervisor(&self) {
        self.supervision.look_at(self.serial);
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    pub(crate) fn remedy(&self) -> Option<Remedy> {
        self.last_crash.lock().as_ref().map(|crash| crash.remedy.clone())
    }

    pub(crate) fn crashed(&self, reason: &str, remedy: Remedy) {
        *self.last_crash.lock() = Some(Box::new(LastCrash { reason: reason.to_owned(), remedy }));
    }

    pub(crate) fn restarting(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.enter(Stage::Restarting);
    }

    pub(crate) fn end(&self, reason: ExitReason) {
        // Only the first end counts.
        let _ = self.exit.set(reason);
        self.exited.notify_waiters();
    }

    pub(crate) fn state(&self, is_paused: bool) -> ActorState {
        const RUNNING: u8 = Stage::Running as u8;
        const RESTARTING: u8 = Stage::Restarting as u8;
        const RESTING: u8 = Stage::Resting as u8;
        match self.stage.load(Ordering::Acquire) {
            _ if self.exit.get().is_some() => ActorState::Stopped,
            RESTING => ActorState::Stopped,
            RUNNING if is_paused => ActorState::Paused,
            RUNNING => ActorState::Running,
            RESTARTING => ActorState::Restarting,
            _ => ActorState::Starting,
        }
    }

    pub(crate) fn exit(&self) -> Option<&ExitReason> {
        self.exit.get()
    }

    pub(crate) async fn stopped(&self) -> ExitReason {
        loop {
            // Made before the outcome is read: `notify_waiters` reaches every `Notified` that exists by then.
            let exited = self.exited.notified();
            if let Some(reason) = self.exit.get() {
                return reason.clone();
            }
            exited.await;
        }
    }
}
