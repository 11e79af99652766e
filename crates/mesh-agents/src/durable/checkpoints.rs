//! Checkpoints of tasks that are no agents: saved, found again, listed, forked and deleted by hand.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh_store::{
    Changes, Checkpoint, CheckpointId, Lease, NewCheckpoint, NewEntry, NewRun, Resource, RunId, Store,
    StoreError,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::load::parent;
use super::{Clock, RunError};

/// The kind of runs that are tasks.
const KIND: &str = "task";
/// The version of the form of what is saved.
const VERSION: u32 = 1;
/// How long a task stays with a process that says nothing.
const LEASE: Duration = Duration::from_secs(60);

/// What a checkpoint of a task holds, as JSON that a person can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved<T> {
    /// The version of this form: 1.
    pub version: u32,
    /// The task; a fork's first is of the task that it was forked from.
    pub task: String,
    /// What code the state is of; only the same is given it back by [`Resumable`](super::Resumable).
    pub code: String,
    /// The step that is next, from 0.
    pub step: u64,
    /// How many steps there are.
    pub steps: u64,
    /// The state before that step.
    pub state: T,
    /// Whatever else is to be known.
    #[serde(default)]
    pub context: Map<String, Value>,
    /// When it was saved, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A checkpoint that was read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Restored<T> {
    /// Which one.
    pub id: CheckpointId,
    /// What it holds.
    pub saved: Saved<T>,
    /// Newer ones that could not be believed, and why.
    pub skipped: Vec<String>,
}

/// The checkpoints of tasks in a store. Cheap to clone.
///
/// ```
/// # use mesh_agents::durable::{Checkpoints, RunError};
/// # use mesh_store::{SqliteOptions, Store};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), RunError> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let store = Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await?;
/// let checkpoints = Checkpoints::new(store);
/// let task = checkpoints.open("report").await?;
/// task.save(1, 3, &vec!["found"], &["good"]).await?;
/// task.close().await?;
///
/// let latest = checkpoints.latest::<Vec<String>>("report").await?.unwrap();
/// assert_eq!((latest.saved.step, latest.saved.state), (1, vec!["found".to_owned()]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    store: Store,
    code: String,
    keep: usize,
    clock: Clock,
}

impl Checkpoints {
    /// The checkpoints of a store: ten of each task are kept, and the code is called `1.0`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, code: "1.0".to_owned(), keep: 10, clock: Clock::system() }
    }

    /// Keeps so many of each task (at least 1), beside those that are tagged `pin` or were forked from.
    #[must_use]
    pub fn keep(mut self, checkpoints: usize) -> Self {
        self.keep = checkpoints.max(1);
        self
    }

    /// Names the code that the states are of.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes a task for writing, making it where there is none. One process has it at a time.
    ///
    /// # Errors
    /// [`RunError::Name`] for what is no id: 1 to 100 bytes of `a-z A-Z 0-9 . _ -`; [`StoreError::Held`] while somebody
    /// else has it; [`StoreError::Conflict`] if the id is a run's that is no task.
    pub async fn open(&self, task: &str) -> Result<TaskCheckpoints, RunError> {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let id: RunId = task.parse()?;
        let now_ms = self.clock.now_ms();
        let entry = NewEntry::new("task.created".parse()?, json!({ "task": task }).to_string());
        match self.store.create_run(NewRun::new(KIND.parse()?, now_ms).id(id.clone()).entry(entry)).await {
            Ok(_) => {}
            Err(StoreError::Conflict { .. }) => {
                self.run_of(&id).await?;
            }
            Err(error) => return Err(error.into()),
        }
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let holder = format!("task@{}-{number}", uuid::Uuid::new_v4().simple()).parse()?;
        let ttl_ms = u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX);
        let lease = self.store.acquire(Resource::Run(id.clone()), holder, ttl_ms, now_ms).await?;
        Ok(TaskCheckpoints { of: self.clone(), id, lease })
    }

    /// The newest checkpoint of a task that can be believed, or the one that it was forked from; `None` if none was ever
    /// saved. A torn or foreign one is passed over with a warning, and the one before it used.
    ///
    /// # Errors
    /// [`RunError::NoCheckpoint`] if there are some and none can be used; [`RunError::Store`].
    pub async fn latest<T: DeserializeOwned>(&self, task: &str) -> Result<Option<Restored<T>>, RunError> {
        let run = self.run_of(&task.parse()?).await?;
        let latest = match self.store.latest_checkpoint(&run).await {
            Err(error @ StoreError::Corrupt { .. }) => return Err(none(task, error.to_string())),
            latest => latest?,
        };
        let mut skipped: Vec<_> = latest.skipped.iter().map(ToString::to_string).collect();
        let mut next = latest.checkpoint;
        while let Some(checkpoint) = next {
            match read(&checkpoint) {
                Ok(saved) => {
                    skipped
                        .iter()
                        .for_each(|reason| tracing::warn!(task, reason, "checkpoint is passed over"));
                    return Ok(Some(Restored { id: checkpoint.id, saved, skipped }));
                }
                Err(reason) => skipped.push(reason),
            }
            next = parent(&self.store, &checkpoint).await?;
        }
        match skipped.into_iter().next() {
            Some(reason) => Err(none(task, reason)),
            None => Ok(None),
        }
    }

    /// A checkpoint of whatever time.
    ///
    /// # Errors
    /// [`RunError::Store`] if it is not there or damaged; [`RunError::NoCheckpoint`] if it is foreign.
    pub async fn at<T: DeserializeOwned>(&self, id: CheckpointId) -> Result<Restored<T>, RunError> {
        let checkpoint = self.store.checkpoint(id).await?;
        let saved = read(&checkpoint).map_err(|reason| none(checkpoint.run.as_str(), reason))?;
        Ok(Restored { id, saved, skipped: Vec::new() })
    }

    /// The checkpoints of a task, newest first, at most 1,000.
    ///
    /// # Errors
    /// [`RunError::Store`].
    pub async fn list(&self, task: &str) -> Result<Vec<Checkpoint>, RunError> {
        let run = self.run_of(&task.parse()?).await?;
        Ok(self.store.checkpoints(&run, None, 1000).await?)
    }

    /// A checkpoint and those that it came from, newest first, as far as they are kept; over forks, too.
    ///
    /// # Errors
    /// [`RunError::Store`] if the first is not there.
    pub async fn lineage(&self, id: CheckpointId) -> Result<Vec<CheckpointId>, RunError> {
        let mut line = vec![id];
        let mut next = self.store.checkpoint(id).await?.parent;
        while let Some(id) = next {
            match self.store.checkpoint(id).await {
                Ok(checkpoint) => next = checkpoint.parent,
                Err(StoreError::NotFound { .. }) => break,
                Err(error) => return Err(error.into()),
            }
            line.push(id);
        }
        Ok(line)
    }

    /// Makes another task that goes on from a checkpoint.
    ///
    /// # Errors
    /// [`RunError::Name`]; [`StoreError::Conflict`] if there is a task of that id; [`StoreError::NotFound`].
    pub async fn fork(&self, from: CheckpointId, task: &str) -> Result<(), RunError> {
        let new = NewRun::new(KIND.parse()?, self.clock.now_ms()).id(task.parse()?).forked_from(from);
        let said = json!({"task": task, "forked_from": from.to_string()}).to_string();
        self.store.create_run(new.entry(NewEntry::new("task.created".parse()?, said))).await?;
        Ok(())
    }

    async fn run_of(&self, id: &RunId) -> Result<RunId, RunError> {
        let run = self.store.run(id).await?;
        if run.kind.as_str() == KIND {
            return Ok(run.id);
        }
        let reason = format!("it is a run of {}, and no task", run.kind);
        Err(StoreError::Conflict { what: "task", id: id.to_string(), reason }.into())
    }
}

