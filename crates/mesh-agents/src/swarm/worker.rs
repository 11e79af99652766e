//! The actor that works for a swarm.

mod attempt;
mod drive;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh::{
    Actor, ActorSpec, Context, ExitReason, Handler, Kinds, Message, SpawnContext, Spawnable, StartError,
    Verb, WireActor, WireMessage,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::drive::Driver;
use super::{Swarm, Work};

/// How long a worker that is stopped has to end its task. A node that leaves bounds this by its own patience, too.
const STOP_MAX: Duration = Duration::from_secs(5);

/// For which swarm a worker works, and as what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerArgs<T: Default = ()> {
    /// The name of the swarm.
    pub swarm: String,
    /// What it can do; nothing in particular by default.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// What its work needs to know.
    #[serde(default)]
    pub with: T,
}

impl<T: Default> WorkerArgs<T> {
    /// A worker for this swarm that can do nothing in particular.
    #[must_use]
    pub fn of(swarm: impl Into<String>) -> Self {
        Self { swarm: swarm.into(), capabilities: BTreeSet::new(), with: T::default() }
    }

    /// It can do this, too.
    #[must_use]
    pub fn can(mut self, capability: impl Into<String>) -> Self {
        self.capabilities.insert(capability.into());
        self
    }
}

/// Asks a worker what it does: `swarm.worker.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeWorker {}

/// What a worker does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The swarm.
    pub swarm: String,
    /// The task in its hands, if it has one.
    pub task: Option<String>,
    /// How many tasks it has done since it started, as the coordinator has acknowledged.
    pub done: u64,
    /// How many attempts of it ended otherwise.
    pub not_done: u64,
}

impl Message for DescribeWorker {
    type Reply = WorkerStatus;
}

impl WireMessage for DescribeWorker {
    const KIND: &'static str = "swarm.worker.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

/// A worker of a swarm, as an actor of a kind of its user's: it pulls one task at a time, has it worked on, and says what
/// came of it.
///
/// Work that panics ends nothing but itself: it counts as the loss of a worker, and is made anew. Several workers on the
/// nodes are a [pool](mesh::Mesh::pool) of placed actors, for [`DescribeWorker`].
pub struct Worker<W: Work> {
    args: Arc<WorkerArgs<W::Args>>,
    cx: SpawnContext,
    first: Option<W>,
    status: Arc<Mutex<WorkerStatus>>,
    /// Says that no more tasks shall be pulled.
    hold: watch::Sender<bool>,
    driver: Option<JoinHandle<()>>,
}

impl<W: Work> Spawnable for Worker<W> {
    type Args = WorkerArgs<W::Args>;

    async fn open(args: &Self::Args, cx: &SpawnContext) -> Result<Self, StartError> {
        let first = Some(W::open(&args.with, cx).await?);
        let status = WorkerStatus { swarm: args.swarm.clone(), ..WorkerStatus::default() };
        let (args, status, hold) =
            (Arc::new(args.clone()), Arc::new(Mutex::new(status)), watch::channel(false).0);
        Ok(Self { args, cx: cx.clone(), first, status, hold, driver: None })
    }

    fn check(args: &Self::Args, cx: &SpawnContext) -> Result<(), StartError> {
        Swarm::new(&cx.mesh, &args.swarm).map(drop).map_err(StartError::from)
    }

    fn spec(name: &str) -> ActorSpec {
        ActorSpec::new(name).mailbox(64)
    }
}

impl<W: Work> Actor for Worker<W> {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), StartError> {
        let driver = Driver {
            swarm: Swarm::new(&self.cx.mesh, &self.args.swarm)?,
            args: Arc::clone(&self.args),
            cx: self.cx.clone(),
            work: self.first.take(),
            status: Arc::clone(&self.status),
            hold: self.hold.subscribe(),
        };
        self.driver = Some(tokio::spawn(driver.run()));
        Ok(())
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.hold.send_replace(true);
        let Some(driver) = self.driver.take() else { return };
        let abort = driver.abort_handle();
        if timeout(STOP_MAX, driver).await.is_err() {
            tracing::info!(worker = self.cx.name, "task is left to another worker");
            abort.abort();
        }
    }
}

impl<W: Work> Drop for Worker<W> {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl<W: Work> WireActor for Worker<W> {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<DescribeWorker>()
    }
}

impl<W: Work> Handler<DescribeWorker> for Worker<W> {
    async fn handle(&mut self, _: DescribeWorker, _: &mut Context<Self>) -> WorkerStatus {
        self.status.lock().clone()
    }
}

impl<W: Work> std::fmt::Debug for Worker<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("status", &self.status.lock()).finish_non_exhaustive()
    }
}
