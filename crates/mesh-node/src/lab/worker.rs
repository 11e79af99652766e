//! What lab workers do for a swarm: kind `lab-worker`.

use std::time::Duration;

use mesh::{SpawnContext, StartError};
use mesh_agents::swarm::{Work, WorkContext, WorkError};
use serde::Deserialize;
use tokio::time::sleep;

/// What a task says that is to be done; `null` is nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum LabTask {
    /// Count the words of a text.
    Words(String),
    /// Add up what came of the tasks that it depends on.
    Sum {},
    /// Take so many milliseconds.
    Ms(u64),
    /// Fail, for these words.
    Fail(String),
}

pub(super) struct LabWork;

impl LabWork {
    /// The kind under which nodes with lab actors register it.
    pub(super) const KIND: &'static str = "lab-worker";
}

impl Work for LabWork {
    type Args = ();
    type Input = Option<LabTask>;
    type Output = u64;

    async fn open((): &(), _: &SpawnContext) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn work(&mut self, task: Option<LabTask>, cx: &mut WorkContext) -> Result<u64, WorkError> {
        match task {
            None => Ok(0),
            Some(LabTask::Words(text)) => Ok(text.split_whitespace().count() as u64),
            Some(LabTask::Ms(ms)) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(ms)
            }
            Some(LabTask::Fail(reason)) => Err(WorkError::never(reason)),
            Some(LabTask::Sum {}) => {
                let mut sum = 0_u64;
                for task in cx.dependencies() {
                    sum = sum.saturating_add(cx.result(task).await?);
                }
                Ok(sum)
            }
        }
    }
}
