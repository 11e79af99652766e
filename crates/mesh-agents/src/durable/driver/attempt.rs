//! One attempt at the plan or at a step.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use tokio::time::timeout;

use super::{Driver, Step};
use crate::durable::control::{Control, Wanted};
use crate::durable::{RunContext, StepError};

/// The largest result of a step, as JSON: 1 MiB. What is larger belongs into a blob of the store.
const RESULT_BYTES_MAX: usize = 1 << 20;
/// The largest plan, as JSON: 16 MiB.
const PLAN_BYTES_MAX: usize = 16 << 20;

impl Driver {
    pub(super) async fn attempt_plan(&mut self) -> Result<Vec<Step>, StepError> {
        let mut cx = self.context(None);
        let task = self.document.context.task.clone();
        let (control, grace) = (self.around.control.clone(), self.settings.cancel_grace);
        let planned = guarded(self.agent.plan(&task, &mut cx), &control, grace).await;
        let plan = self.whole(planned)?;
        check("the plan", &plan, PLAN_BYTES_MAX)?;
        self.document.context.metadata = cx.metadata;
        Ok(plan)
    }

    /// The result of the step, and the steps that it found to be needed.
    pub(super) async fn attempt_step(&mut self, step: &Step) -> Result<(Value, Vec<Step>), StepError> {
        let mut cx = self.context(Some(self.document.context.current_step));
        let (control, grace) = (self.around.control.clone(), self.settings.cancel_grace);
        let done = guarded(self.agent.execute(step, &mut cx), &control, grace).await;
        let result: Value = self.whole(done)?;
        check("the result", &result, RESULT_BYTES_MAX)?;
        if !cx.more.is_empty() {
            let plan = self.document.context.plan.iter().flatten().chain(&cx.more);
            check("the plan", &plan.collect::<Vec<_>>(), PLAN_BYTES_MAX)?;
        }
        self.document.context.metadata = cx.metadata;
        Ok((result, cx.more))
    }

    /// What a panic left of the agent is not to be used again.
    fn whole<T>(&mut self, ended: Result<T, Ended>) -> Result<T, StepError> {
        ended.map_err(|ended| match ended {
            Ended::Failed(error) => error,
            Ended::Left => {
                self.was_left = true;
                StepError::new("LEFT", "the run is to hold while it waits for a person")
            }
            Ended::Panicked(message) => {
                self.agent = (self.make)();
                StepError::new("STEP_PANICKED", message)
            }
        })
    }

    fn context(&self, step: Option<u64>) -> RunContext {
        let attempt = self.document.lifecycle.failures() + 1;
        RunContext {
            around: Arc::clone(&self.around),
            task: self.document.context.task.clone(),
            step,
            attempt,
            may_have_run: self.document.may_have_run,
            calls: 0,
            results: self.document.context.results.clone(),
            metadata: self.document.context.metadata.clone(),
            more: Vec::new(),
        }
    }
}

/// How an attempt ended without a success.
enum Ended {
    Failed(StepError),
    Panicked(String),
    /// It waits for a person, and the run is to hold.
    Left,
}

/// Lets the agent work, until it is done, or its time to end is over after the run was cancelled.
async fn guarded<T>(
    work: BoxFuture<'_, Result<T, StepError>>,
    control: &Control,
    grace: Duration,
) -> Result<T, Ended> {
    let mut work = AssertUnwindSafe(work).catch_unwind();
    let ended = tokio::select! {
        biased;
        ended = &mut work => ended,
        () = control.cancel().cancelled() => match timeout(grace, &mut work).await {
            Ok(ended) => ended,
            Err(_late) => return Err(Ended::Failed(StepError::cancelled())),
        },
        () = control.until_left_waiting(Wanted::Pause) => return Err(Ended::Left),
    };
    match ended {
        Ok(result) => result.map_err(Ended::Failed),
        Err(panic) => Err(Ended::Panicked(said_by(panic.as_ref()))),
    }
}

fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

fn check<T: serde::Serialize>(what: &str, value: &T, bytes_max: usize) -> Result<(), StepError> {
    let bytes = serde_json::to_vec(value).map_or(usize::MAX, |text| text.len());
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("{what} has {bytes} bytes of JSON; at most {bytes_max} are taken");
    Err(StepError::new("TOO_LARGE", message).fatal())
}
