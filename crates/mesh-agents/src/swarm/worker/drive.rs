//! The loop of a worker: pull, work, say what came of it.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Failure, SpawnContext};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::attempt::{Ended, OwnTask, attempt};
use super::{WorkerArgs, WorkerStatus};
use crate::swarm::message::{EndTask, HandedTask, PullTask, TaskOutcome};
use crate::swarm::{Swarm, SwarmError, Work};

/// How long one pull waits for a task.
const WAIT: Duration = Duration::from_secs(20);
/// What the way there and back may take beside.
const SLACK: Duration = Duration::from_secs(10);
/// Pauses before the coordinator is tried again, which double.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long the end of a task is told beyond its lease: nobody may have taken it back.
const TELL_MAX: Duration = Duration::from_secs(60);

/// What drives one life of a worker.
pub(super) struct Driver<W: Work> {
    pub(super) swarm: Swarm,
    pub(super) args: Arc<WorkerArgs<W::Args>>,
    pub(super) cx: SpawnContext,
    /// None after a task that ended it, or was taken from it.
    pub(super) work: Option<W>,
    pub(super) status: Arc<Mutex<WorkerStatus>>,
    pub(super) hold: watch::Receiver<bool>,
}

impl<W: Work> Driver<W> {
    /// Works until it is to hold; then no task is in its hands.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        while !*self.hold.borrow() {
            let mut hold = self.hold.clone();
            let pulled = tokio::select! {
                biased;
                _ = hold.wait_for(|hold| *hold) => return,
                pulled = self.next() => pulled,
            };
            match pulled {
                Ok((work, Some(handed))) => {
                    pause = PAUSE_MIN;
                    self.do_one(work, handed).await;
                }
                Ok((work, None)) => {
                    pause = PAUSE_MIN;
                    self.work = Some(work);
                }
                Err(reason) => {
                    tracing::debug!(worker = self.cx.name, swarm = self.args.swarm, reason, "no task yet");
                    tokio::select! {
                        _ = hold.wait_for(|hold| *hold) => return,
                        () = sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                    }
                }
            }
        }
    }

    /// A task, and what works on it: that is made first, so that a task is not pulled in vain.
    async fn next(&mut self) -> Result<(W, Option<HandedTask>), String> {
        if self.work.is_none() {
            self.work = Some(self.open().await?);
        }
        let pull = PullTask {
            worker: self.cx.name.clone(),
            capabilities: self.args.capabilities.clone(),
            wait_ms: crate::millis(WAIT),
        };
        let handed = self.swarm.ask(pull, WAIT + SLACK).await.map_err(|error| error.to_string())?;
        let work = self.work.take().expect("it was made before");
        Ok((work, handed))
    }

    /// A panic in there must not end the worker.
    async fn open(&mut self) -> Result<W, String> {
        let (args, cx) = (Arc::clone(&self.args), self.cx.clone());
        let mut opens = OwnTask(tokio::spawn(async move { W::open(&args.with, &cx).await }));
        match (&mut opens.0).await {
            Ok(Ok(work)) => Ok(work),
            Ok(Err(error)) => Err(error.reason().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn do_one(&mut self, work: W, handed: HandedTask) {
        let (task, epoch, lease_ms) = (handed.task.clone(), handed.epoch, handed.lease_ms);
        self.status.lock().task = Some(task.clone());
        let Ended { work, outcome } = attempt(&self.swarm, work, handed).await;
        self.work = work;
        let is_done = matches!(outcome, Some(TaskOutcome::Done { .. }));
        let is_told = match outcome {
            Some(outcome) => self.tell(EndTask { task, epoch, outcome }, lease_ms).await,
            None => false,
        };
        let mut status = self.status.lock();
        status.task = None;
        if is_done && is_told {
            status.done += 1;
        } else {
            status.not_done += 1;
        }
    }

    /// Says what came of a task until that is acknowledged, or is nobody's business any more.
    async fn tell(&mut self, mut end: EndTask, lease_ms: u64) -> bool {
        let until = Instant::now() + Duration::from_millis(lease_ms) + TELL_MAX;
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.swarm.ask(end.clone(), SLACK).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            match &error {
                SwarmError::Refused(Failure { code, message, .. }) if code == "SWARM_BAD_RESULT" => {
                    end.outcome = TaskOutcome::Failed { reason: message.clone(), again: false };
                }
                SwarmError::Refused(_) => {
                    tracing::info!(task = end.task, epoch = end.epoch, %error, "what was done does not count");
                    return false;
                }
                _ if Instant::now() < until => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                _ => {
                    tracing::warn!(task = end.task, %error, "the end of a task could not be told");
                    return false;
                }
            }
        }
    }
}
