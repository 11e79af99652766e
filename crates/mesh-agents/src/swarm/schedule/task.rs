//! What is to be done, and what became of it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A task as it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// Its id: 1 to 256 bytes, and no other task's of the schedule.
    pub id: String,
    /// The higher, the sooner; 0 by default.
    #[serde(default)]
    pub priority: i32,
    /// The tasks that have to end before it begins.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// What its worker has to be able to do; nothing in particular by default.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// What becomes of it when a dependency is not done; it fails by default.
    #[serde(default)]
    pub on_failed: OnFailed,
}

impl NewTask {
    /// A task of priority 0 that depends on nothing.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            priority: 0,
            dependencies: Vec::new(),
            capabilities: BTreeSet::new(),
            on_failed: OnFailed::default(),
        }
    }

    /// Sooner (or later) than others.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Not before that one has ended.
    #[must_use]
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.dependencies.push(id.into());
        self
    }

    /// Only by a worker that can do this.
    #[must_use]
    pub fn needs(mut self, capability: impl Into<String>) -> Self {
        self.capabilities.insert(capability.into());
        self
    }

    /// What becomes of it when a dependency is not done.
    #[must_use]
    pub fn on_failed(mut self, policy: OnFailed) -> Self {
        self.on_failed = policy;
        self
    }
}

/// What becomes of a task when one that it depends on has ended without being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailed {
    /// It fails too.
    #[default]
    Fail,
    /// It is left out; who depends on it follows its own policy.
    Skip,
    /// It runs all the same.
    Run,
}

/// How a task has ended, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A worker has done it.
    Done,
    /// A worker has said that it cannot be done.
    Failed {
        /// What the worker said.
        reason: String,
    },
    /// One that it depends on was not done, and its policy is to fail.
    DependencyFailed {
        /// That one.
        dependency: String,
    },
    /// One that it depends on was not done, and its policy is to be left out.
    Skipped {
        /// That one.
        dependency: String,
    },
    /// Each of its attempts ended with the loss of its worker: it may be what ends them.
    Poisoned {
        /// How many there were.
        attempts: u32,
    },
    /// Somebody did not want it any more.
    Cancelled,
}

impl End {
    /// Whether what depends on the task may go on as if nothing were wrong.
    #[must_use]
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

/// Where a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for this many others.
    Blocked(usize),
    /// It waits for a worker.
    Ready,
    /// A worker has it.
    Running(Assignment),
    /// It is over.
    Ended(End),
}

/// A task in the hands of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The task.
    pub task: String,
    /// Who has it.
    pub worker: String,
    /// Which assignment this is, over all tasks; what is said under an earlier one of the same task is refused.
    pub epoch: u64,
    /// Which attempt at the task this is, from 1.
    pub attempt: u32,
    /// When it is taken back, in ms, unless it is extended.
    pub until_ms: u64,
}

/// What a worker says of its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done.
    Done,
    /// It cannot be done.
    Failed {
        /// Why.
        reason: String,
        /// Whether another attempt may help.
        again: bool,
    },
}
