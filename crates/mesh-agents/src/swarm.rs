//! Tasks that depend on one another, shared out to workers on any nodes.
//!
//! ```text
//!  Swarm::submit ──► swarm-NAME, the Coordinator ── facts, inputs, results ──► mesh_store: on the disk, then acknowledged
//!                       │ Schedule: who is next         ▲
//!   the most urgent that │ is ready, that the worker     │ done, failed, and a word now and then
//!   can do: a lease with │ an epoch                      │
//!                       ▼                               │
//!               Worker ── Work::work(input) ────────────┘   one task at a time; on any node
//! ```
//!
//! Workers pull, so that one that is busy is given nothing. A worker that ends, or whose node dies, or that says nothing
//! for longer than its lease, loses its task: the task goes back, to its place, and counts one attempt more. After the last
//! attempt it is poison, and is listed among the node's dead letters. What is said under the epoch of a lost lease is
//! refused, so that of several who have worked on one task one counts.
//!
//! Each priority is served before the next lower one, and first come, first served within; who waits grows more urgent
//! ([`SwarmArgs::ageing_ms`]). A task waits for its dependencies without being looked at.
//!
//! The facts of a swarm are written in groups: what waits during one write is the next one. A coordinator that was killed
//! goes on from them, where it is started again or, if it was placed and nodes share a store, elsewhere.
//!
//! - [`Swarm`]: for those who give it work. [`Coordinator`] and [`Worker`]: its actors. [`Work`]: what a user writes.
//! - [`Schedule`] decides, as a value that is told the time; it works without a mesh.

mod coordinator;
mod handle;
mod home;
mod ledger;
mod message;
mod progress;
mod record;
mod schedule;
mod work;
mod worker;

pub use coordinator::{Coordinator, SwarmArgs};
pub use handle::{Swarm, SwarmError};
pub use message::{
    CancelTasks, CancelledTasks, DescribeSwarm, EndTask, FetchResult, FetchedResult, HandedTask, ListTasks,
    PullTask, ReadHistory, RenewTask, SubmitTasks, Submitted, SwarmHistory, SwarmOrder, SwarmProgress,
    SwarmStatus, SwarmTask, TaskChange, TaskList, TaskOutcome, TaskRow, TurnSwarm,
};
pub use schedule::{
    Assignment, Counts, End, Fact, Fenced, NewTask, OnFailed, Outcome, Schedule, ScheduleConfig, SubmitError,
    TaskState, TaskView,
};
pub use work::{Work, WorkContext, WorkError};
pub use worker::{DescribeWorker, Worker, WorkerArgs, WorkerStatus};
