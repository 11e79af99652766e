//! Who reads what happens in the stored runs of this process: at most one for each run.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_store::RunId;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::super::drive::Reader;
use super::super::message::{Ended, RunEvent};

/// Events that wait for the reader. When it is slow, the run waits.
const EVENTS: usize = 32;

/// The readers of all runs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::workflows) struct Followers(Arc<Mutex<HashMap<RunId, Followed>>>);

/// A run that is at work, or that somebody wants to read.
#[derive(Debug, Default)]
struct Followed {
    reader: Option<(u64, mpsc::Sender<RunEvent>)>,
    /// How many readers there have been.
    readers: u64,
    /// What happened to stages, for a reader who comes later: at most four events for each.
    past: Vec<RunEvent>,
    ended: Arc<Mutex<Option<Ended>>>,
}

/// The reader of a run, until another one comes.
#[derive(Debug)]
pub(super) struct Follower {
    of: Followers,
    run: RunId,
    number: u64,
    /// What happened before it came.
    pub(super) past: Vec<RunEvent>,
    pub(super) events: mpsc::Receiver<RunEvent>,
    ended: Arc<Mutex<Option<Ended>>>,
}

impl Followers {
    /// Makes the caller the reader of a run. The one before reads nothing more.
    pub(super) fn attach(&self, run: &RunId) -> Follower {
        let (sender, events) = mpsc::channel(EVENTS);
        let mut runs = self.0.lock();
        let followed = runs.entry(run.clone()).or_default();
        followed.readers += 1;
        let number = followed.readers;
        followed.reader = Some((number, sender));
        let (past, ended) = (followed.past.clone(), Arc::clone(&followed.ended));
        Follower { of: self.clone(), run: run.clone(), number, past, events, ended }
    }

    /// The run in this process, which tells its reader what happens.
    pub(super) fn of(&self, run: &RunId) -> Told {
        self.0.lock().entry(run.clone()).or_default();
        Told { of: self.clone(), run: run.clone() }
    }
}

impl Follower {
    /// Whether no other reader has come.
    pub(super) fn is_current(&self) -> bool {
        let runs = self.of.0.lock();
        let reader = runs.get(&self.run).and_then(|followed| followed.reader.as_ref());
        reader.is_none_or(|(number, _)| *number == self.number)
    }

    /// What the run said at its end.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.lock().clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut runs = self.of.0.lock();
        if let Some(followed) = runs.get_mut(&self.run)
            && followed.reader.as_ref().is_some_and(|(number, _)| *number == self.number)
        {
            followed.reader = None;
        }
    }
}

/// A run that is at work. Dropped, its reader reads to the end.
#[derive(Debug)]
pub(super) struct Told {
    of: Followers,
    run: RunId,
}

impl Told {
    /// Says how the run ends, if what it did last becomes durable.
    pub(super) fn ends(&self, ended: Ended) {
        if let Some(followed) = self.of.0.lock().get(&self.run) {
            *followed.ended.lock() = Some(ended);
        }
    }
}

impl Reader for Told {
    async fn tell(&self, event: RunEvent) {
        let sender = {
            let mut runs = self.of.0.lock();
            let Some(followed) = runs.get_mut(&self.run) else { return };
            if is_of_a_stage(&event) {
                followed.past.push(event.clone());
            }
            followed.reader.as_ref().map(|(_, sender)| sender.clone())
        };
        if let Some(sender) = sender {
            // One who goes meanwhile needs it no more.
            let _ = sender.send(event).await;
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.of.0.lock().remove(&self.run);
    }
}

fn is_of_a_stage(event: &RunEvent) -> bool {
    matches!(
        event,
        RunEvent::StageStarted { .. }
            | RunEvent::StageFinished { .. }
            | RunEvent::StageRestored { .. }
            | RunEvent::CoordinatorDecided { .. }
    )
}
