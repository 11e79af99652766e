//! A swarm, as those see it who give it work.

use std::time::Duration;

use mesh::{AskError, Failure, Mesh, Message, WireMessage};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::home::{PREFIX, TOPICS, swarm_of};
use super::message::{
    CancelTasks, DescribeSwarm, FetchResult, ListTasks, SubmitTasks, SwarmOrder, SwarmStatus, SwarmTask,
    TaskList, TaskRow, TurnSwarm,
};
use super::{Coordinator, SwarmArgs};

/// How long one message may take, beside what it waits for.
const ASK_MAX: Duration = Duration::from_secs(30);
/// How long one message waits.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Before a coordinator that moves is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// A swarm by its name. Cheap to clone; it starts and ends nothing.
///
/// ```no_run
/// # use std::time::Duration;
/// # use mesh::Mesh;
/// # use mesh_agents::swarm::{Swarm, SwarmArgs, SwarmError, SwarmTask};
/// # async fn run(mesh: &Mesh) -> Result<(), Box<dyn std::error::Error>> {
/// let swarm = Swarm::place(mesh, "docs", &SwarmArgs::default()).await?;
/// let count = |name: &str| SwarmTask::new(name).input(&name);
/// let sum = SwarmTask::new("sum").after("README.md").after("CHANGELOG.md");
/// swarm.submit(vec![count("README.md")?, count("CHANGELOG.md")?, sum]).await?;
/// let words: usize = swarm.result("sum", Duration::from_secs(60)).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Swarm {
    mesh: Mesh,
    /// That of its coordinator.
    actor: String,
}

/// Why a swarm did not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// The name can be none of a swarm: the caller's mistake.
    #[error("{reason}")]
    Name {
        /// What is wrong with it.
        reason: String,
    },
    /// The coordinator did not answer: it moves, or there is none. The error says whether it may have done what it was
    /// asked.
    #[error(transparent)]
    Mesh(#[from] AskError),
    /// The coordinator refused, and did nothing. Its code says why: `SWARM_DUPLICATE`, `SWARM_UNKNOWN_DEPENDENCY`,
    /// `SWARM_CYCLE`, `SWARM_BAD_TASK`, `SWARM_DRAINING`, `SWARM_FULL`, `SWARM_NO_SUCH_TASK`, `SWARM_FENCED`, `SWARM_BUSY`.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Failure),
    /// A task has no result, since it has not ended yet, or has ended otherwise.
    #[error("task {:?} is {} ({})", .0.task, .0.state, .0.detail)]
    NotDone(Box<TaskRow>),
    /// A result is not of the type that was asked for: the caller's mistake.
    #[error("the result of task {task:?} is another: {reason}")]
    OtherResult {
        /// The task.
        task: String,
        /// What does not fit.
        reason: String,
    },
    /// The swarm has not come to its end in the time that it was given. It goes on.
    #[error("swarm {} is not over: {} done, {} to be done", .0.swarm, .0.done, .0.blocked + .0.ready + .0.running)]
    NotOver(Box<SwarmStatus>),
}

