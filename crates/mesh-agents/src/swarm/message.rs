//! What one says to the coordinator of a swarm, and what it says.

mod given;

use std::collections::BTreeSet;

use mesh::{Failure, Message, Verb, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::given::{SubmitTasks, Submitted, SwarmTask};

/// A worker asks for its next task: `swarm.pull.v1`. It is answered when there is one, or after `wait_ms` with none.
///
/// A worker that asks while it has a task has lost it: that task goes back, and counts as an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullTask {
    /// The worker, as it is published on its node. Which node that is, the connection says.
    pub worker: String,
    /// What it can do.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// How long it waits, in milliseconds; a minute at most.
    pub wait_ms: u64,
}

/// A task in the hands of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedTask {
    /// The task.
    pub task: String,
    /// What it was submitted with: JSON.
    pub input: String,
    /// What it depends on, all of which has ended.
    pub dependencies: Vec<String>,
    /// Which assignment this is; to be named in all that is said of it.
    pub epoch: u64,
    /// Which attempt at the task this is, from 1.
    pub attempt: u32,
    /// How long the worker has it without a word, in milliseconds from when it asked.
    pub lease_ms: u64,
}

/// A worker goes on with its task: `swarm.renew.v1`. Answers how long it has it again, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewTask {
    /// The task.
    pub task: String,
    /// Under which it was handed over.
    pub epoch: u64,
}

/// A worker has ended its task: `swarm.end.v1`. To say it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndTask {
    /// The task.
    pub task: String,
    /// Under which it was handed over.
    pub epoch: u64,
    /// What became of it.
    pub outcome: TaskOutcome,
}

/// What a worker says of its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// It is done.
    Done {
        /// What came of it: JSON, at most 1 MiB.
        result: String,
    },
    /// It cannot be done.
    Failed {
        /// Why, at most 4 KiB of it.
        reason: String,
        /// Whether another attempt may help.
        again: bool,
    },
    /// It ended what worked on it, as a panic does. After the last attempt the task is poison.
    Crashed {
        /// What was seen of it.
        reason: String,
    },
}

/// Ends tasks that nobody wants any more: `swarm.cancel.v1`. Answers how many of them had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelTasks {
    /// Which; with one that does not exist none is.
    pub tasks: Vec<String>,
}

/// How tasks were cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelledTasks {
    /// How many had not ended before, without those that depended on them.
    pub cancelled: u64,
}

/// Asks how far a swarm is: `swarm.status.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeSwarm {
    /// How long to wait until all tasks have ended, in milliseconds; a minute at most, and by default not at all.
    #[serde(default)]
    pub wait_ms: u64,
}

/// How far a swarm is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwarmStatus {
    /// Its name.
    pub swarm: String,
    /// The node of its coordinator.
    pub node: String,
    /// Which life of the coordinator this is, over all nodes, from 1.
    pub life: u64,
    /// Tasks that wait for others.
    pub blocked: u64,
    /// Tasks that wait for a worker.
    pub ready: u64,
    /// Tasks in the hands of workers.
    pub running: u64,
    /// Tasks that are done.
    pub done: u64,
    /// Tasks that are over without being done.
    pub not_done: u64,
    /// Workers that wait for a task.
    pub waiting_workers: u64,
    /// Whether all tasks have ended.
    pub is_over: bool,
    /// Whether it takes no more tasks.
    pub is_draining: bool,
    /// Whether it hands out none.
    pub is_stopped: bool,
}

/// Lists tasks in the order in which they were submitted: `swarm.list.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTasks {
    /// Only those that stand so: as in [`TaskRow::state`].
    #[serde(default)]
    pub state: Option<String>,
    /// How many of all tasks to pass by: [`TaskList::next`] of the page before.
    #[serde(default)]
    pub from: u64,
    /// How many at most; 100 by default, 1,000 at most.
    #[serde(default)]
    pub limit: u32,
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<TaskRow>,
    /// Where the next page begins; none behind the last.
    pub next: Option<u64>,
}

