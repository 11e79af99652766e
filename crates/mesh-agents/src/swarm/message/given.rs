//! Tasks as they are submitted.

use std::collections::BTreeSet;

use mesh::{Failure, Message, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::swarm::{NewTask, OnFailed};

/// A task of a swarm as it is submitted: what is to be done, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwarmTask {
    /// Its id: 1 to 256 bytes without control characters, and no other task's of the swarm.
    pub id: String,
    /// What its worker is given: JSON, at most 1 MiB; `null` by default.
    #[serde(default = "null")]
    pub input: String,
    /// The higher, the sooner; 0 by default.
    #[serde(default)]
    pub priority: i32,
    /// The tasks that have to end before it begins: at most 1,000.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// What its worker has to be able to do; nothing in particular by default, 64 words of 64 bytes at most.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// What becomes of it when a dependency is not done; it fails by default.
    #[serde(default)]
    pub on_failed: OnFailed,
}

fn null() -> String {
    "null".to_owned()
}

impl SwarmTask {
    /// A task of priority 0 without input that depends on nothing.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            input: null(),
            priority: 0,
            dependencies: Vec::new(),
            capabilities: BTreeSet::new(),
            on_failed: OnFailed::default(),
        }
    }

    /// What its worker is given.
    ///
    /// # Errors
    /// When that cannot be written as JSON.
    pub fn input(mut self, input: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.input = serde_json::to_string(input)?;
        Ok(self)
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

    /// The task as the schedule knows it, and its input.
    pub(in crate::swarm) fn split(self) -> (NewTask, String) {
        let Self { id, input, priority, dependencies, capabilities, on_failed } = self;
        (NewTask { id, priority, dependencies, capabilities, on_failed }, input)
    }

    fn bytes(&self) -> usize {
        let texts = self.dependencies.iter().chain(&self.capabilities);
        size_of::<Self>() + self.id.len() + self.input.len() + texts.map(String::len).sum::<usize>()
    }
}

/// Gives a swarm tasks, all of them or none: `swarm.submit.v1`. They may depend on one another and on those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitTasks {
    /// The tasks: 10,000 at most.
    pub tasks: Vec<SwarmTask>,
}

/// Tasks were taken, and are on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// How many were taken.
    pub taken: u64,
    /// How many the swarm has, those that have ended included.
    pub total: u64,
}

impl Message for SubmitTasks {
    type Reply = Result<Submitted, Failure>;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.tasks.iter().map(SwarmTask::bytes).sum::<usize>()
    }
}

impl WireMessage for SubmitTasks {
    const KIND: &'static str = "swarm.submit.v1";
}
