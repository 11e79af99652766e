//! What workers ask for.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh::{Answer, Context, Failure, Handler, Later};
use tokio::time::Instant;

use super::{Coordinator, WAIT_MAX};
use crate::swarm::ledger::{Step, Then};
use crate::swarm::message::{EndTask, HandedTask, PullTask, RenewTask, TaskOutcome};
use crate::swarm::record::Line;
use crate::swarm::{Assignment, Fenced, Outcome};
use mesh_store::ContentHash;
use serde::de::IgnoredAny;

/// Workers that wait at once.
const PARKED_MAX: usize = 4096;
/// The longest result: 1 MiB.
const RESULT_BYTES_MAX: usize = 1 << 20;
/// How much of a reason is kept.
const REASON_BYTES_MAX: usize = 4 << 10;

/// A worker that waits for a task.
pub(super) struct Parked {
    pub(super) worker: String,
    path: String,
    capabilities: BTreeSet<String>,
    answer: Answer<Result<Option<HandedTask>, Failure>>,
    until: Instant,
}

impl Handler<Later<PullTask>> for Coordinator {
    async fn handle(&mut self, later: Later<PullTask>, cx: &mut Context<Self>) {
        let (PullTask { worker: path, capabilities, wait_ms }, answer) = later.take();
        let node = cx.sender().and_then(|sender| sender.node.clone());
        let worker = format!("{}/{path}", node.unwrap_or_else(|| self.mesh.node_name()));
        // One that asks twice waits once.
        self.parked.retain(|parked| parked.worker != worker);
        if self.parked.len() >= PARKED_MAX {
            return answer.send(Err(self.busy("workers", PARKED_MAX)));
        }
        let now_ms = self.now_ms();
        self.schedule.lose(now_ms, &worker);
        let until = Instant::now() + Duration::from_millis(wait_ms).min(WAIT_MAX);
        self.parked.push_back(Parked { path: worker.clone(), worker, capabilities, answer, until });
        self.commit(Step::default(), cx).await;
        self.give_up_waits();
    }
}

impl Coordinator {
    /// Gives tasks to those who wait, in the order in which they came.
    pub(super) fn hand_out(&mut self, step: &mut Step, cx: &Context<Self>) {
        let now_ms = self.now_ms();
        self.schedule.expire(now_ms);
        let mut kept = std::collections::VecDeque::with_capacity(self.parked.len());
        while let Some(parked) = self.parked.pop_front() {
            if parked.answer.cancel().is_cancelled() {
                continue;
            }
            let is_any = self.schedule.counts().ready > 0;
            let pulled =
                if is_any { self.schedule.pull(now_ms, &parked.worker, &parked.capabilities) } else { None };
            match pulled {
                Some(assignment) => {
                    self.watches.begin(&self.mesh, &parked.worker, &parked.path, cx.me());
                    step.then.push(self.handed(&assignment, parked.answer));
                }
                None => kept.push_back(parked),
            }
        }
        self.parked = kept;
    }

    fn handed(&self, assignment: &Assignment, answer: Answer<Result<Option<HandedTask>, Failure>>) -> Then {
        let Assignment { task, epoch, attempt, .. } = assignment.clone();
        let view = self.schedule.task(&task);
        let dependencies = view.map(|view| view.spec.dependencies.clone()).unwrap_or_default();
        let hash = self.inputs.get(&task).copied();
        let input = "null".to_owned();
        let handed = HandedTask { task, input, dependencies, epoch, attempt, lease_ms: self.lease_ms };
        let unread =
            self.refused("SWARM_INPUT_LOST", format!("the input of task {:?} cannot be read", handed.task));
        match hash {
            None => Then::Say(Box::new(move || answer.send(Ok(Some(handed))))),
            Some(hash) => Then::Read {
                hash,
                say: Box::new(move |input| match input {
                    Ok(input) => answer.send(Ok(Some(HandedTask { input, ..handed }))),
                    Err(error) => {
                        answer
                            .send(Err(Failure { message: format!("{}: {error}", unread.message), ..unread }));
                    }
                }),
            },
        }
    }

    fn fenced(&self, fenced: &Fenced) -> Failure {
        self.refused("SWARM_FENCED", fenced.to_string())
    }

    fn end(&mut self, end: EndTask, step: &mut Step) -> Result<(), Failure> {
        let EndTask { task, epoch, outcome } = end;
        let now_ms = self.now_ms();
        let outcome = match outcome {
            TaskOutcome::Done { result } => {
                self.check_result(&task, &result)?;
                // Whether it still is this worker's decides whether its result counts.
                self.schedule
                    .finish(now_ms, &task, epoch, Outcome::Done)
                    .map_err(|error| self.fenced(&error))?;
                self.keep_result(task, result, step);
                return Ok(());
            }
            TaskOutcome::Failed { reason, again } => Outcome::Failed { reason: cut(reason), again },
            TaskOutcome::Crashed { reason } => {
                self.schedule.extend(now_ms, &task, epoch).map_err(|error| self.fenced(&error))?;
                self.crashes.insert(task.clone(), cut(reason));
                let worker = self.schedule.worker_of(&task).map(str::to_owned);
                if let Some(worker) = worker {
                    self.schedule.lose(now_ms, &worker);
                }
                return Ok(());
            }
        };
        self.schedule.finish(now_ms, &task, epoch, outcome).map_err(|error| self.fenced(&error))
    }

    fn check_result(&self, task: &str, result: &str) -> Result<(), Failure> {
        let bad = |reason: String| {
            self.refused("SWARM_BAD_RESULT", format!("the result of task {task:?} {reason}"))
        };
        if result.len() > RESULT_BYTES_MAX {
            return Err(bad(format!("has {} bytes, at most {RESULT_BYTES_MAX} are taken", result.len())));
        }
        serde_json::from_str::<IgnoredAny>(result).map_err(|error| bad(format!("is no JSON: {error}")))?;
        Ok(())
    }

    /// Keeps the first result of a task; what is said again is not looked at.
    fn keep_result(&mut self, task: String, result: String, step: &mut Step) {
        if self.results.contains_key(&task) {
            return;
        }
        let hash = ContentHash::of(result.as_bytes());
        self.results.insert(task.clone(), hash);
        step.lines.push(Line::Result { task, hash: hash.to_string() });
        step.blobs.push((hash, result));
    }
}

impl Handler<Later<RenewTask>> for Coordinator {
    async fn handle(&mut self, later: Later<RenewTask>, _: &mut Context<Self>) {
        let (RenewTask { task, epoch }, answer) = later.take();
        let now_ms = self.now_ms();
        // Leases are of this life alone: there is nothing to be written.
        match self.schedule.extend(now_ms, &task, epoch) {
            Ok(_) => answer.send(Ok(self.lease_ms)),
            Err(error) => answer.send(Err(self.fenced(&error))),
        }
    }
}

impl Handler<Later<EndTask>> for Coordinator {
    async fn handle(&mut self, later: Later<EndTask>, cx: &mut Context<Self>) {
        let (end, answer) = later.take();
        let mut step = Step::default();
        let ended = self.end(end, &mut step);
        step.then.push(Then::Say(Box::new(move || answer.send(ended))));
        self.commit(step, cx).await;
    }
}

fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

impl Parked {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    pub(super) fn give_up(self) {
        self.answer.send(Ok(None));
    }
}
