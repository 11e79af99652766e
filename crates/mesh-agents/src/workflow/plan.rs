//! A checked workflow: every name resolved, every default filled in, ready for a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::describe;
use super::file::{Interval, Quote, WorkflowType};

/// What a run walks through.
///
/// A plan comes from [`load`](super::load), which holds what the fields promise: there is at least one stage,
/// and a stage takes the task or the result of a stage before it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// In what order the stages run.
    pub workflow_type: WorkflowType,
    /// The agent that leads a hierarchical workflow: it is told each stage's result, and may give stages that follow
    /// other items. Workflows of other types have none.
    pub coordinator: Option<Arc<Agent>>,
    /// How often the coordinator may do that; once by default.
    pub max_replans: u32,
    /// The agents, in the file's order.
    pub agents: Vec<Arc<Agent>>,
    /// The stages, in the file's order.
    pub stages: Vec<Stage>,
    /// What is to be saved; nothing when checkpoints are off.
    pub checkpoints: Option<Checkpoints>,
    /// What the file asks for and this version doesn't do, one line each.
    pub ignored: Vec<String>,
}

/// One agent: a model with its instructions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Agent {
    /// The agent's name in the file.
    pub name: String,
    /// What the agent is, for the model to know.
    pub role: Option<String>,
    /// The model's name; nothing means the node's default.
    pub model: Option<String>,
    /// The instructions before every input.
    pub system_prompt: Option<String>,
    /// The most tokens of one answer, at least 1; nothing leaves it to the provider.
    pub max_tokens: Option<u32>,
    /// From 0 to 2; nothing leaves it to the provider.
    pub temperature: Option<f64>,
    /// The JSON Schema that every answer follows. It is a JSON object.
    pub output_schema: Option<serde_json::Value>,
}

/// One stage: an agent that turns an input into a result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// The stage's name, of which there is only one in the plan.
    pub name: String,
    /// Who does the work.
    pub agent: Arc<Agent>,
    /// What it takes.
    pub input: Input,
    /// The name that the file gave the input, if any.
    pub input_name: Option<String>,
    /// Another name of the result, if any.
    pub output: Option<String>,
    /// Whether the input is [`split`](super::split) into items.
    pub parallel: bool,
    /// The most items at once, at least 1; 5 by default. It is 1 for a stage that isn't parallel.
    pub max_concurrent: u32,
    /// How long one item may take, from its start to its answer; 2 minutes by default.
    pub timeout: Duration,
    /// What the answer is taken from, word for word; nothing means that it is free.
    pub quote: Option<Quote>,
    /// The labels that a node must carry to run this stage's agents; empty means any node.
    pub place: BTreeMap<String, String>,
}

impl Stage {
    /// Whether the answer to this stage's item is split into the items of a later stage. (The answers to several items
    /// are not split: each is an item.)
    pub(crate) fn is_split(&self, plan: &Plan) -> bool {
        let takes = |input| matches!(input, Input::Stage(nth) if plan.stages[nth].name == self.name);
        !self.parallel && plan.stages.iter().any(|stage| stage.parallel && takes(stage.input))
    }

    /// The error code of a run that failed in this stage: `STAGE_<NAME>_FAILED`, in capitals, with `_` for what is
    /// no letter or digit.
    pub fn failure_code(&self) -> String {
        let name: String = self
            .name
            .chars()
            .map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        format!("STAGE_{name}_FAILED")
    }
}

/// What a stage takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The workflow's task.
    Task,
    /// The result of the stage at this index of [`Plan::stages`], which is before the one that takes it.
    Stage(usize),
}

/// What is to be saved so that a run can be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoints {
    /// When.
    pub interval: Interval,
    /// The namespace in the node's store: letters, digits, `.`, `_` and `-`, at most 64, no path.
    pub namespace: String,
}

impl Plan {
    /// The plan as text for people: the graph, what each stage takes, and what is ignored.
    pub fn describe(&self) -> String {
        describe::plan(self)
    }
}
