//! A run as it is in the store.

use mesh_store::{Checkpoint, Run, RunId, Store, StoreError};
use serde_json::Value;

use super::pack::{UnpackError, unpack};
use super::{RunDocument, RunError};

/// The kind of a run's first entry, which says what it is to do.
pub(super) const CREATED: &str = "run.created";

/// A run that can be taken up.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) document: RunDocument,
    /// How many checkpoints it has.
    pub(super) checkpoints: u64,
}

/// Reads a run from its newest checkpoint that can be believed; what is passed over is warned of.
///
/// # Errors
/// [`RunError::NoCheckpoint`] when there are checkpoints and none can be used; [`RunError::Store`].
pub(super) async fn load(store: &Store, run: &Run, attempts_max: u32) -> Result<Loaded, RunError> {
    let latest = match store.latest_checkpoint(&run.id).await {
        Err(error @ StoreError::Corrupt { .. }) => return Err(no_checkpoint(&run.id, error.to_string())),
        latest => latest?,
    };
    for damage in &latest.skipped {
        tracing::warn!(run = %run.id, %damage, "checkpoint is passed over");
    }
    let mut next = latest.checkpoint;
    let mut first_reason = None;
    while let Some(checkpoint) = next {
        match document_of(store, run, &checkpoint).await {
            Ok(document) => {
                // A fork begins where its origin stood, whatever became of that.
                let is_fork = checkpoint.run != run.id;
                let document = if is_fork { document.forked(&run.id) } else { document };
                return Ok(Loaded { document, checkpoints: run.checkpoints });
            }
            Err(UnpackError::Store(error)) => return Err(error.into()),
            Err(UnpackError::Foreign(reason)) => {
                tracing::warn!(run = %run.id, checkpoint = %checkpoint.id, reason, "checkpoint is passed over");
                first_reason.get_or_insert(reason);
                next = parent(store, &checkpoint).await?;
            }
        }
    }
    if let Some(reason) = first_reason {
        return Err(no_checkpoint(&run.id, reason));
    }
    let task = task(store, &run.id).await?;
    let document = RunDocument::new(&run.id, run.kind.as_str(), &task, attempts_max);
    Ok(Loaded { document, checkpoints: run.checkpoints })
}

/// The document of a checkpoint of this run, or of the one that it was forked from.
pub(super) async fn document_of(
    store: &Store,
    run: &Run,
    checkpoint: &Checkpoint,
) -> Result<RunDocument, UnpackError> {
    let document = unpack(store, &checkpoint.payload).await?;
    if document.agent != run.kind.as_str() {
        return Err(UnpackError::Foreign(format!("it is of an agent {:?}", document.agent)));
    }
    if document.run != checkpoint.run.as_str() {
        return Err(UnpackError::Foreign(format!("it is of run {:?}", document.run)));
    }
    Ok(document)
}

pub(super) async fn parent(store: &Store, of: &Checkpoint) -> Result<Option<Checkpoint>, RunError> {
    let Some(parent) = of.parent else { return Ok(None) };
    match store.checkpoint(parent).await {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(StoreError::Corrupt { .. }) => {
            let older = store.checkpoints(&of.run, Some(parent), 1).await;
            Ok(older.ok().and_then(|older| older.into_iter().next()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a run was given to do when it was created.
async fn task(store: &Store, run: &RunId) -> Result<String, RunError> {
    let page = store.journal(run, 1, 1).await?;
    let created = page.entries.first().filter(|entry| entry.kind.as_str() == CREATED);
    let said = created.and_then(|entry| serde_json::from_slice::<Value>(&entry.payload).ok());
    let task = said.as_ref().and_then(|said| said["task"].as_str());
    match (task, page.damage) {
        (Some(task), _) => Ok(task.to_owned()),
        (None, Some(damage)) => Err(damage.into()),
        (None, None) => Err(no_checkpoint(run, "its journal does not say what it is to do".to_owned())),
    }
}

fn no_checkpoint(run: &RunId, reason: String) -> RunError {
    RunError::NoCheckpoint { run: run.to_string(), reason }
}
