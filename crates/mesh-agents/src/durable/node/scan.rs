//! Taking up runs that nobody holds.

use std::time::Duration;

use mesh::{ActorRef, Context, Handler, Message};
use mesh_store::{Resource, Run, RunFilter, RunId};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::RunsActor;
use crate::durable::RunError;
use crate::durable::driver::Begin;
use crate::durable::run_context::state_name;
use crate::lifecycle::AgentState;

/// The states of runs on which somebody should be at work.
const LIVE: [AgentState; 4] =
    [AgentState::Idle, AgentState::Planning, AgentState::Executing, AgentState::WaitingHuman];

/// Looks for runs that nobody holds.
pub(super) struct Scan;

impl Message for Scan {
    type Reply = ();
}

impl Handler<Scan> for RunsActor {
    async fn handle(&mut self, _: Scan, _: &mut Context<Self>) {
        for state in LIVE {
            if let Err(error) = self.take_up_all(state).await {
                tracing::warn!(%error, "cannot look for runs that nobody holds");
                return;
            }
        }
    }
}

impl RunsActor {
    async fn take_up_all(&mut self, state: AgentState) -> Result<(), RunError> {
        let mut after: Option<RunId> = None;
        loop {
            let (status, limit) = (Some(state_name(state)), 1000);
            let filter = RunFilter { status, after: after.take(), limit, ..RunFilter::default() };
            let found = self.runs.store.runs(filter).await?;
            after = found.last().map(|run| run.id.clone());
            for run in &found {
                self.take_up(run).await?;
            }
            if found.len() < 1000 {
                return Ok(());
            }
        }
    }

    async fn take_up(&mut self, run: &Run) -> Result<(), RunError> {
        let is_ours = self.runs.kinds.contains_key(run.kind.as_str()) && !self.refused.contains(&run.id);
        if !is_ours || self.control(&run.id).is_some() {
            return Ok(());
        }
        let now_ms = self.runs.settings.clock.now_ms();
        let holder = self.runs.store.holder(Resource::Run(run.id.clone())).await?;
        if holder.is_some_and(|lease| lease.until_ms > now_ms) {
            return Ok(());
        }
        match self.take(&run.id, Begin::TakeUp).await {
            Ok(()) | Err(RunError::Unavailable { .. }) => Ok(()),
            // Somebody else was faster, or will be.
            Err(RunError::Store(error)) if error.is_transient() => Ok(()),
            Err(error) => {
                tracing::warn!(run = %run.id, %error, "run cannot be taken up here");
                self.refused.insert(run.id.clone());
                Ok(())
            }
        }
    }
}

/// Asks for a scan again and again.
#[derive(Debug)]
pub(super) struct Ticker {
    task: JoinHandle<()>,
}

impl Ticker {
    pub(super) fn start(pause: Duration, actor: ActorRef<RunsActor>) -> Self {
        let task = tokio::spawn(async move {
            let mut ticks = interval(pause.max(Duration::from_millis(20)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // One that waits already does.
                let _ = actor.try_tell(Scan);
            }
        });
        Self { task }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
