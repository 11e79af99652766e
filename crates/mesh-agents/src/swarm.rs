//! Tasks that depend on one another, shared out to workers.
//!
//! ```text
//!  submit ─► Schedule ─► pull: the most urgent that is ready, and that the worker can do
//!               ▲                     │ a lease, with an epoch
//!               └── finish, extend ◄──┘        worker gone, lease over: again, or a dead letter
//! ```
//!
//! [`Schedule`] decides, as a value that is told the time; it works without a mesh.

mod schedule;

pub use schedule::{
    Assignment, Counts, End, Fact, Fenced, NewTask, OnFailed, Outcome, Schedule, ScheduleConfig, SubmitError,
    TaskState, TaskView,
};
