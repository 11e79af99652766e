//! Work that does what its task says, and waits for the test where that says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh::{SpawnContext, StartError};
use mesh_agents::swarm::{SwarmTask, Work, WorkContext, WorkError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::ground::LIMIT;

/// What a task does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    Say(u64),
    /// Waits until the test lets the task go.
    Hold,
    Fail {
        again: bool,
    },
    Panic,
    /// The sum of what its dependencies said.
    Sum,
}

pub(crate) fn act(id: &str, act: &Act) -> SwarmTask {
    SwarmTask::new(id).input(act).unwrap()
}

/// What the works of all nodes have in common.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// Begun and not ended: `task@worker`.
    at_work: Mutex<Vec<(String, String)>>,
    begun: Mutex<Vec<(String, u32)>>,
    most: Mutex<usize>,
    free: watch::Sender<BTreeSet<String>>,
    news: watch::Sender<u64>,
}

impl Stage {
    /// Lets a task go.
    pub(crate) fn release(&self, task: &str) {
        self.free.send_if_modified(|free| free.insert(task.to_owned()));
    }

    /// Tasks that are worked on.
    pub(crate) fn at_work(&self) -> Vec<String> {
        let mut tasks: Vec<_> = self.at_work.lock().iter().map(|(task, _)| task.clone()).collect();
        tasks.sort_unstable();
        tasks
    }

    /// Every attempt that was begun, in order.
    pub(crate) fn begun(&self) -> Vec<(String, u32)> {
        self.begun.lock().clone()
    }

    /// The most tasks that were worked on at once.
    pub(crate) fn most(&self) -> usize {
        *self.most.lock()
    }

    /// Waits until just these are worked on.
    pub(crate) async fn until_at_work(&self, tasks: &[&str]) {
        let mut news = self.news.subscribe();
        let seen = timeout(LIMIT, async {
            while self.at_work() != tasks {
                news.changed().await.unwrap();
            }
        });
        assert!(seen.await.is_ok(), "{tasks:?} are to be worked on, not {:?}", self.at_work());
    }

    fn changed(&self) {
        self.news.send_modify(|news| *news += 1);
    }
}

/// A task that is worked on; it ends with the work, however that ends.
struct AtWork(Arc<Stage>, String, String);

impl AtWork {
    fn begin(stage: &Arc<Stage>, cx: &WorkContext, worker: &str) -> Self {
        let (task, worker) = (cx.task().to_owned(), worker.to_owned());
        stage.begun.lock().push((task.clone(), cx.attempt()));
        {
            let mut at_work = stage.at_work.lock();
            assert!(at_work.iter().all(|(_, by)| *by != worker), "{worker} has two tasks: {at_work:?}");
            at_work.push((task.clone(), worker.clone()));
            let mut most = stage.most.lock();
            *most = (*most).max(at_work.len());
        }
        stage.changed();
        Self(Arc::clone(stage), task, worker)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.lock().retain(|(task, worker)| (task, worker) != (&self.1, &self.2));
        self.0.changed();
    }
}

pub(crate) struct Acts {
    stage: Arc<Stage>,
    name: String,
}

impl Work for Acts {
    type Args = ();
    type Input = Act;
    type Output = u64;

    async fn open((): &(), cx: &SpawnContext) -> Result<Self, StartError> {
        let stage = cx.extension::<Stage>().expect("every node has it");
        Ok(Self { stage, name: format!("{}/{}", cx.mesh.node_name(), cx.name) })
    }

    async fn work(&mut self, act: Act, cx: &mut WorkContext) -> Result<u64, WorkError> {
        let _at_work = AtWork::begin(&self.stage, cx, &self.name);
        match act {
            Act::Say(said) => Ok(said),
            Act::Hold => {
                let mut free = self.stage.free.subscribe();
                let task = cx.task().to_owned();
                timeout(LIMIT, free.wait_for(|free| free.contains(&task))).await?.map(drop)?;
                Ok(u64::from(cx.attempt()))
            }
            Act::Fail { again: true } => Err(WorkError::again("not this time")),
            Act::Fail { again: false } => Err(WorkError::never("not ever")),
            Act::Panic => panic!("the task is poison"),
            Act::Sum => {
                let mut sum = 0;
                for on in cx.dependencies() {
                    sum += cx.result::<u64>(on).await?;
                }
                Ok(sum)
            }
        }
    }
}

/// Short beside the limit of a test, long beside what a message takes.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
