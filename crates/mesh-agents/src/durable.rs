//! Agents whose work outlives their process.
//!
//! ```text
//!  DurableAgent     what a user writes: plan(task) → steps, execute(step) → result
//!       │
//!  driver           walks the lifecycle; after each step one write: result, next step, state ──► mesh_store::Store
//!       │           holds the lease of its run, and is refused by the store when somebody else has it
//!  NODE/runs/ID     the actor of a run that is at work
//!       │
//!  NODE/runs        starts, lists, pauses, resumes, cancels, forks and deletes runs; takes up those that nobody holds
//! ```
//!
//! A step's result is acknowledged when it is on the disk, together with the number of the step that is next. Whoever
//! takes up the run, on whatever node has the store, goes on from there: no step is lost, and none is done again but
//! the one that was being done when its process died ([`RunContext::may_have_run`]).
//!
//! This module opens no store, and knows no model and no tool.

mod agent;
mod clock;
mod control;
mod document;
mod driver;
mod error;
mod hooks;
mod load;
mod pack;
mod run_context;
mod settings;

pub use agent::{DurableAgent, Step, StepError, StepResult};
pub use clock::Clock;
pub use document::{ExecutionContext, RunDocument, RunFault};
pub use error::RunError;
pub use hooks::HookError;
pub use run_context::RunContext;
pub use settings::RunSettings;
