//! What a user writes: the work on one task.

use std::fmt;

use mesh::{Mesh, SpawnContext, StartError};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::HandedTask;
use super::{Swarm, SwarmError};

/// The work on the tasks of a swarm, one at a time: what a [`Worker`](super::Worker) is made for.
///
/// ```
/// # use mesh::{SpawnContext, StartError};
/// # use mesh_agents::swarm::{Work, WorkContext, WorkError};
/// /// Counts the words of a text.
/// struct Counter;
///
/// impl Work for Counter {
///     type Args = ();
///     type Input = String;
///     type Output = usize;
///
///     async fn open(_: &(), _: &SpawnContext) -> Result<Self, StartError> {
///         Ok(Self)
///     }
///
///     async fn work(&mut self, text: String, _: &mut WorkContext) -> Result<usize, WorkError> {
///         Ok(text.split_whitespace().count())
///     }
/// }
/// ```
pub trait Work: Sized + Send + 'static {
    /// What the spawner of a worker says to it, written as JSON; `()` for nothing.
    type Args: DeserializeOwned + JsonSchema + Default + Clone + Send + Sync + 'static;
    /// What a task is submitted with, written as JSON.
    type Input: DeserializeOwned + Send;
    /// What comes of a task, to be written as JSON of at most 1 MiB.
    type Output: Serialize + Send;

    /// Makes it: when its worker starts, and anew after a task that ended it or was taken from it.
    ///
    /// # Errors
    /// What the node lacks. Tried again after a pause.
    fn open(args: &Self::Args, cx: &SpawnContext) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Works on one task. The lease of the task is renewed meanwhile; when that is refused (somebody else has the task, or
    /// nobody wants it any more), the future is dropped at its next await.
    ///
    /// A task may be worked on more than once, also at the same time after a node was cut off: one of these counts. What it
    /// does outside should be so made that it may be done again ([`WorkContext::key`]).
    ///
    /// # Errors
    /// [`WorkError`]: the task has failed, or is to be tried again.
    fn work(
        &mut self,
        input: Self::Input,
        cx: &mut WorkContext,
    ) -> impl Future<Output = Result<Self::Output, WorkError>> + Send;
}

/// What is known of the task in hand.
#[derive(Debug, Clone)]
pub struct WorkContext {
    swarm: Swarm,
    handed: HandedTask,
}

impl WorkContext {
    pub(super) fn new(swarm: Swarm, handed: HandedTask) -> Self {
        Self { swarm, handed }
    }

    /// The task's id.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.handed.task
    }

    /// What it depends on, all of which has ended.
    #[must_use]
    pub fn dependencies(&self) -> &[String] {
        &self.handed.dependencies
    }

    /// Which attempt at it this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.handed.attempt
    }

    /// Which assignment this is; a later one of the same task has a higher number, for who can refuse earlier ones.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.handed.epoch
    }

    /// What names the task for others, the same in each attempt: `SWARM/TASK`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.swarm.name(), self.handed.task)
    }

    /// The mesh, seen from this node.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        self.swarm.mesh()
    }

    /// What came of another task of the swarm, such as one that this depends on.
    ///
    /// # Errors
    /// As [`Swarm::result`], without waiting for its end.
    pub async fn result<T: DeserializeOwned>(&self, task: &str) -> Result<T, SwarmError> {
        self.swarm.result(task, std::time::Duration::ZERO).await
    }
}

/// Why a task is not done.
///
/// Any error becomes one that may be tried again, as often as the swarm's `attempts_max` allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkError {
    pub(super) reason: String,
    pub(super) again: bool,
}

impl WorkError {
    /// It cannot be done, by nobody.
    pub fn never(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: false }
    }

    /// Another attempt may help.
    pub fn again(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: true }
    }
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: std::error::Error> From<E> for WorkError {
    fn from(error: E) -> Self {
        Self::again(StartError::from(error).reason())
    }
}
