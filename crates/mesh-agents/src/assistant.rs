//! A model with tools, as an agent whose work outlives its process.
//!
//! ```text
//!  task ─► turn ─► tools ─► turn ─► tools ─► … ─► turn with an answer      each is a step of the run
//!           │        │
//!           │        └ the calls of the turn, side by side, each through the run's ledger
//!           └ one call of the model: task, memories, what was said and done so far, within a context and a budget
//! ```
//!
//! What a step brought is durable before the next one begins: a run that is taken up again asks the model nothing that it
//! has answered, and makes no call of a tool again that has an outcome. A call in doubt follows its tool's policy; where
//! only a person may decide, the run waits for one ([`Gate`]).
//!
//! What the model writes is told on the topic `runs/RUN` as it comes ([`AssistantSaid`]).
//!
//! An assistant has the tools that its [spec](AssistantSpec) names and no others, whatever a model asks for; who approves
//! what they do is the affair of who offers them. What tools, memories and models say approves nothing.

mod answer;
mod ask;
mod calls;
mod doubt;
mod recall;
mod record;
mod said;
mod spec;
mod spent;
mod turn;

use std::sync::Arc;

use mesh_models::ToolForm;
use serde_json::Value;

pub use record::{CallRecord, OutcomeRecord, StepRecord, TurnRecord};
pub use said::{AssistantSaid, Saying};
pub use spec::AssistantSpec;

use crate::approvals::Gate;
use crate::durable::{DurableAgent, RunContext, RunDocument, Step, StepError, StepResult};
use crate::models::{HOW_TO_GET_ONE, Models};
use crate::tools::{Offered, ToolBox};

/// The steps of a run.
const TURN: &str = "turn";
const TOOLS: &str = "tools";

/// A model with tools: a [`DurableAgent`] whose steps are its turns and their calls of tools.
///
/// ```
/// # use mesh_agents::assistant::{Assistant, AssistantSpec};
/// # use mesh_agents::{Models, durable::{RunError, Runs}, tools::ToolSet};
/// # async fn example(store: mesh_store::Store, models: Models, tools: ToolSet) -> Result<(), RunError> {
/// let spec = AssistantSpec { tools: vec!["read_file".to_owned()], ..AssistantSpec::new("reader") };
/// let reader = Assistant::new(spec).models(models).tools(std::sync::Arc::new(tools));
/// let runs = Runs::new(store, "me").agent("reader", move || reader.clone())?;
/// let done = runs.run("reader", "What is in notes.txt?").await?;
/// println!("{:?}", Assistant::answer_of(&done));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Assistant {
    spec: Arc<AssistantSpec>,
    models: Option<Models>,
    tools: Option<Arc<dyn Offered>>,
    gate: Option<Gate>,
    /// As they were when the run was taken up.
    forms: Option<Vec<ToolForm>>,
}

impl Assistant {
    /// An assistant without a model, which can do nothing yet; its tools are those of the mesh.
    #[must_use]
    pub fn new(spec: AssistantSpec) -> Self {
        Self { spec: Arc::new(spec), models: None, tools: None, gate: None, forms: None }
    }

    /// With these models.
    #[must_use]
    pub fn models(self, models: Models) -> Self {
        Self { models: Some(models), ..self }
    }

    /// With these tools in place of those of the mesh.
    #[must_use]
    pub fn tools(self, tools: Arc<dyn Offered>) -> Self {
        Self { tools: Some(tools), ..self }
    }

    /// Asks people by this gate about calls in doubt. Without one a run fails that comes to such a call (`NEEDS_HUMAN`).
    #[must_use]
    pub fn gate(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// What the assistant of a run has answered, if it has: a text, or a document of its spec's form.
    #[must_use]
    pub fn answer_of(run: &RunDocument) -> Option<Value> {
        match serde_json::from_value(run.context.results.last()?.clone()).ok()? {
            StepRecord::Turn(turn) => turn.answer,
            StepRecord::Tools(_) => None,
        }
    }

    fn known_models(&self) -> Result<&Models, StepError> {
        let reason = || format!("this node has no model; {HOW_TO_GET_ONE}");
        self.models.as_ref().ok_or_else(|| StepError::new("NO_MODEL", reason()).fatal())
    }

    fn offered(&self, cx: &RunContext) -> Result<Arc<dyn Offered>, StepError> {
        if let Some(tools) = &self.tools {
            return Ok(Arc::clone(tools));
        }
        let mesh = cx.mesh().ok_or_else(|| {
            StepError::new("NO_TOOLS", "the run is on no mesh, and its assistant was given no tools").fatal()
        })?;
        Ok(Arc::new(ToolBox::new(mesh.clone())))
    }
}

impl DurableAgent for Assistant {
    /// Of the form of what its steps bring.
    fn code(&self) -> String {
        "assistant.1".to_owned()
    }

    async fn plan(&mut self, task: &str, cx: &mut RunContext) -> Result<Vec<Step>, StepError> {
        self.spec.check().map_err(|reason| StepError::new("MISCONFIGURED", reason).fatal())?;
        self.known_models()?;
        recall::recall(&self.spec, task, cx).await?;
        Ok(vec![Step::new(TURN)])
    }

    async fn execute(&mut self, step: &Step, cx: &mut RunContext) -> StepResult {
        let record = match step.name.as_str() {
            TURN => StepRecord::Turn(turn::turn(self, cx).await?),
            TOOLS => StepRecord::Tools(calls::tools(self, cx).await?),
            other => return Err(StepError::new("UNKNOWN_STEP", format!("there is no step {other}")).fatal()),
        };
        if let Some(next) = record.next() {
            cx.then(Step::new(next));
        }
        Ok(serde_json::to_value(record)?)
    }
}

impl std::fmt::Debug for Assistant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assistant").field("spec", &self.spec).finish_non_exhaustive()
    }
}
