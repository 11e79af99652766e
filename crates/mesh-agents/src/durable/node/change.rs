//! What changes runs: start, resume, fork, pause, cancel and delete.

use mesh::{Context, Handler};
use mesh_store::{CheckpointId, NewEntry, NewRun, RunId, StoreError};
use serde_json::json;

use super::RunsActor;
use crate::durable::RunError;
use crate::durable::control::Wanted;
use crate::durable::driver::Begin;
use crate::durable::load::{CREATED, document_of};
use crate::durable::message::{
    CancelRun, DeleteRun, ForkRun, PauseRun, ResumeRun, RunDeleted, RunRefused, RunRow, StartRun,
};
use crate::durable::pack::UnpackError;
use crate::durable::runs::Order;
use crate::lifecycle::{AgentState, IllegalTransition, LifecycleEvent};

/// The largest task, as that of a workflow: 1 MiB, with what JSON makes of it.
const TASK_BYTES_MAX: usize = (1 << 20) - 1024;

impl Handler<StartRun> for RunsActor {
    async fn handle(&mut self, start: StartRun, _: &mut Context<Self>) -> Result<RunRow, RunRefused> {
        Ok(self.start(start).await?)
    }
}

impl Handler<ResumeRun> for RunsActor {
    async fn handle(&mut self, resume: ResumeRun, _: &mut Context<Self>) -> Result<RunRow, RunRefused> {
        let run = run_id(&resume.run)?;
        match self.control(&run) {
            // It is at work; at most, a pause is taken back.
            Some(control) => control.want(Wanted::Run),
            None => self.take(&run, Begin::Resume).await?,
        }
        Ok(self.row(&run).await?)
    }
}

impl Handler<PauseRun> for RunsActor {
    async fn handle(&mut self, pause: PauseRun, _: &mut Context<Self>) -> Result<RunRow, RunRefused> {
        let run = run_id(&pause.run)?;
        match self.control(&run) {
            Some(control) => control.want(Wanted::Pause),
            None => self.rests(&run, AgentState::Paused, LifecycleEvent::Pause).await?,
        }
        Ok(self.row(&run).await?)
    }
}

impl Handler<CancelRun> for RunsActor {
    async fn handle(&mut self, cancel: CancelRun, _: &mut Context<Self>) -> Result<RunRow, RunRefused> {
        let run = run_id(&cancel.run)?;
        match self.control(&run) {
            Some(control) => control.want(Wanted::Cancel),
            None => self.cancel(&run).await?,
        }
        Ok(self.row(&run).await?)
    }
}

impl Handler<ForkRun> for RunsActor {
    async fn handle(&mut self, fork: ForkRun, _: &mut Context<Self>) -> Result<RunRow, RunRefused> {
        Ok(self.fork(fork).await?)
    }
}

impl Handler<DeleteRun> for RunsActor {
    async fn handle(&mut self, delete: DeleteRun, _: &mut Context<Self>) -> Result<RunDeleted, RunRefused> {
        let run = run_id(&delete.run)?;
        if self.control(&run).is_some() {
            return Err(RunError::AtWork { run: delete.run }.into());
        }
        let lease = self.runs.lease(&run).await?;
        if let Err(error) = self.runs.store.delete_run(&lease).await {
            // It stays as it was, free for whoever is next.
            let _ = self.runs.store.release(&lease).await;
            return Err(error.into());
        }
        tracing::info!(%run, "run is deleted");
        Ok(RunDeleted { run: delete.run })
    }
}