impl Swarm {
    /// The swarm of this name, which may exist or not: 1 to 80 bytes of `a-z A-Z 0-9 . _ -`.
    ///
    /// # Errors
    /// [`SwarmError::Name`].
    pub fn new(mesh: &Mesh, name: &str) -> Result<Self, SwarmError> {
        let actor = format!("{PREFIX}{name}");
        let wrong = |reason: String| SwarmError::Name { reason };
        swarm_of(&actor).map_err(|error| wrong(error.reason().to_owned()))?;
        let recipient = mesh.recipient::<DescribeSwarm>(&actor);
        recipient.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { mesh: mesh.clone(), actor })
    }

    /// Has the swarm's coordinator live on one of the nodes that register [`Coordinator::KIND`], and on another one when that
    /// dies. For nodes that share a store: where each has its own, a later life finds nothing and does not start.
    ///
    /// # Errors
    /// [`SwarmError::Name`]; [`SwarmError::Mesh`] as of [`mesh::Place::start`].
    pub async fn place(mesh: &Mesh, name: &str, args: &SwarmArgs) -> Result<Self, SwarmError> {
        let swarm = Self::new(mesh, name)?;
        mesh.place(&swarm.actor, Coordinator::KIND).args(args).timeout(ASK_MAX).start().await?;
        Ok(swarm)
    }

    /// Starts the swarm's coordinator on this node. After the death of the node's process it is to be started there again,
    /// which an `[[agents]]` table of the node's settings does by itself.
    ///
    /// # Errors
    /// [`SwarmError::Name`]; [`SwarmError::Mesh`] as of any spawn.
    pub async fn start_on(mesh: &Mesh, node: &str, name: &str, args: &SwarmArgs) -> Result<Self, SwarmError> {
        let swarm = Self::new(mesh, name)?;
        let args = serde_json::to_string(args).expect("numbers are JSON");
        mesh.spawn_kind(node, Coordinator::KIND, &swarm.actor, &args).await?;
        Ok(swarm)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.actor[PREFIX.len()..]
    }

    /// The name of its coordinator: `swarm-NAME`.
    #[must_use]
    pub fn coordinator(&self) -> &str {
        &self.actor
    }

    /// The topic on which it tells its progress ([`SwarmProgress`](super::SwarmProgress)): `swarm/NAME`.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("{TOPICS}{}", self.name())
    }

    /// The mesh in which it is found.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Gives it tasks, all or none; they are on the disk when this returns. Answers how many it has now.
    ///
    /// # Errors
    /// [`SwarmError::Refused`]; [`SwarmError::Mesh`]: where that may have run, submitting again is told `SWARM_DUPLICATE` if
    /// it has.
    pub async fn submit(&self, tasks: Vec<SwarmTask>) -> Result<u64, SwarmError> {
        Ok(self.ask(SubmitTasks { tasks }, ASK_MAX).await?.total)
    }

    /// Ends tasks that nobody wants any more. Answers how many had not ended. What depends on them follows its policy.
    ///
    /// # Errors
    /// [`SwarmError::Refused`], [`SwarmError::Mesh`].
    pub async fn cancel(&self, tasks: Vec<String>) -> Result<u64, SwarmError> {
        Ok(self.ask(CancelTasks { tasks }, ASK_MAX).await?.cancelled)
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`SwarmError::Mesh`].
    pub async fn status(&self) -> Result<SwarmStatus, SwarmError> {
        self.ask(DescribeSwarm::default(), ASK_MAX).await
    }

    /// Tasks, in the order in which they were submitted.
    ///
    /// # Errors
    /// [`SwarmError::Mesh`].
    pub async fn list(&self, list: ListTasks) -> Result<TaskList, SwarmError> {
        self.ask(list, ASK_MAX).await
    }

    /// Waits until all tasks have ended, also while the coordinator moves to another node.
    ///
    /// # Errors
    /// [`SwarmError::NotOver`] after `within`; [`SwarmError::Mesh`] when nothing was heard of it by then.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn join(&self, within: Duration) -> Result<SwarmStatus, SwarmError> {
        self.until(within, |wait_ms| DescribeSwarm { wait_ms }, |status: &SwarmStatus| status.is_over)
            .await?
            .map_err(|status| SwarmError::NotOver(Box::new(status)))
    }

    /// What came of a task, once it has ended; waits for that at most `within`, also while the coordinator moves.
    ///
    /// # Errors
    /// [`SwarmError::NotDone`], [`SwarmError::OtherResult`], [`SwarmError::Refused`], [`SwarmError::Mesh`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn result<T: DeserializeOwned>(&self, task: &str, within: Duration) -> Result<T, SwarmError> {
        let fetch = |wait_ms| FetchResult { task: task.to_owned(), wait_ms };
        let is_over = |found: &super::FetchedResult| !is_open(&found.row);
        let (Ok(found) | Err(found)) = self.until(within, fetch, is_over).await?;
        let Some(result) = found.result else { return Err(SwarmError::NotDone(Box::new(found.row))) };
        serde_json::from_str(&result)
            .map_err(|error| SwarmError::OtherResult { task: task.to_owned(), reason: error.to_string() })
    }

    /// Has it take no more tasks, for ever; those that are there are done. Waits for them at most `within`, a minute at most,
    /// and answers how far it is.
    ///
    /// # Errors
    /// [`SwarmError::Mesh`].
    pub async fn drain(&self, within: Duration) -> Result<SwarmStatus, SwarmError> {
        self.turn(SwarmOrder::Drain, within).await
    }

    /// Has it hand out no more tasks, and waits for those that workers have at most `within`, a minute at most. Answers how far
    /// it is.
    ///
    /// # Errors
    /// [`SwarmError::Mesh`].
    pub async fn stop(&self, within: Duration) -> Result<SwarmStatus, SwarmError> {
        self.turn(SwarmOrder::Stop, within).await
    }

    /// Has it hand out tasks again after [`stop`](Self::stop).
    ///
    /// # Errors
    /// [`SwarmError::Mesh`].
    pub async fn resume(&self) -> Result<SwarmStatus, SwarmError> {
        self.turn(SwarmOrder::Resume, Duration::ZERO).await
    }

    async fn turn(&self, to: SwarmOrder, within: Duration) -> Result<SwarmStatus, SwarmError> {
        self.ask(TurnSwarm { to, wait_ms: crate::millis(within) }, within + ASK_MAX).await
    }

    pub(super) async fn ask<M, T>(&self, message: M, timeout: Duration) -> Result<T, SwarmError>
    where
        M: WireMessage + Message<Reply = Result<T, Failure>>,
    {
        let bad = |error: mesh::InvalidPath| SwarmError::Name { reason: error.to_string() };
        let coordinator = self.mesh.recipient::<M>(&self.actor).map_err(bad)?;
        coordinator.ask(message).timeout(timeout).await?.map_err(SwarmError::Refused)
    }

    /// Asks again and again, over the lives of the coordinator, until what it says will do. `Err` inside is what it said
    /// last.
    async fn until<M, T>(
        &self,
        within: Duration,
        message: impl Fn(u64) -> M,
        will_do: impl Fn(&T) -> bool,
    ) -> Result<Result<T, T>, SwarmError>
    where
        M: WireMessage + Message<Reply = Result<T, Failure>>,
    {
        let end = Instant::now() + within;
        loop {
            let wait = end.saturating_duration_since(Instant::now()).min(WAIT_MAX);
            match self.ask(message(crate::millis(wait)), wait + ASK_MAX).await {
                Ok(said) if will_do(&said) => return Ok(Ok(said)),
                Ok(said) if Instant::now() >= end => return Ok(Err(said)),
                Ok(_) => {}
                Err(SwarmError::Mesh(error)) if may_come_back(&error) && Instant::now() + PAUSE < end => {
                    tracing::debug!(swarm = self.name(), %error, "coordinator is away");
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_open(row: &TaskRow) -> bool {
    matches!(row.state.as_str(), "blocked" | "ready" | "running")
}

fn may_come_back(error: &AskError) -> bool {
    matches!(
        error,
        AskError::NoSuchActor { .. }
            | AskError::NoSuchNode { .. }
            | AskError::NotRunning { .. }
            | AskError::Unreachable { .. }
            | AskError::Stopped { .. }
            | AskError::DeadlineExceeded { .. }
    )
}
