//! Why a schedule refuses.

/// Why tasks were not taken. None of those that were submitted together was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The schedule takes no more tasks.
    #[error("the schedule is drained: it takes no more tasks")]
    Draining,
    /// There would be too many.
    #[error("with {more} more there would be over {max} tasks: submit them to another schedule")]
    TooMany {
        /// How many were submitted.
        more: usize,
        /// How many there may be.
        max: usize,
    },
    /// The id is no id.
    #[error("a task's id has 1 to 256 bytes, and this one has {bytes}")]
    BadId {
        /// Its length.
        bytes: usize,
    },
    /// Another task has the id.
    #[error("there is a task {id:?} already")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// A dependency is no task.
    #[error("task {id:?} depends on {dependency:?}, which is no task of this schedule")]
    UnknownDependency {
        /// The task.
        id: String,
        /// What it depends on.
        dependency: String,
    },
    /// Tasks wait for one another.
    #[error("tasks wait for one another: {}", .cycle.join(" after "))]
    Cycle {
        /// The tasks, each after the next, the first again at the end.
        cycle: Vec<String>,
    },
}

/// The task is not this worker's any more: its lease was over, it was cancelled, or it has ended. What the worker did
/// does not count; it should stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {task:?} is no longer assigned under epoch {epoch}")]
pub struct Fenced {
    /// The task.
    pub task: String,
    /// Under which the worker had it.
    pub epoch: u64,
}
