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
//! [`Checkpoints`] and [`Resumable`] are the same ground for tasks that are no agents.
//!
//! This module opens no store, and knows no model and no tool.

mod actor;
mod agent;
mod checkpoints;
mod clock;
mod control;
mod document;
mod driver;
mod error;
mod hooks;
mod load;
mod message;
mod node;
mod pack;
mod resumable;
mod run_context;
mod runs;
mod settings;

pub use actor::{RunStanding, RunStatus};
pub use agent::{DurableAgent, Step, StepError, StepResult};
pub use checkpoints::{Checkpoints, Restored, Saved, TaskCheckpoints};
pub use clock::Clock;
pub use document::{ExecutionContext, RunDocument, RunFault};
pub use error::RunError;
pub use hooks::HookError;
pub use message::{
    CallRow, CancelRun, CheckpointRow, DeleteRun, EntryRow, ExportRun, ForkRun, ListRuns, PauseRun,
    ResumeRun, RunDeleted, RunExported, RunList, RunRefused, RunRow, RunShown, ShowRun, StartRun, StepRow,
};
pub use node::RunsActor;
pub use resumable::{Resumable, ResumableError, Resume};
pub use run_context::RunContext;
pub use runs::Runs;
pub use settings::RunSettings;
