//! One attempt at one task.

use std::any::Any;
use std::time::Duration;

use mesh::Failure;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::swarm::message::{HandedTask, RenewTask, TaskOutcome};
use crate::swarm::{Swarm, SwarmError, Work, WorkContext, WorkError};

/// A lease is renewed when a third of it is over, and so often at least: sooner it is not heard that nobody wants the task.
const RENEWAL_MAX: Duration = Duration::from_secs(2);

/// How an attempt ended.
pub(super) struct Ended<W> {
    /// What worked on it, unless that ended with it.
    pub(super) work: Option<W>,
    /// What is to be told; nothing when the task was taken from the worker.
    pub(super) outcome: Option<TaskOutcome>,
}

/// A task that ends with its owner.
pub(super) struct OwnTask<T>(pub(super) JoinHandle<T>);

impl<T> Drop for OwnTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Works on a task, and keeps its lease meanwhile.
pub(super) async fn attempt<W: Work>(swarm: &Swarm, work: W, handed: HandedTask) -> Ended<W> {
    let renewals = lost(swarm, &handed);
    let cx = WorkContext::new(swarm.clone(), handed.clone());
    // On a task of its own: a panic is seen, and what spins holds up no renewal.
    let mut working = OwnTask(tokio::spawn(run(work, handed.input.clone(), cx)));
    tokio::select! {
        biased;
        ended = &mut working.0 => match ended {
            Ok((work, outcome)) => Ended { work: Some(work), outcome: Some(outcome) },
            Err(error) => {
                let reason = error.try_into_panic().map_or_else(|_| "it was ended".to_owned(), |panic| words(&*panic));
                Ended { work: None, outcome: Some(TaskOutcome::Crashed { reason }) }
            }
        },
        () = renewals => {
            tracing::info!(task = handed.task, epoch = handed.epoch, "task was taken from its worker");
            // The next one begins when this one has ended: a worker never has two.
            working.0.abort();
            let _ = (&mut working.0).await;
            Ended { work: None, outcome: None }
        }
    }
}

async fn run<W: Work>(mut work: W, input: String, mut cx: WorkContext) -> (W, TaskOutcome) {
    let outcome = match serde_json::from_str(&input) {
        Ok(input) => match work.work(input, &mut cx).await {
            Ok(output) => match serde_json::to_string(&output) {
                Ok(result) => TaskOutcome::Done { result },
                Err(error) => failed(WorkError::never(format!("its result cannot be written: {error}"))),
            },
            Err(error) => failed(error),
        },
        Err(error) => failed(WorkError::never(format!("its input is not what this work takes: {error}"))),
    };
    (work, outcome)
}

fn failed(error: WorkError) -> TaskOutcome {
    TaskOutcome::Failed { reason: error.reason, again: error.again }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.as_deref().unwrap_or("without a word"))
}

/// Renews the lease again and again; resolves when it is refused, or is over without a word of the coordinator.
async fn lost(swarm: &Swarm, handed: &HandedTask) {
    let lease = Duration::from_millis(handed.lease_ms);
    let pause = (lease / 3).min(RENEWAL_MAX);
    let mut until = Instant::now() + lease;
    loop {
        sleep(pause).await;
        let asked = Instant::now();
        let renew = RenewTask { task: handed.task.clone(), epoch: handed.epoch };
        match swarm.ask(renew, pause.max(Duration::from_millis(100))).await {
            Ok(lease_ms) => until = asked + Duration::from_millis(lease_ms),
            Err(SwarmError::Refused(Failure { code, .. })) if code.starts_with("SWARM_") => return,
            Err(error) if Instant::now() < until => tracing::debug!(%error, "lease is not renewed yet"),
            Err(_) => return,
        }
    }
}
