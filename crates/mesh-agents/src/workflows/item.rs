//! One item, or one question to the coordinator, from its first attempt to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh::{AskError, Mesh, Retry};
use mesh_models::Rounded;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::job::Job;
use super::message::RunEvent;
use super::placement::{Lease, Placement};
use super::retry::{Failure, Verdict};
use crate::agent::{Agent, Answer, Said, Work};
use crate::workflow::{Choices, ItemError, Plan};

/// How long the end of a crashed agent may take, before its own end after a minute is relied on.
const STOP_MAX: Duration = Duration::from_secs(1);

/// The longest that an item is waited for, whatever its stage says: 365 days. Sums of times stay in their range so.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What all items of a run have in common.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) mesh: Mesh,
    pub(super) placement: Placement,
    pub(super) plan: Arc<Plan>,
    /// The name of the run's actor; that of an agent begins with it.
    pub(super) run: String,
    /// Agents that were asked, without those of which it is known that no model was.
    pub(super) asked: AtomicUsize,
}

/// An item that is worked on.
#[derive(Debug)]
struct Effort {
    around: Arc<Around>,
    job: Job,
    events: mpsc::Sender<RunEvent>,
    deadline: Instant,
    attempt: u32,
    /// Nodes where an attempt was lost.
    avoid: Vec<String>,
    /// Nodes without agents, or without a model.
    unfit: Vec<String>,
}

/// What became of an item.
#[derive(Debug)]
pub(super) struct Finished {
    /// Whether this is about the coordinator, and not about an item.
    pub(super) is_consult: bool,
    pub(super) stage: usize,
    pub(super) index: usize,
    /// What the agent was given.
    pub(super) input: Arc<str>,
    pub(super) answer: Result<Answered, Failed>,
    /// Attempts that were made.
    pub(super) attempts: u32,
    pub(super) elapsed_ms: u64,
}

/// Why there is no answer, and whether there may be one later.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: ItemError,
    pub(super) retry: Retry,
}

/// An answer, and whose.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) node: String,
}

/// Works on an item until it has its answer, has failed for good, or its stage's time for one item is over; so for what
/// the coordinator is asked.
pub(super) async fn work(around: Arc<Around>, job: Job, events: mpsc::Sender<RunEvent>) -> Finished {
    let began = Instant::now();
    let limit = job.limit(&around.plan).min(FOREVER);
    let (is_consult, stage, index) = (job.is_consult(), job.stage(), job.index());
    let input = Arc::clone(job.input());
    let deadline = began + limit;
    let mut effort =
        Effort { around, job, events, deadline, attempt: 1, avoid: Vec::new(), unfit: Vec::new() };
    let late = || {
        let error = ItemError::new("TIMEOUT", format!("no answer within {}", Rounded(limit)));
        Failed { error, retry: Retry::Backoff }
    };
    let answer = match timeout_at(deadline, effort.attempts()).await {
        // The agent and the ask know the same deadline, and either may be the first to notice.
        Ok(Err(failed)) if failed.error.code == "TIMEOUT" => Err(late()),
        Ok(answer) => answer,
        Err(_elapsed) => Err(late()),
    };
    let elapsed_ms = crate::millis(began.elapsed());
    Finished { is_consult, stage, index, input, answer, attempts: effort.attempt, elapsed_ms }
}

impl Effort {
    async fn attempts(&mut self) -> Result<Answered, Failed> {
        if let Job::Item(item) = &self.job
            && let Choices::Nothing(error) = &item.choices
        {
            return Err(Failed { error: error.clone(), retry: Retry::Never });
        }
        loop {
            let lease = self.choose()?;
            let failure = match self.attempt(&lease).await {
                Ok(answer) => return Ok(Answered { answer, node: lease.node().to_owned() }),
                Err(failure) => failure,
            };
            let node = lease.node().to_owned();
            drop(lease);
            let left = self.deadline.saturating_duration_since(Instant::now());
            let pause = match self.verdict(&failure) {
                Verdict::Unfit => {
                    self.unfit.push(node);
                    continue;
                }
                Verdict::Elsewhere => {
                    self.avoid.push(node.clone());
                    Duration::ZERO
                }
                Verdict::Later(pause) if pause < left => pause,
                Verdict::Later(_) | Verdict::Final => {
                    return Err(Failed { error: failure.error(), retry: failure.retry() });
                }
            };
            self.attempt += 1;
            let ItemError { code, message: reason, .. } = failure.error();
            // The message may be the model server's, which may quote the prompt.
            tracing::info!(run = self.around.run, node, attempt = self.attempt, code, "item is tried again");
            let (stage, index) = self.place();
            let pause_ms = crate::millis(pause);
            self.tell(RunEvent::ItemRetried { stage, index, attempt: self.attempt, reason, pause_ms }).await;
            sleep(pause).await;
        }
    }

