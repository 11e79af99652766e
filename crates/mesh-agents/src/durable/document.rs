//! A run as a document: what a checkpoint holds, and what people read.

use mesh_store::{ContentHash, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Step;
use crate::lifecycle::{AgentState, Lifecycle};

/// The version of [`RunDocument`] that this code writes and reads.
pub(super) const VERSION: u32 = 1;

/// What passes from step to step of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionContext {
    /// What the run is to do.
    pub task: String,
    /// Its steps; `None` before they were decided on.
    pub plan: Option<Vec<Step>>,
    /// The step that is next, from 0.
    pub current_step: u64,
    /// What the steps brought that are done, in their order.
    pub results: Vec<Value>,
    /// What the agent notes beside its results.
    pub metadata: Map<String, Value>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// When its last step was done, in milliseconds since 1970.
    pub completed_ms: Option<i64>,
}

/// Why a run failed, or was held up last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFault {
    /// For programs: the step's own code, or `STEP_PANICKED`, `HOOK_FAILED`, `CODE_CHANGED`, `POISONED`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A run at one moment, as JSON that a person can read: what its checkpoints hold, and what an export gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDocument {
    /// The version of this form: 1.
    pub version: u32,
    /// Whose it is. A fork's first is of the run that it was forked from.
    pub run: String,
    /// The kind of agent.
    pub agent: String,
    /// The name of the code that made the plan ([`DurableAgent::code`](super::DurableAgent::code)).
    pub code: String,
    /// The hash of the plan; empty before there is one.
    pub plan_hash: String,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// Which time it is that the run was started, from 1; 0 before.
    pub generation: u32,
    /// The epoch of the lease under which it was written: how often somebody took it up.
    pub epoch: u64,
    /// How often it was taken up in the middle of one and the same step.
    pub interruptions: u32,
    /// Whether who worked on it last let go of it between two steps.
    pub is_handed_over: bool,
    /// Whether the step that is next may have run, in part or as a whole.
    pub may_have_run: bool,
    /// Why it failed, or why the last attempt did.
    pub fault: Option<RunFault>,
    /// When this was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// What passes from step to step.
    pub context: ExecutionContext,
}

impl RunDocument {
    /// A run that has not begun.
    pub(super) fn new(run: &RunId, agent: &str, task: &str, attempts_max: u32) -> Self {
        Self {
            version: VERSION,
            run: run.to_string(),
            agent: agent.to_owned(),
            code: String::new(),
            plan_hash: String::new(),
            lifecycle: Lifecycle::new(attempts_max),
            generation: 0,
            epoch: 0,
            interruptions: 0,
            is_handed_over: true,
            may_have_run: false,
            fault: None,
            at_ms: 0,
            context: ExecutionContext { task: task.to_owned(), ..ExecutionContext::default() },
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.lifecycle.state()
    }

    /// The same run, to begin anew: its task, and nothing else.
    pub(super) fn afresh(&self) -> Self {
        let context = ExecutionContext { task: self.context.task.clone(), ..ExecutionContext::default() };
        let is_over = self.state().is_end();
        Self {
            lifecycle: if is_over { self.lifecycle.clone() } else { self.lifecycle.anew() },
            code: String::new(),
            plan_hash: String::new(),
            generation: self.generation + 1,
            interruptions: 0,
            is_handed_over: true,
            may_have_run: false,
            fault: None,
            context,
            ..self.clone()
        }
    }

    /// Another run that has come as far, and holds there.
    pub(super) fn forked(self, run: &RunId) -> Self {
        let context = ExecutionContext { completed_ms: None, ..self.context };
        Self {
            run: run.to_string(),
            lifecycle: self.lifecycle.at_rest(),
            interruptions: 0,
            is_handed_over: true,
            fault: None,
            context,
            ..self
        }
    }

    /// What does not fit together, in a document that somebody else wrote.
    pub(super) fn problem(&self) -> Option<String> {
        let context = &self.context;
        let steps = context.plan.as_ref().map(|plan| plan.len() as u64);
        if self.version != VERSION {
            return Some(format!("it is of version {}, and this is version {VERSION}", self.version));
        }
        if steps != self.lifecycle.steps() || context.current_step != self.lifecycle.current_step() {
            return Some("its plan and its place in it do not fit together".to_owned());
        }
        if context.results.len() as u64 != context.current_step {
            return Some("it has not one result for each step that is done".to_owned());
        }
        let hash = context.plan.as_deref().map(plan_hash).unwrap_or_default();
        (hash != self.plan_hash).then(|| "its plan is not the one that was made".to_owned())
    }
}

/// The hash of a plan.
pub(super) fn plan_hash(plan: &[Step]) -> String {
    let text = serde_json::to_vec(plan).expect("texts and JSON are JSON");
    ContentHash::of(&text).to_string()
}
