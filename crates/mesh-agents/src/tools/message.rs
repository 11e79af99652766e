//! What one says to a tool's actor, and what it says.

use mesh::{Message, Verb, WireMessage};
use mesh_store::CallPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ToolError;
use super::spec::ToolSpec;

/// Calls a tool: `tool.call.v1`. Others are taken while it runs.
///
/// The same call again, under the same id, is answered as it was before as long as the actor remembers it: the last 256
/// calls, in the life of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallTool {
    /// The tool's name.
    pub tool: String,
    /// The arguments, as JSON text.
    pub args: String,
    /// The call's id: 32 hexadecimal digits. Empty, the call gets one of its own.
    #[serde(default)]
    pub call: String,
}

impl Message for CallTool {
    type Reply = Result<ToolAnswer, ToolError>;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.tool.len() + self.args.len() + self.call.len()
    }
}

impl WireMessage for CallTool {
    const KIND: &'static str = "tool.call.v1";
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolAnswer {
    /// The answer, as JSON text.
    pub output: String,
    /// The call's id.
    pub call: String,
    /// `ran`; `skipped`, where a hook answered in the tool's place; `fallback`, where it did after the tool had failed.
    pub ending: String,
    /// From the call's arrival to its end.
    pub elapsed_ms: u64,
}

/// Asks a tool what it is: `tool.describe.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeTool {}

impl Message for DescribeTool {
    type Reply = ToolDescription;
}

impl WireMessage for DescribeTool {
    const KIND: &'static str = "tool.describe.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

/// What a tool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolDescription {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON text.
    pub schema: String,
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy what was there.
    pub destructive: bool,
    /// The same call twice has no more effect than once.
    pub idempotent: bool,
    /// It deals with the world outside of the node.
    pub open_world: bool,
    /// How long a call may run.
    pub timeout_ms: u64,
    /// How many calls run at once.
    pub concurrency: u64,
    /// What may be done about a call in doubt: `idempotent`, `queryable` or `manual`.
    pub policy: String,
}

impl ToolDescription {
    pub(super) fn of(spec: &ToolSpec, schema: &Value) -> Self {
        let policy = match spec.policy {
            CallPolicy::Idempotent => "idempotent",
            CallPolicy::Queryable => "queryable",
            CallPolicy::Manual => "manual",
        };
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            schema: schema.to_string(),
            read_only: spec.annotations.read_only,
            destructive: spec.annotations.destructive,
            idempotent: spec.annotations.idempotent,
            open_world: spec.annotations.open_world,
            timeout_ms: crate::millis(spec.timeout),
            concurrency: spec.concurrency as u64,
            policy: policy.to_owned(),
        }
    }
}

/// Asks a tool what became of a call: `tool.probe.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeTool {
    /// The call's id.
    pub call: String,
}

impl Message for ProbeTool {
    type Reply = Result<Probed, ToolError>;
}

impl WireMessage for ProbeTool {
    const KIND: &'static str = "tool.probe.v1";
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// It was done.
    Done {
        /// Its answer, as JSON text.
        output: String,
    },
    /// It had no effect.
    NotDone,
    /// The tool cannot tell.
    Unknown,
}

/// Asks a tool how its calls went: `tool.report.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportTool {}

impl Message for ReportTool {
    type Reply = ToolReport;
}

impl WireMessage for ReportTool {
    const KIND: &'static str = "tool.report.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

/// How the calls of a tool went, since its node began; see [`Stats`](super::Stats).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolReport {
    /// The tool's name.
    pub tool: String,
    /// All calls.
    pub total: u64,
    /// Those that have not ended.
    pub running: u64,
    /// Answered by the tool.
    pub ok: u64,
    /// Begun, and failed or late.
    pub failed: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Answered by a hook after the tool had failed.
    pub fallback: u64,
    /// Answered by a hook in the tool's place.
    pub skipped: u64,
    /// Not begun.
    pub refused: u64,
    /// Of those, calls of other tools.
    pub unknown: u64,
    /// Hooks behind calls that failed.
    pub hook_failures: u64,
    /// Which part of the calls that the tool began and ended it answered.
    pub success_rate: Option<f64>,
    /// In microseconds.
    pub p50_us: Option<u64>,
    /// In microseconds.
    pub p90_us: Option<u64>,
    /// In microseconds.
    pub p99_us: Option<u64>,
}
