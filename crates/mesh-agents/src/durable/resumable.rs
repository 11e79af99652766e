//! A task of plain steps, each of which gets the state of the one before, that goes on where it was left.

use mesh_store::{ContentHash, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, json};

use futures::future::{BoxFuture, FutureExt};

use super::{Checkpoints, RunError, StepError};

type StepFn<T> = Box<dyn Fn(T) -> BoxFuture<'static, Result<T, StepError>> + Send + Sync>;

/// Whether a task goes on where it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// With the step that is next by its latest checkpoint.
    #[default]
    Yes,
    /// From its first step, whatever was saved.
    No,
}

/// Why a task did not come to its end. What it did before is saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumableError {
    /// A step failed; it is what the task goes on with. The state before it is saved, tagged `failed`.
    #[error("step {step} ({name}) failed: {message}")]
    Step {
        /// Which one, from 0.
        step: u64,
        /// What it is called.
        name: String,
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// The task could not be taken up or saved.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A task of plain steps, which saves the state after each.
///
/// ```
/// # use mesh_agents::durable::{Checkpoints, Resumable, ResumableError, Resume};
/// # use mesh_store::{SqliteOptions, Store};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ResumableError> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let store = Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await.unwrap();
/// let sum = Resumable::new(Checkpoints::new(store), "sum")
///     .step("add one", |sum: u64| async move { Ok(sum + 1) })
///     .step("double", |sum: u64| async move { Ok(sum * 2) });
/// assert_eq!(sum.run(20, Resume::Yes).await?, 42);
/// assert_eq!(sum.run(0, Resume::Yes).await?, 42, "it was at its end");
/// assert_eq!(sum.run(0, Resume::No).await?, 2);
/// # Ok(())
/// # }
/// ```
pub struct Resumable<T> {
    checkpoints: Checkpoints,
    task: String,
    steps: Vec<(String, StepFn<T>)>,
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Resumable<T> {
    /// A task without steps, under an id that is checked when it runs.
    #[must_use]
    pub fn new(checkpoints: Checkpoints, task: impl Into<String>) -> Self {
        Self { checkpoints, task: task.into(), steps: Vec::new() }
    }

    /// With a step more, which makes a new state of the one before.
    #[must_use]
    pub fn step<F>(mut self, name: impl Into<String>, step: impl Fn(T) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, StepError>> + Send + 'static,
    {
        self.steps.push((name.into(), Box::new(move |state| step(state).boxed())));
        self
    }

    /// Runs the steps that are left, from `initial` if none was done, and gives the last state.
    ///
    /// # Errors
    /// [`ResumableError::Step`] when a step fails; [`RunError::CodeChanged`] when other steps, or steps of other code,
    /// were saved; other [`RunError`]s as for [`Checkpoints::open`].
    ///
    /// # Cancel safety
    /// Dropped, it leaves the task as it was saved last, to others after a minute.
    pub async fn run(&self, initial: T, resume: Resume) -> Result<T, ResumableError> {
        let code = self.fingerprint();
        let checkpoints = self.checkpoints.clone().code(code.clone());
        let task = checkpoints.open(&self.task).await?;
        let (mut at, mut state) = (0, initial);
        let left = match resume {
            Resume::Yes => checkpoints.latest::<T>(&self.task).await,
            Resume::No => Ok(None),
        };
        match left {
            Ok(None) => {}
            Ok(Some(restored)) if restored.saved.code == code => {
                (at, state) =
                    (usize::try_from(restored.saved.step).unwrap_or(usize::MAX), restored.saved.state);
            }
            Ok(Some(restored)) => {
                task.close().await?;
                return Err(RunError::CodeChanged { saved: restored.saved.code, now: code }.into());
            }
            Err(error) => {
                task.close().await?;
                return Err(error.into());
            }
        }
        let steps = self.steps.len() as u64;
        for (index, (name, step)) in self.steps.iter().enumerate().skip(at) {
            let number = index as u64;
            match step(state.clone()).await {
                Ok(next) => {
                    state = next;
                    let context = Map::from_iter([("step".to_owned(), json!(name))]);
                    task.save_with(number + 1, steps, &state, &[], context).await?;
                }
                Err(error) => {
                    let (code, message) = (error.code().to_owned(), error.message().to_owned());
                    let said = json!({"code": code, "message": message});
                    let context =
                        Map::from_iter([("step".to_owned(), json!(name)), ("error".to_owned(), said)]);
                    task.save_with(number, steps, &state, &["failed"], context).await?;
                    task.close().await?;
                    return Err(ResumableError::Step { step: number, name: name.clone(), code, message });
                }
            }
        }
        task.close().await?;
        Ok(state)
    }

    /// What a stored state is of: these steps, in this order.
    fn fingerprint(&self) -> String {
        let names: Vec<&str> = self.steps.iter().map(|(name, _)| name.as_str()).collect();
        ContentHash::of(json!(names).to_string().as_bytes()).to_string()
    }
}

impl<T> std::fmt::Debug for Resumable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.steps.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Resumable").field("task", &self.task).field("steps", &names).finish_non_exhaustive()
    }
}

impl From<StoreError> for ResumableError {
    fn from(error: StoreError) -> Self {
        RunError::from(error).into()
    }
}