impl RunsActor {
    async fn start(&mut self, start: StartRun) -> Result<RunRow, RunError> {
        let StartRun { agent, task, run, tags, afresh } = start;
        if task.len() > TASK_BYTES_MAX {
            let (what, bytes, max) = ("task", task.len(), TASK_BYTES_MAX);
            return Err(StoreError::TooLarge { what, bytes, max }.into());
        }
        let order = Order { agent, task, run, tags, ..Order::default() };
        let (run, is_new) = match self.runs.create(&order).await {
            Ok(run) => (run.id, true),
            Err(RunError::Store(StoreError::Conflict { id, .. })) if afresh => {
                let run = run_id(&id)?;
                if self.control(&run).is_some() {
                    return Err(RunError::AtWork { run: id });
                }
                (run, false)
            }
            Err(error) => return Err(error),
        };
        match self.take(&run, Begin::Start).await {
            // Another node that looked for idle runs was faster.
            Err(RunError::Store(StoreError::Held { .. })) if is_new => {}
            taken => taken?,
        }
        self.row(&run).await
    }

    async fn cancel(&mut self, run: &RunId) -> Result<(), RunError> {
        let found = self.runs.store.run(run).await?;
        if found.status.as_str() == AgentState::Cancelled.as_str() {
            return Ok(());
        }
        self.take(run, Begin::Cancel).await
    }

    /// Whether a run that is not at work here is where it is wanted already.
    async fn rests(&self, run: &RunId, wanted: AgentState, event: LifecycleEvent) -> Result<(), RunError> {
        let found = self.runs.store.run(run).await?;
        let from = found.status.as_str().parse().unwrap_or(AgentState::Idle);
        if from == wanted {
            return Ok(());
        }
        if from.is_live() {
            // Whoever has it is asked there, and says so.
            let lease = self.runs.lease(run).await?;
            self.runs.store.release(&lease).await?;
        }
        Err(IllegalTransition { from, event }.into())
    }

    async fn fork(&mut self, fork: ForkRun) -> Result<RunRow, RunError> {
        let ForkRun { run, checkpoint, id, start } = fork;
        let (store, now_ms) = (self.runs.store.clone(), self.runs.settings.clock.now_ms());
        let origin = store.run(&run_id(&run)?).await?;
        let checkpoint = match checkpoint {
            Some(id) => store.checkpoint(checkpoint_id(&id)?).await?,
            None => {
                let latest = store.latest_checkpoint(&origin.id).await?.checkpoint;
                latest.ok_or_else(|| no_checkpoint(&run, "it has none yet"))?
            }
        };
        if checkpoint.run != origin.id && Some(checkpoint.id) != origin.origin {
            return Err(no_checkpoint(&run, "that one is another run's"));
        }
        let document = match document_of(&store, &origin, &checkpoint).await {
            Ok(document) => document,
            Err(UnpackError::Foreign(reason)) => return Err(no_checkpoint(&run, &reason)),
            Err(UnpackError::Store(error)) => return Err(error.into()),
        };
        let said = json!({
            "task": document.context.task, "forked_from": checkpoint.id.to_string(), "run": run,
        });
        let paused = AgentState::Paused.as_str().parse()?;
        let new = NewRun::new(origin.kind.clone(), now_ms).status(paused).forked_from(checkpoint.id);
        let mut new = new.entry(NewEntry::new(CREATED.parse()?, said.to_string()));
        if let Some(id) = &id {
            new = new.id(run_id(id)?);
        }
        let new = origin.tags.iter().fold(new, |new, tag| new.tag(tag.clone()));
        let made = store.create_run(new).await?;
        if start {
            self.take(&made.id, Begin::Resume).await?;
        }
        self.row(&made.id).await
    }
}

pub(super) fn run_id(text: &str) -> Result<RunId, RunError> {
    Ok(text.parse()?)
}

pub(super) fn checkpoint_id(text: &str) -> Result<CheckpointId, RunError> {
    text.parse()
        .map_err(|_| StoreError::NotFound { what: "checkpoint", id: text.chars().take(80).collect() }.into())
}

pub(super) fn no_checkpoint(run: &str, reason: &str) -> RunError {
    RunError::NoCheckpoint { run: run.to_owned(), reason: reason.to_owned() }
}
