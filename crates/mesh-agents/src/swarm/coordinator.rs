//! The actor that shares tasks out, and keeps what became of them.

mod change;
mod look;
mod pull;
mod shown;
mod step;
mod waiting;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mesh::{
    Actor, ActorSpec, Context, DownReason, ExitReason, Failure, Handler, Json, Kinds, Mesh, Message, Retry,
    SpawnContext, Spawnable, StartError, WireActor,
};
use mesh_store::{ContentHash, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::pull::Parked;
use self::waiting::Waiting;
use self::watch::Watches;
use super::home::{Home, swarm_of};
use super::ledger::{Ledger, LedgerLost, Step};
use super::message::{
    CancelTasks, DescribeSwarm, EndTask, FetchResult, ListTasks, PullTask, ReadHistory, RenewTask,
    SubmitTasks, TurnSwarm,
};
use super::progress::Progress;
use super::record::Line;
use super::{Fact, Schedule, ScheduleConfig};

/// The longest wait of any message: a minute.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often a coordinator looks whether a time is over: at least so often, or a tenth of a task's lease.
const TICK_MAX: Duration = Duration::from_secs(1);
const TICK_MIN: Duration = Duration::from_millis(10);
/// Each life has so many epochs for its assignments.
const EPOCHS: u64 = 1 << 32;

/// How a swarm shares out its tasks. What is left out has its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwarmArgs {
    /// How many workers have a task at once; 5 by default, 1 to 4,096.
    pub workers_max: Option<u32>,
    /// How many tasks there may be, those that have ended included; 100,000 by default, 1 to 1,000,000.
    pub tasks_max: Option<u32>,
    /// How often a task is tried before it is taken for poison, or for failed; 3 by default, at least 1.
    pub attempts_max: Option<u32>,
    /// How long a worker has a task without a word of it, in ms; 30,000 by default, 100 to 3,600,000.
    pub task_lease_ms: Option<u64>,
    /// How long a task waits to become as urgent as one of the next priority that has just come, in ms; 30,000 by default, at
    /// least 1.
    pub ageing_ms: Option<u64>,
    /// How long after the last word of its coordinator's process another one may take the swarm up, in ms; 5,000 by
    /// default, 100 to 3,600,000.
    pub takeover_ms: Option<u32>,
}

impl SwarmArgs {
    fn config(&self) -> Result<(ScheduleConfig, u32), StartError> {
        let usual = ScheduleConfig::default();
        let within = |name: &str, value: u64, least: u64, most: u64| {
            let fits = (least..=most).contains(&value);
            let wrong = || StartError::new(format!("{name} is a number from {least} to {most}, not {value}"));
            fits.then_some(value).ok_or_else(wrong)
        };
        let count = |name: &str, value: Option<u32>, usual: usize, most: u64| {
            let value = value.map_or(usual as u64, u64::from);
            within(name, value, 1, most).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
        };
        let takeover = within("takeover_ms", self.takeover_ms.unwrap_or(5_000).into(), 100, 3_600_000)?;
        let config = ScheduleConfig {
            workers_max: count("workers_max", self.workers_max, usual.workers_max, 4_096)?,
            tasks_max: count("tasks_max", self.tasks_max, usual.tasks_max, 1_000_000)?,
            attempts_max: self.attempts_max.unwrap_or(usual.attempts_max),
            lease_ms: within("task_lease_ms", self.task_lease_ms.unwrap_or(usual.lease_ms), 100, 3_600_000)?,
            ageing_ms: within("ageing_ms", self.ageing_ms.unwrap_or(usual.ageing_ms), 1, u64::MAX)?,
        };
        within("attempts_max", config.attempts_max.into(), 1, u32::MAX.into())?;
        Ok((config, u32::try_from(takeover).unwrap_or(u32::MAX)))
    }
}

/// The coordinator of one swarm, as an actor of the kind `swarm` under the name `swarm-NAME`. Its workers are
/// [`Worker`](super::Worker)s, on any node.
///
/// What it acknowledges is in its node's store. When it crashes, or its process is killed, the next life on the same
/// store goes on: on the same node when that is started again, and, if it was placed ([`mesh::Mesh::place`]) and its nodes
/// share a store, on another one. What workers had then goes back and counts as an attempt, and what they still say of it is
/// refused.
pub struct Coordinator {
    mesh: Mesh,
    swarm: String,
    home: Home,
    schedule: Schedule,
    lease_ms: u64,
    inputs: HashMap<String, ContentHash>,
    results: HashMap<String, ContentHash>,
    is_draining: bool,
    is_stopped: bool,
    /// What was last seen of tasks that ended what worked on them.
    crashes: HashMap<String, String>,
    parked: VecDeque<Parked>,
    waiting: Vec<Waiting>,
    watches: Watches,
    ledger: Option<Ledger>,
    /// What the time of the schedule begins with.
    began: Instant,
}

impl Coordinator {
    /// The kind under which nodes register it.
    pub const KIND: &'static str = "swarm";

    fn now_ms(&self) -> u64 {
        crate::millis(self.began.elapsed())
    }

    fn refused(&self, code: &str, message: impl Into<String>) -> Failure {
        Failure {
            code: code.to_owned(),
            message: message.into(),
            details: Json::null(),
            retry: Retry::Never,
            may_have_run: false,
            origin: self.mesh.node_name().to_string(),
        }
    }

