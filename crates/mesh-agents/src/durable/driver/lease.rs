//! Keeping the lease of a run while it is at work.

use std::time::Duration;

use mesh_store::StoreError;
use tokio::time::sleep;

use crate::durable::RunError;
use crate::durable::run_context::Around;

/// Renews the lease again and again, and resolves when it is lost: somebody else has it, or may have it by now.
pub(super) async fn lost(around: &Around, lease_ms: u32) -> RunError {
    let pause = Duration::from_millis(u64::from(lease_ms) / 3);
    let mut until_ms = around.lease.until_ms;
    loop {
        sleep(pause).await;
        match around.store.renew(&around.lease, lease_ms, around.clock.now_ms()).await {
            Ok(lease) => until_ms = lease.until_ms,
            Err(error @ (StoreError::Fenced { .. } | StoreError::Closed | StoreError::Poisoned)) => {
                tracing::warn!(run = %around.run, %error, "run is lost to this node");
                return error.into();
            }
            // The store refuses whoever is late; what a step does elsewhere, nobody does.
            Err(error) if around.clock.now_ms() >= until_ms => {
                tracing::warn!(run = %around.run, %error, "lease could not be renewed in time");
                return error.into();
            }
            Err(error) => tracing::debug!(run = %around.run, %error, "lease is not renewed yet"),
        }
    }
}
