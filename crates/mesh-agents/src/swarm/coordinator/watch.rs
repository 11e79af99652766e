//! Hearing of the end of workers sooner than their leases tell.

use std::collections::HashMap;

use mesh::{ActorRef, Mesh};
use tokio::task::{AbortHandle, JoinSet};

use super::{Coordinator, Unseen};

/// Workers that are watched at once; of others only leases tell.
const WATCHES_MAX: usize = 4096;

/// The watches of one life of a coordinator; they end with it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    tasks: JoinSet<()>,
    by_worker: HashMap<String, AbortHandle>,
}

impl Watches {
    /// Watches a worker, unless that is done already.
    pub(super) fn begin(
        &mut self,
        mesh: &Mesh,
        worker: &str,
        path: &str,
        coordinator: &ActorRef<Coordinator>,
    ) {
        while self.tasks.try_join_next().is_some() {}
        if self.by_worker.contains_key(worker) || self.by_worker.len() >= WATCHES_MAX {
            return;
        }
        let (mesh, path, coordinator) = (mesh.clone(), path.to_owned(), coordinator.clone());
        let name = worker.to_owned();
        let watch = self.tasks.spawn(async move {
            let down = match mesh.monitor(&path).await {
                Ok(monitor) => Some(monitor.down().await.reason),
                Err(error) => {
                    tracing::debug!(%error, path, "worker cannot be watched");
                    None
                }
            };
            // A coordinator that has ended needs not be told.
            let _ = coordinator.tell(Unseen { worker: name, down }).await;
        });
        self.by_worker.insert(worker.to_owned(), watch);
    }

    /// The watch has ended, or is to end.
    pub(super) fn forget(&mut self, worker: &str) {
        if let Some(watch) = self.by_worker.remove(worker) {
            watch.abort();
        }
    }
}
