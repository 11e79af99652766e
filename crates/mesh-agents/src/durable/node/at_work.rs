//! Runs that are at work on this node.

use std::sync::Arc;

use mesh::{ActorRef, ActorSpec, Restart};
use mesh_store::RunId;
use parking_lot::Mutex;

use super::RunsActor;
use crate::durable::RunError;
use crate::durable::actor::RunActor;
use crate::durable::control::Control;
use crate::durable::driver::Begin;

/// Runs that a node has at work at once.
const RUNS_MAX: usize = 1024;

/// A run that is at work on this node.
#[derive(Debug)]
pub(super) struct AtWork {
    pub(super) control: Control,
    actor: ActorRef<RunActor>,
}

impl RunsActor {
    /// The run's control, if it is at work here.
    pub(super) fn control(&mut self, run: &RunId) -> Option<Control> {
        self.at_work.retain(|_, at_work| !at_work.control.seen().is_over);
        self.at_work.get(run).map(|at_work| at_work.control.clone())
    }

    /// Takes a run up, and gives it an actor.
    pub(super) async fn take(&mut self, run: &RunId, begin: Begin) -> Result<(), RunError> {
        self.control(run);
        if self.at_work.len() >= RUNS_MAX {
            let reason = format!("this node has {RUNS_MAX} runs at work, as many as it can have");
            return Err(RunError::Unavailable { reason });
        }
        let control = Control::new();
        let driver = self.runs.take(run, begin, control.clone(), Some(self.mesh.clone())).await?;
        let name = format!("{}/{run}", Self::NAME);
        let driver = Arc::new(Mutex::new(Some(driver)));
        // Its state is in the store: a new incarnation would have to take it up there, as anybody may.
        let spec = ActorSpec::new(&name).mailbox(16).restart(Restart::Temporary);
        let actor = self.mesh.spawn(spec, {
            let (run, control) = (run.clone(), control.clone());
            move || RunActor::new(run.clone(), control.clone(), driver.lock().take())
        });
        if let Err(error) = self.mesh.publish(&name, &actor) {
            // It is found through this actor all the same.
            tracing::debug!(%run, %error, "run has no name of its own");
        }
        tracing::info!(%run, ?begin, "run is taken up");
        self.refused.remove(run);
        self.at_work.insert(run.clone(), AtWork { control, actor });
        Ok(())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        // Whoever kept it is gone: a new incarnation could not control what it does not know.
        if !self.control.seen().is_over {
            self.actor.stop();
        }
    }
}
