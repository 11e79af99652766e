//! A run of a workflow as a durable agent: its steps are the stages, in the file's order.

use mesh::Retry;

use super::super::message::Ended;
use super::super::placement::Placement;
use super::brief::Brief;
use super::followers::{Followers, Told};
use super::open::{Live, open};
use crate::durable::{DurableAgent, RunContext, Step, StepError, StepResult};
use crate::workflow::Outcome;

/// Names the form of what this stores; another form gets another name.
const CODE: &str = "workflow-1";

pub(super) struct StoredWorkflow {
    followers: Followers,
    placement: Placement,
    told: Option<Told>,
    /// The run as it goes on: in a graph, stages of later steps may be at work.
    live: Option<Live>,
}

impl StoredWorkflow {
    pub(super) fn new(followers: Followers, placement: Placement) -> Self {
        Self { followers, placement, told: None, live: None }
    }

    /// Drives the run until the stage of this step has its result, and the coordinator has decided.
    async fn stage(&mut self, step: &Step, cx: &RunContext) -> StepResult {
        let nth = cx.step().and_then(|nth| usize::try_from(nth).ok()).unwrap_or_default();
        let told = self.told.get_or_insert_with(|| self.followers.of(cx.run()));
        let live = match &mut self.live {
            Some(live) => live,
            live => live.insert(open(cx, self.placement.clone()).await?),
        };
        if live.plan.stages.get(nth).is_none_or(|stage| stage.name != step.name) {
            let message = format!("the plan has no stage {:?} at {nth}, as it had", step.name);
            return Err(StepError::new("CODE_CHANGED", message).fatal());
        }
        let outcome = live.drive.stage(nth, told, cx).await?;
        if let Some(outcome) = outcome {
            told.ends(live.drive.progress().ended(outcome.clone(), live.may_have_run()));
            match outcome {
                Outcome::Completed { .. } => {}
                Outcome::Failed { code, error, .. } => {
                    return Err(StepError::new(code, error.message).fatal());
                }
                Outcome::Cancelled { reason } => return Err(StepError::new("CANCELLED", reason).fatal()),
            }
        }
        let record = live.drive.record(nth);
        Ok(serde_json::to_value(record).expect("texts and numbers are JSON"))
    }
}

impl DurableAgent for StoredWorkflow {
    fn code(&self) -> String {
        CODE.to_owned()
    }

    async fn plan(&mut self, task: &str, cx: &mut RunContext) -> Result<Vec<Step>, StepError> {
        // The reader of an attempt before stays.
        self.told.get_or_insert_with(|| self.followers.of(cx.run()));
        let brief = Brief::read(task).map_err(|reason| StepError::new("BAD_TASK", reason).fatal())?;
        let plan = brief.given(cx.store()).await?.plan;
        Ok(plan.stages.iter().map(|stage| Step::with(&*stage.name, &*stage.agent.name)).collect())
    }

    async fn execute(&mut self, step: &Step, cx: &mut RunContext) -> StepResult {
        let (cancel, cx) = (cx.cancel().clone(), &*cx);
        let done = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StepError::cancelled()),
            () = cx.to_hold() => Err(StepError::held()),
            done = self.stage(step, cx) => done,
        };
        if done.is_err() {
            // What is in flight is withdrawn; the journal has what has finished.
            self.live = None;
        }
        done
    }
}

/// The end of a run of which only the store is left.
pub(super) fn ended(outcome: Outcome, may_have_run: bool) -> Ended {
    let (tokens, elapsed_ms, retry) = (Default::default(), 0, Retry::Never);
    Ended { outcome, tokens, elapsed_ms, retry, may_have_run }
}
