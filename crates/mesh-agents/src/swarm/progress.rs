//! What followers of a swarm are told.

use mesh::{Mesh, Topic};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::home::TOPICS;
use super::message::{SwarmProgress, SwarmStatus, TaskChange};

/// Messages that wait to be published. What comes beyond them is not told: followers see the next status.
const WAITING: usize = 64;
/// Changes in one message: an envelope takes 64 KiB.
const CHANGES: usize = 64;
/// Of a reason, so that the envelope holds.
const DETAIL_BYTES: usize = 256;

/// Publishes on the topic of a swarm, beside its work; nobody is waited for.
#[derive(Debug)]
pub(super) struct Progress {
    waiting: mpsc::Sender<SwarmProgress>,
    task: JoinHandle<()>,
}

impl Progress {
    pub(super) fn open(mesh: &Mesh, swarm: &str) -> Result<Self, mesh::SubscribeError> {
        let topic: Topic<SwarmProgress> = mesh.topic(&format!("{TOPICS}{swarm}"))?;
        let (waiting, mut news) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            while let Some(message) = news.recv().await {
                if let Err(error) = topic.try_publish(message).await {
                    tracing::debug!(%error, topic = topic.name(), "progress is not told");
                }
            }
        });
        Ok(Self { waiting, task })
    }

    pub(super) fn tell(&self, mut changes: Vec<TaskChange>, status: &SwarmStatus) {
        for change in &mut changes {
            change.detail.truncate(change.detail.floor_char_boundary(DETAIL_BYTES));
        }
        let tell = |changes: &[TaskChange]| {
            let message = SwarmProgress { changes: changes.to_vec(), status: status.clone() };
            if self.waiting.try_send(message).is_err() {
                tracing::debug!(swarm = status.swarm, "progress comes faster than it is told");
            }
        };
        if changes.is_empty() {
            tell(&[]);
        }
        changes.chunks(CHANGES).for_each(tell);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
    }
}