    fn unknown(&self, task: &str) -> Failure {
        self.refused("SWARM_NO_SUCH_TASK", format!("swarm {} has no task {task:?}", self.swarm))
    }

    fn busy(&self, of: &str, max: usize) -> Failure {
        let message = format!("{max} {of} wait at swarm {}, as many as may", self.swarm);
        Failure { retry: Retry::Backoff, ..self.refused("SWARM_BUSY", message) }
    }
}

impl Spawnable for Coordinator {
    /// Nothing said is the default of everything.
    type Args = Option<SwarmArgs>;

    async fn open(args: &Self::Args, cx: &SpawnContext) -> Result<Self, StartError> {
        let (config, takeover_ms) = args.unwrap_or_default().config()?;
        let swarm = swarm_of(&cx.name)?.to_owned();
        let home = Home::open(store_of(cx)?, &swarm, takeover_ms, cx).await?;
        let kept = home.read().await?;
        let lease_ms = config.lease_ms;
        let mut schedule = Schedule::restore(config, home.lease.epoch.saturating_mul(EPOCHS), 0, kept.facts);
        if kept.is_draining {
            schedule.drain();
        }
        if kept.is_stopped {
            schedule.stop();
        }
        let (is_draining, is_stopped) = (kept.is_draining, kept.is_stopped);
        Ok(Self {
            mesh: cx.mesh.clone(),
            swarm,
            home,
            schedule,
            lease_ms,
            inputs: kept.inputs,
            results: kept.results,
            is_draining,
            is_stopped,
            crashes: HashMap::new(),
            parked: VecDeque::new(),
            waiting: Vec::new(),
            watches: Watches::default(),
            ledger: None,
            began: Instant::now(),
        })
    }

    fn check(args: &Self::Args, cx: &SpawnContext) -> Result<(), StartError> {
        swarm_of(&cx.name)?;
        store_of(cx)?;
        args.unwrap_or_default().config().map(drop)
    }

    fn spec(name: &str) -> ActorSpec {
        // A few large submissions may wait beside what workers say.
        ActorSpec::new(name).mailbox(4096).mailbox_bytes(16 << 20).capability("swarm")
    }
}

fn store_of(cx: &SpawnContext) -> Result<Store, StartError> {
    let lacks = || StartError::new(format!("node {} has no store for swarms", cx.mesh.node_name()));
    cx.extension::<Store>().map(|store| (*store).clone()).ok_or_else(lacks)
}

impl Actor for Coordinator {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        let progress = Progress::open(&self.mesh, &self.swarm)?;
        self.ledger = Some(Ledger::open(self.home.clone(), progress, cx.me().clone()));
        let period = Duration::from_millis(self.lease_ms / 10).clamp(TICK_MIN, TICK_MAX);
        cx.send_every(period, || Tick)?;
        let life = Line::Life { life: self.home.lease.epoch, node: self.mesh.node_name().to_string() };
        self.commit(Step { lines: vec![life], ..Step::default() }, cx).await;
        tracing::info!(swarm = self.swarm, life = self.home.lease.epoch, "swarm is taken up");
        Ok(())
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        if let Some(ledger) = self.ledger.take() {
            ledger.close().await;
        }
    }
}

impl WireActor for Coordinator {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        let kinds = kinds.later::<SubmitTasks>().later::<PullTask>().later::<RenewTask>().later::<EndTask>();
        let kinds = kinds.later::<CancelTasks>().later::<DescribeSwarm>().later::<ListTasks>();
        kinds.later::<FetchResult>().later::<TurnSwarm>().later::<ReadHistory>()
    }
}

/// A time may be over.
struct Tick;

impl Message for Tick {
    type Reply = ();
}

impl Handler<Tick> for Coordinator {
    async fn handle(&mut self, _: Tick, cx: &mut Context<Self>) {
        // It takes back what was kept for too long, first of all.
        self.commit(Step::default(), cx).await;
        self.give_up_waits();
    }
}

/// A worker has ended, or cannot be watched.
struct Unseen {
    worker: String,
    down: Option<DownReason>,
}

impl Message for Unseen {
    type Reply = ();
}

impl Handler<Unseen> for Coordinator {
    async fn handle(&mut self, Unseen { worker, down }: Unseen, cx: &mut Context<Self>) {
        self.watches.forget(&worker);
        // Who cannot be watched is heard of by its lease.
        let Some(reason) = down else { return };
        tracing::info!(swarm = self.swarm, worker, ?reason, "worker has ended");
        self.parked.retain(|parked| parked.worker != worker);
        let now_ms = self.now_ms();
        self.schedule.lose(now_ms, &worker);
        self.commit(Step::default(), cx).await;
    }
}

impl Handler<LedgerLost> for Coordinator {
    async fn handle(&mut self, LedgerLost { reason }: LedgerLost, cx: &mut Context<Self>) {
        cx.fail(format!("nothing of swarm {} can be written any more: {reason}", self.swarm));
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = self.schedule.counts();
        f.debug_struct("Coordinator")
            .field("swarm", &self.swarm)
            .field("counts", &counts)
            .finish_non_exhaustive()
    }
}
