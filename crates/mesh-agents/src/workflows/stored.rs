//! Runs of workflows that outlive their process.
//!
//! ```text
//!  RunWorkflow ──► NODE/workflows/ID ── runs.resume.v1 ──► NODE/runs ──► NODE/runs/ID    a durable run: one writer, an epoch
//!    RunEvent… ◄───┘  ▲                                                      │
//!                     └────────── Followers ◄── StoredWorkflow ◄─────────────┘   its steps are the stages
//!                                                     │
//!                           each item that is done ───┴──► the run's journal, before anybody is told
//! ```
//!
//! The text of the file and the task are blobs of the node's store, and so is what is long in an answer; a run refers to
//! them by their hashes. Whoever takes up a run walks its plan anew, and takes what the journal has for the answers of
//! items, so that only those are given to agents that had not finished.

mod agent;
mod brief;
mod follow;
mod followers;
mod open;
mod record;
mod resume;

use std::sync::{Arc, OnceLock};

pub(super) use self::brief::Brief;
pub(super) use self::follow::FollowActor;
pub(super) use self::followers::Followers;
pub(super) use self::record::{Known, Record, StageRecord, keep};
pub(super) use self::resume::follow;

use self::agent::StoredWorkflow;
use super::message::CreateRun;
use super::placement::Placement;
use crate::durable::{RunError, Runs};

/// What makes runs of workflows durable on a node: those whose file has `checkpoints` enabled are runs of the kind
/// `workflow` among the [`Runs`] of its store. Cheap to clone.
///
/// Give its kind to the node's runs ([`add_to`](Self::add_to)), and itself to
/// [`Workflows::publish_with`](super::Workflows::publish_with).
#[derive(Debug, Clone, Default)]
pub struct DurableWorkflows {
    pub(super) followers: Followers,
    pub(super) placement: Placement,
    runs: Arc<OnceLock<Runs>>,
}

impl DurableWorkflows {
    /// The kind of these runs.
    pub const KIND: &'static str = "workflow";

    /// None yet: no runs were added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the kind to the runs of a node.
    ///
    /// # Errors
    /// None of its own; it is that of [`Runs::agent`].
    pub fn add_to(&self, runs: Runs) -> Result<Runs, RunError> {
        let (followers, placement) = (self.followers.clone(), self.placement.clone());
        let runs =
            runs.agent(Self::KIND, move || StoredWorkflow::new(followers.clone(), placement.clone()))?;
        // Those of a second time are of the same store.
        let _ = self.runs.set(runs.clone());
        Ok(runs)
    }

    /// The node's runs, if it has any.
    pub(super) fn runs(&self) -> Option<&Runs> {
        self.runs.get()
    }

    /// Writes a run down that waits to be started: what it is to do, and by which file.
    pub(super) async fn create(
        &self,
        runs: &Runs,
        create: &CreateRun,
        namespace: &str,
    ) -> Result<mesh_store::RunId, RunError> {
        let (store, now_ms) = (runs.store(), runs.now_ms());
        let file = store.put_blob(create.text.clone().into_bytes(), now_ms).await?;
        let task = store.put_blob(create.task.clone().into_bytes(), now_ms).await?;
        let brief = Brief::new(create, file, task);
        runs.create_held(Self::KIND, &brief.to_text(), namespace, &[file, task]).await
    }
}
