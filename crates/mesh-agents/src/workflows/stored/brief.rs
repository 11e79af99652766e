//! What a stored run is to do, and by which file: a few words for people, and hashes.

use std::sync::Arc;

use mesh_store::{ContentHash, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::super::message::CreateRun;
use crate::durable::StepError;
use crate::workflow::{Plan, Strictness, load};

/// How much of the task is told to people who look at the run.
const ABOUT_CHARS_MAX: usize = 120;

/// What a run was given: the task of the durable run, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workflows) struct Brief {
    /// What the file was called.
    pub(in crate::workflows) workflow: String,
    /// The beginning of the task, on one line.
    about: String,
    /// The hash of the file's text.
    pub(in crate::workflows) file: String,
    /// The hash of the task.
    task: String,
    /// Whether unknown keys are errors.
    strict: bool,
}

/// What a run walks through, and for what.
pub(super) struct Given {
    pub(super) plan: Arc<Plan>,
    pub(super) task: String,
}

impl Brief {
    pub(super) fn new(create: &CreateRun, file: ContentHash, task: ContentHash) -> Self {
        let line = create.task.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = match line.char_indices().nth(ABOUT_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        };
        let (workflow, strict) = (create.name.clone(), create.strict);
        Self { workflow, about, file: file.to_string(), task: task.to_string(), strict }
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and a flag are JSON")
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("it is no run of a workflow: {error}"))
    }

    /// Reads the file and the task, and makes the plan.
    ///
    /// # Errors
    /// The store's; otherwise one that no other attempt mends.
    pub(super) async fn given(&self, store: &Store) -> Result<Given, StepError> {
        let (file, task) = (text(store, &self.file).await?, text(store, &self.task).await?);
        let strictness = if self.strict { Strictness::Strict } else { Strictness::Lenient };
        // This node may be of another version than the one that took the file.
        let loaded = load(&self.workflow, &file, strictness)
            .map_err(|report| StepError::new("BAD_WORKFLOW", report.to_string()).fatal())?;
        Ok(Given { plan: Arc::new(loaded.plan), task })
    }
}

/// A text by its hash.
pub(super) async fn text(store: &Store, hash: &str) -> Result<String, StepError> {
    let damaged = |reason: String| StepError::new("DAMAGED", reason).fatal();
    let hash: ContentHash = hash.parse().map_err(|_| damaged(format!("{hash:?} is no hash")))?;
    let bytes = match store.blob(hash).await {
        Ok(bytes) => bytes,
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
            return Err(damaged(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    String::from_utf8(bytes.into()).map_err(|_| damaged(format!("blob {hash} is no text")))
}
