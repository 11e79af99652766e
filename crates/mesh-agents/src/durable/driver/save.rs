//! Making a run's state durable.

use mesh_resilience::Backoff;
use mesh_store::{Changes, NewCheckpoint, NewEntry, StoreError, Written};
use serde_json::Value;
use tokio::time::sleep;

use super::Driver;
use crate::durable::RunError;
use crate::durable::pack::{Package, pack};
use crate::durable::run_context::state_name;
use crate::lifecycle::{AgentState, Lifecycle};

/// An entry of the journal.
pub(super) fn entry(kind: &str, payload: &Value) -> NewEntry {
    NewEntry::new(kind.parse().expect("it is a name"), payload.to_string())
}

impl Driver {
    /// Writes the run as it is in `next`, with its entries, in one write. A write that may succeed later is tried again,
    /// with the result in hand.
    pub(super) async fn save(&mut self, next: Lifecycle, entries: Vec<NewEntry>) -> Result<(), RunError> {
        let now_ms = self.around.clock.now_ms();
        self.document.lifecycle = next;
        self.document.at_ms = now_ms;
        self.document.run = self.around.run.to_string();
        self.document.context.completed_ms =
            (self.document.state() == AgentState::Completed).then_some(now_ms);
        let package = pack(&self.document);
        let mut backoff = Backoff::new(self.settings.attempts, uuid::Uuid::new_v4().as_u64_pair().0);
        let mut attempts = 1;
        while let Err(error) = self.write(&package, &entries).await {
            if self.is_there(&error, &package).await {
                break;
            }
            let may_retry = error.is_transient() || matches!(error, StoreError::Io { .. });
            if !may_retry || attempts >= self.settings.attempts.max_attempts {
                tracing::error!(run = %self.around.run, %error, "run cannot be saved");
                return Err(error.into());
            }
            tracing::warn!(run = %self.around.run, %error, attempts, "run is not saved yet");
            attempts += 1;
            sleep(backoff.pause()).await;
        }
        self.settle();
        self.around.control.show(self.document.state(), self.document.context.current_step);
        self.checkpoints += 1;
        self.retain().await;
        Ok(())
    }

    async fn write(&mut self, package: &Package, entries: &[NewEntry]) -> Result<Written, StoreError> {
        let (store, now_ms) = (&self.around.store, self.document.at_ms);
        let mut checkpoint = NewCheckpoint::new(self.document.context.current_step, package.payload.clone());
        for (hash, bytes) in &package.blobs {
            store.put_blob(bytes.clone(), now_ms).await?;
            checkpoint = checkpoint.with_blob(*hash);
        }
        let changes = Changes::at(now_ms).status(state_name(self.document.state())).checkpoint(checkpoint);
        let changes = entries.iter().fold(changes, |changes, entry| changes.append(entry.clone()));
        store.write(&self.around.lease, changes).await
    }

    /// Whether a write that failed is there in spite of it.
    async fn is_there(&mut self, error: &StoreError, package: &Package) -> bool {
        if !error.may_have_been_written() {
            return false;
        }
        let latest = self.around.store.latest_checkpoint(&self.around.run).await;
        latest.is_ok_and(|latest| latest.checkpoint.is_some_and(|found| found.payload == package.payload))
    }

    /// Lets old checkpoints go. That it fails costs room, and nothing else.
    async fn retain(&mut self) {
        let keep = self.settings.checkpoints.max(1);
        if self.checkpoints <= keep as u64 {
            return;
        }
        match self.around.store.retain_checkpoints(&self.around.lease, keep).await {
            Ok(gone) => self.checkpoints = self.checkpoints.saturating_sub(gone),
            Err(error) => {
                tracing::warn!(run = %self.around.run, %error, "old checkpoints are still there");
            }
        }
    }
}
