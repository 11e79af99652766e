//! Runs of workflows, as actors.
//!
//! ```text
//!  workflow.create.v1 ──► NODE/workflows      reads and checks the file; spawns and publishes
//!                              │
//!  workflow.run.v1 ──────► NODE/runs/ID ───── spawns an agent for each item, on a node that fits, and asks it
//!     RunEvent… , Ended ◄──────┘ ▲                 │
//!                                └── Said…, Answer ┘   NODE/runs/ID/AGENT-STAGE-INDEX-ATTEMPT
//! ```
//!
//! A run belongs to whoever reads its stream: when the reader goes, the run ends and so do its agents, whose models are
//! told by closing their connections. A run that nobody starts within a minute ends by itself.
//!
//! A run whose file has `checkpoints` enabled is kept in the node's store, if the node has one ([`DurableWorkflows`]): it is
//! a durable run of the kind `workflow`. Each item is on the disk before anybody is told that it is done. When the reader
//! goes, the run holds; `workflow.resume.v1` goes on with it, and so does its node by itself after a crash. No item that
//! had finished is worked on again.
//!
//! An item whose agent was lost (its node died, or it crashed) is given to another agent, on another node where there
//! is one; so is an item whose model may answer later. That is done at most twice, and within the time that the stage
//! gives to one item. Then the item has failed, which its stage takes for its answer. A coordinator is asked in the same
//! way; where it gives no answer, the run goes on as planned.

mod create;
mod drive;
mod item;
mod job;
mod message;
mod name;
mod placement;
mod progress;
mod retry;
mod run;
mod stored;

pub use create::Workflows;
pub use message::{
    CreateRun, Created, Ended, Problem, Refused, ResumeWorkflow, Resumed, RunEvent, RunWorkflow, Tokens,
};
pub use stored::DurableWorkflows;
