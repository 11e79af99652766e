//! The actor of one run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh::{Actor, Context, Items, Kinds, StartError, StreamHandler, WireActor};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;

use super::drive::Drive;
use super::item::Around;
use super::message::{Ended, RunEvent, RunWorkflow};
use crate::idle::IdleStop;
use crate::workflow::{Outcome, Run};

/// How long a run waits to be started.
const UNSTARTED_MAX: Duration = Duration::from_secs(60);

/// A run, before, while and shortly after it runs.
#[derive(Debug)]
pub(super) struct RunActor {
    around: Arc<Around>,
    task: Arc<str>,
    idle: Option<IdleStop>,
    /// The run's place among those that the node may have.
    _slot: Option<OwnedSemaphorePermit>,
}

impl RunActor {
    pub(super) fn new(around: Arc<Around>, task: Arc<str>, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { around, task, idle: None, _slot: slot }
    }
}

impl Actor for RunActor {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        self.idle = Some(IdleStop::after(UNSTARTED_MAX, cx.me().clone()));
        Ok(())
    }
}

impl WireActor for RunActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.stream::<RunWorkflow>()
    }
}

impl StreamHandler<RunWorkflow> for RunActor {
    async fn stream(&mut self, _: RunWorkflow, items: Items<RunEvent>, cx: &mut Context<Self>) -> Ended {
        self.idle = None;
        cx.stop();
        let run = Run::new(Arc::clone(&self.around.plan), Arc::clone(&self.task));
        let deadline = cx.deadline();
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let mut drive = Drive::new(Arc::clone(&self.around), run);
        let outcome = tokio::select! {
            biased;
            () = cx.cancelled() => cancelled("nobody waits for the result"),
            () = items.closed() => cancelled("nobody reads what happens"),
            outcome = drive.run(&items) => outcome,
            () = late => cancelled("the time for the whole run is over"),
        };
        let ended = drive.progress().ended(outcome, self.around.asked.load(Ordering::Relaxed) > 0);
        tracing::info!(run = self.around.run, elapsed_ms = ended.elapsed_ms, "run has ended");
        ended
    }
}

fn cancelled(reason: &str) -> Outcome {
    Outcome::Cancelled { reason: reason.to_owned() }
}