/// A task, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The task.
    pub task: String,
    /// `blocked`, `ready`, `running`, `done`, `failed`, `dependency_failed`, `skipped`, `poisoned` or `cancelled`.
    pub state: String,
    /// Who has it, or why it is not done.
    pub detail: String,
    /// Its priority.
    pub priority: i32,
    /// How often it was begun.
    pub attempts: u32,
    /// The hash of its result, if it is done.
    pub result: Option<String>,
}

/// Asks for the end of a task: `swarm.result.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchResult {
    /// The task.
    pub task: String,
    /// How long to wait until it has ended, in milliseconds; a minute at most, and by default not at all.
    #[serde(default)]
    pub wait_ms: u64,
}

/// A task with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedResult {
    /// The task, which may not have ended.
    pub row: TaskRow,
    /// What came of it, as JSON, if it is done.
    pub result: Option<String>,
}

/// Tells a swarm to work, or not: `swarm.turn.v1`. Answers how far it is then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnSwarm {
    /// What it shall do.
    pub to: SwarmOrder,
    /// How long to wait until nobody has a task (for `stop`), or all have ended (for `drain`), in milliseconds; a minute at
    /// most, and by default not at all.
    #[serde(default)]
    pub wait_ms: u64,
}

/// What a swarm shall do. It is written down: a later life of the coordinator does so too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwarmOrder {
    /// Hand out tasks again, after `stop`.
    Resume,
    /// Hand out no more tasks. Those that workers have are waited for.
    Stop,
    /// Take no more tasks, for ever. Those that are there are done.
    Drain,
}

/// Asks for what has happened, in its order: `swarm.history.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadHistory {
    /// The number of the first journal entry, from 1: [`SwarmHistory::next`] of the page before.
    #[serde(default)]
    pub from: u64,
}

/// A page of what has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmHistory {
    /// What has happened: one JSON document each.
    pub facts: Vec<String>,
    /// Where the next page begins; none behind the last.
    pub next: Option<u64>,
}

/// Something has happened in a swarm: `swarm.progress.v1`, on the topic `swarm/NAME`. It is told when it is on the disk; who
/// has no room for it is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwarmProgress {
    /// Tasks that were begun or have ended, in their order.
    pub changes: Vec<TaskChange>,
    /// How far the swarm is.
    pub status: SwarmStatus,
}

/// A task was begun, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskChange {
    /// The task.
    pub task: String,
    /// As in [`TaskRow::state`].
    pub state: String,
    /// As in [`TaskRow::detail`].
    pub detail: String,
    /// Which attempt it is, if it was begun.
    pub attempt: Option<u32>,
}

macro_rules! asks {
    ($($message:ident = $kind:literal $(by $verb:ident)? => $reply:ty;)*) => {$(
        impl Message for $message {
            type Reply = $reply;
        }
        impl WireMessage for $message {
            const KIND: &'static str = $kind;
            $(const VERB: Option<Verb> = Some(Verb::$verb);)?
        }
    )*};
}

asks! {
    PullTask = "swarm.pull.v1" => Result<Option<HandedTask>, Failure>;
    RenewTask = "swarm.renew.v1" => Result<u64, Failure>;
    CancelTasks = "swarm.cancel.v1" => Result<CancelledTasks, Failure>;
    DescribeSwarm = "swarm.status.v1" by Read => Result<SwarmStatus, Failure>;
    ListTasks = "swarm.list.v1" by Read => Result<TaskList, Failure>;
    FetchResult = "swarm.result.v1" => Result<FetchedResult, Failure>;
    TurnSwarm = "swarm.turn.v1" => Result<SwarmStatus, Failure>;
    ReadHistory = "swarm.history.v1" by Read => Result<SwarmHistory, Failure>;
    SwarmProgress = "swarm.progress.v1" => ();
}

impl Message for EndTask {
    type Reply = Result<(), Failure>;

    fn weight_bytes(&self) -> usize {
        let text = match &self.outcome {
            TaskOutcome::Done { result } => result,
            TaskOutcome::Failed { reason, .. } | TaskOutcome::Crashed { reason } => reason,
        };
        size_of::<Self>() + self.task.len() + text.len()
    }
}

impl WireMessage for EndTask {
    const KIND: &'static str = "swarm.end.v1";
}