    /// What to do after the attempt that failed. A coordinator's answer that cannot be read is an answer, too.
    fn verdict(&self, failure: &Failure) -> Verdict {
        match failure {
            Failure::Agent(refusal) if self.job.is_consult() && refusal.code == "BAD_OUTPUT" => {
                Verdict::Final
            }
            failure => failure.verdict(self.attempt, self.job.index()),
        }
    }

    fn choose(&self) -> Result<Lease, Failed> {
        let members = self.around.mesh.members();
        let anywhere = BTreeMap::new();
        let place = self.job.place(&self.around.plan, &anywhere);
        let chosen = self.around.placement.choose(&members, place, &self.avoid, &self.unfit);
        // A node that fits may join, or come back.
        chosen.map_err(|none| Failed { error: ItemError::new("NO_NODE", none.reason), retry: Retry::Backoff })
    }

    /// Spawns an agent on the node, and asks it.
    async fn attempt(&self, lease: &Lease) -> Result<Answer, Failure> {
        let around = &self.around;
        let name = self.job.name(&around.run, &around.plan, self.attempt);
        let args =
            serde_json::to_string(&self.job.args(&around.plan)).expect("arguments are texts and numbers");
        let spawned = around.mesh.spawn_kind(lease.node(), Agent::KIND, &name, &args).await;
        let path = spawned.map_err(|error| Failure::Mesh(unspawned(error, lease.node())))?;
        let (stage, index) = self.place();
        let (agent, node) = (path.clone(), lease.node().to_owned());
        self.tell(RunEvent::ItemStarted { stage, index, agent, node, attempt: self.attempt }).await;
        // If this is dropped while it waits, nobody will know: it counts.
        around.asked.fetch_add(1, Ordering::Relaxed);
        let asked = self.ask(&path).await;
        if asked.as_ref().is_err_and(|failure| !failure.may_have_run()) {
            around.asked.fetch_sub(1, Ordering::Relaxed);
        }
        if matches!(asked, Err(Failure::Mesh(AskError::Stopped { .. }))) {
            // It crashed and is started again, but nobody will ask it. If this fails, it ends by itself.
            drop(timeout(STOP_MAX, around.mesh.stop_actor(&path)).await);
        }
        asked
    }

    async fn ask(&self, path: &str) -> Result<Answer, Failure> {
        let bad = |error: mesh::InvalidPath| AskError::BadPath { reason: error.to_string() };
        let agent =
            self.around.mesh.stream_recipient::<Work>(path).map_err(|error| Failure::Mesh(bad(error)))?;
        let work = Work { input: self.job.input().to_string(), attempt: self.attempt };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut stream = agent.stream(work).timeout(left);
        while let Some(said) = stream.next().await {
            if let Said::Text { text } = said {
                let (stage, index) = self.place();
                self.tell(RunEvent::ItemText { stage, index, text }).await;
            }
        }
        stream.finish().await.map_err(Failure::Mesh)?.map_err(Failure::Agent)
    }

    fn place(&self) -> (String, u64) {
        let stage = &self.around.plan.stages[self.job.stage()];
        (stage.name.clone(), self.job.index() as u64)
    }

    /// Tells what happens to an item. Of the coordinator it is told what it decides.
    async fn tell(&self, event: RunEvent) {
        if self.job.is_consult() {
            return;
        }
        // Without a reader the run is about to be dropped, and this item with it.
        drop(self.events.send(event).await);
    }
}

/// A node that takes too long for so little is as good as lost; the time of the item itself is not over.
fn unspawned(error: AskError, node: &str) -> AskError {
    match error {
        AskError::DeadlineExceeded { may_have_run, .. } => {
            AskError::Unreachable { node: node.to_owned(), may_have_run }
        }
        other => other,
    }
}
