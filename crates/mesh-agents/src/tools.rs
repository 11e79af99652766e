//! Tools: what a model may have done in the world, as actors.
//!
//! ```text
//!  ToolBox ── found by capability ──► NODE/tools/NAME     a ToolActor: takes calls while others run
//!                                          │
//!    arguments ─► schema ─► before hooks ─► schema ─► approval ─► slot ─► the tool ─► after hooks ─► record
//!                              │  Deny, Skip, Mutate, RequireApproval       │ timeout, cancel
//!                              └────────────── no tool runs before its hooks └─ on_error: a fallback
//!
//!  Ledgered: intent durable before a call, outcome after; what is in doubt follows its tool's policy
//! ```
//!
//! A [`Tool`] is an async function with a typed argument; [`HookedTool`] puts its checks around it, and works without any
//! mesh. [`ToolActor`] makes it an actor, [`ToolBox`] calls it from anywhere, and [`Ledgered`] calls it once over all crashes
//! of the caller.
//!
//! This module asks no human and knows no model: approvals come from an [`Approver`].

mod actor;
mod approve;
pub mod builtin;
mod call;
mod error;
mod hook;
mod hooked;
mod json;
mod ledger;
mod message;
mod offered;
mod record;
mod redact;
mod remembered;
mod set;
mod spec;
mod stats;
mod tool;
mod toolbox;

pub use actor::ToolActor;
pub use approve::{ApprovalOutcome, ApprovalRequest, Approver, NobodyApproves};
pub use call::{Call, CallId, Ended, Ending, InvalidCallId};
pub use error::ToolError;
pub use hook::{Hook, HookFailure, Verdict};
pub use hooked::{HookedTool, ToolDefinitionError};
pub use json::{action_hash, canonical};
pub use ledger::{Callable, Ledgered};
pub use message::{
    CallTool, DescribeTool, ProbeTool, Probed, ReportTool, ToolAnswer, ToolDescription, ToolReport,
};
pub use offered::Offered;
pub use record::{Record, RecordState};
pub use set::ToolSet;
pub use spec::{Annotations, ToolSpec};
pub use stats::Stats;
pub use tool::{AnyTool, Probe, Tool, ToolContext};
pub use toolbox::{FoundTool, ToolBox};