/// A task in the hands of this process. Close it to give it to others at once; dropped, it is theirs after a minute.
#[derive(Debug)]
pub struct TaskCheckpoints {
    of: Checkpoints,
    id: RunId,
    lease: Lease,
}

impl TaskCheckpoints {
    /// Saves the state before `step` of `steps` as the latest, with words to find it by, and lets old ones go.
    ///
    /// # Errors
    /// [`RunError::Store`]: fenced if somebody else has the task by now; too large beyond 16 MiB. [`RunError::Name`] for
    /// a word that is no tag.
    pub async fn save<T: Serialize>(
        &self,
        step: u64,
        steps: u64,
        state: &T,
        tags: &[&str],
    ) -> Result<CheckpointId, RunError> {
        self.save_with(step, steps, state, tags, Map::new()).await
    }

    /// As [`save`](Self::save), with whatever else is to be known.
    ///
    /// # Errors
    /// As of [`save`](Self::save).
    pub async fn save_with<T: Serialize>(
        &self,
        step: u64,
        steps: u64,
        state: &T,
        tags: &[&str],
        context: Map<String, Value>,
    ) -> Result<CheckpointId, RunError> {
        let at_ms = self.of.clock.now_ms();
        let (task, code) = (self.id.to_string(), self.of.code.clone());
        let saved = Saved { version: VERSION, task, code, step, steps, state, context, at_ms };
        let payload = serde_json::to_vec_pretty(&saved)
            .map_err(|error| none(self.id.as_str(), format!("its state is no JSON: {error}")))?;
        let mut checkpoint = NewCheckpoint::new(step, payload);
        for tag in tags {
            checkpoint = checkpoint.tag(tag.parse()?);
        }
        let written = self.of.store.write(&self.lease, Changes::at(at_ms).checkpoint(checkpoint)).await?;
        self.of.store.retain_checkpoints(&self.lease, self.of.keep).await?;
        // The lease lasts as long as something is saved again and again.
        let ttl_ms = u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX);
        self.of.store.renew(&self.lease, ttl_ms, at_ms).await?;
        Ok(written.checkpoint.expect("one was in the write"))
    }

    /// Deletes one checkpoint.
    ///
    /// # Errors
    /// [`RunError::Store`]: not there, fenced, or needed by a fork.
    pub async fn delete(&self, id: CheckpointId) -> Result<(), RunError> {
        Ok(self.of.store.delete_checkpoint(&self.lease, id).await?)
    }

    /// Gives the task to whoever is next.
    ///
    /// # Errors
    /// [`RunError::Store`]; it is somebody else's by now, or the store failed.
    pub async fn close(self) -> Result<(), RunError> {
        Ok(self.of.store.release(&self.lease).await?)
    }
}

fn read<T: DeserializeOwned>(checkpoint: &Checkpoint) -> Result<Saved<T>, String> {
    let saved: Saved<T> = serde_json::from_slice(&checkpoint.payload)
        .map_err(|error| format!("{} is foreign: {error}", checkpoint.id))?;
    if saved.version != VERSION {
        return Err(format!(
            "{} is of version {}, and this is version {VERSION}",
            checkpoint.id, saved.version
        ));
    }
    if saved.task != checkpoint.run.as_str() {
        return Err(format!("{} is of another task, {:?}", checkpoint.id, saved.task));
    }
    Ok(saved)
}

fn none(task: &str, reason: String) -> RunError {
    RunError::NoCheckpoint { run: task.to_owned(), reason }
}
