//! The actor of a run that is at work: `NODE/runs/ID`.
//!
//! The run itself goes on in a task of this actor's, so that its mailbox is read while a step runs: what is wanted of the
//! run is noted at once, and has its effect between two steps.

use std::panic::AssertUnwindSafe;

use futures::future::FutureExt;
use mesh::{Actor, Context, ExitReason, Handler, Kinds, Message, StartError, Verb, WireActor, WireMessage};
use mesh_store::RunId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::control::{Control, Wanted};
use super::driver::Driver;

/// A run at work.
pub(super) struct RunActor {
    run: RunId,
    control: Control,
    driver: Option<Driver>,
    task: Option<JoinHandle<()>>,
}

impl RunActor {
    pub(super) fn new(run: RunId, control: Control, driver: Option<Driver>) -> Self {
        Self { run, control, driver, task: None }
    }
}

impl Actor for RunActor {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        let Some(driver) = self.driver.take() else {
            self.control.over();
            cx.stop();
            return Ok(());
        };
        let (run, control, me) = (self.run.clone(), self.control.clone(), cx.me().clone());
        self.task = Some(tokio::spawn(async move {
            match AssertUnwindSafe(driver.drive()).catch_unwind().await {
                Ok(Ok(state)) => tracing::info!(%run, %state, "run is at rest"),
                Ok(Err(error)) => tracing::warn!(%run, %error, "run is left as it was last written"),
                Err(_panic) => {
                    tracing::error!(%run, "run is left as it was last written, since its driver panicked")
                }
            }
            control.over();
            me.stop();
        }));
        Ok(())
    }

    /// A node that leaves lets go of its runs between two of their steps.
    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.control.want(Wanted::HandOver);
        if let Some(task) = self.task.take() {
            // It said what came of it; and who kills this actor aborts it.
            let _ = Owned(task).ended().await;
        }
    }
}

/// A task that does not outlive who waits for it.
struct Owned(JoinHandle<()>);

impl Owned {
    async fn ended(mut self) -> Result<(), tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for RunActor {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.control.over();
    }
}

impl WireActor for RunActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<RunStatus>()
    }
}

/// Asks the actor of a run where it stands: `runs.status.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStatus {}

/// Where a run stands that is at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStanding {
    /// Its state, as `executing`.
    pub state: String,
    /// The step that is next or being executed, from 0.
    pub current_step: u64,
}

impl Message for RunStatus {
    type Reply = RunStanding;
}

impl WireMessage for RunStatus {
    const KIND: &'static str = "runs.status.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<RunStatus> for RunActor {
    async fn handle(&mut self, _: RunStatus, _: &mut Context<Self>) -> RunStanding {
        let seen = self.control.seen();
        RunStanding { state: seen.state.to_string(), current_step: seen.current_step }
    }
}
