//! Those who wait for something to come to its end.

use std::time::Duration;

use mesh::{Answer, Failure};
use tokio::time::Instant;

use super::{Coordinator, WAIT_MAX};
use crate::swarm::TaskState;
use crate::swarm::ledger::{Step, Then};
use crate::swarm::message::{FetchedResult, SwarmStatus};

/// How many wait at once, workers not counted.
const WAITING_MAX: usize = 1024;

/// Somebody who waits.
pub(super) struct Waiting {
    until: Instant,
    wait: Wait,
}

/// For what.
pub(super) enum Wait {
    /// Until all tasks have ended.
    Over(Answer<Result<SwarmStatus, Failure>>),
    /// Until nobody has a task.
    Idle(Answer<Result<SwarmStatus, Failure>>),
    /// Until one task has ended.
    End { task: String, answer: Answer<Result<FetchedResult, Failure>> },
}

impl Wait {
    fn is_unwanted(&self) -> bool {
        match self {
            Self::Over(answer) | Self::Idle(answer) => answer.cancel().is_cancelled(),
            Self::End { answer, .. } => answer.cancel().is_cancelled(),
        }
    }
}

impl Coordinator {
    /// Answers when it is time, which may be now.
    pub(super) fn wait(&mut self, wait: Wait, wait_ms: u64, step: &mut Step) {
        if wait_ms == 0 || self.is_time(&wait) {
            step.then.push(self.told(wait));
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            let busy = self.busy("askers", WAITING_MAX);
            step.then.push(Then::Say(match wait {
                Wait::Over(answer) | Wait::Idle(answer) => Box::new(move || answer.send(Err(busy))),
                Wait::End { answer, .. } => Box::new(move || answer.send(Err(busy))),
            }));
            return;
        }
        let until = Instant::now() + Duration::from_millis(wait_ms).min(WAIT_MAX);
        self.waiting.push(Waiting { until, wait });
    }

    fn is_time(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Over(_) => self.schedule.is_over(),
            Wait::Idle(_) => self.schedule.is_idle(),
            Wait::End { task, .. } => {
                self.schedule.task(task).is_none_or(|view| matches!(view.state, TaskState::Ended(_)))
            }
        }
    }

    /// Tells those whose time has come, when what they are told is on the disk.
    pub(super) fn answer_waits(&mut self, step: &mut Step) {
        let mut at = 0;
        while at < self.waiting.len() {
            if self.waiting[at].wait.is_unwanted() {
                self.waiting.swap_remove(at);
            } else if self.is_time(&self.waiting[at].wait) {
                let wait = self.waiting.swap_remove(at).wait;
                step.then.push(self.told(wait));
            } else {
                at += 1;
            }
        }
    }

    /// Tells those who have waited long enough how it stands; nothing has happened, so there is nothing to be written.
    pub(super) fn give_up_waits(&mut self) {
        let now = Instant::now();
        while let Some(at) = self.parked.iter().position(|parked| parked.is_over(now)) {
            if let Some(parked) = self.parked.remove(at) {
                parked.give_up();
            }
        }
        while let Some(at) = self.waiting.iter().position(|waiting| waiting.until <= now) {
            let wait = self.waiting.swap_remove(at).wait;
            match self.told(wait) {
                Then::Say(say) => say(),
                Then::Read { .. } => unreachable!("a task without an end has no result"),
            }
        }
    }

    fn told(&self, wait: Wait) -> Then {
        match wait {
            Wait::Over(answer) | Wait::Idle(answer) => {
                let status = self.status();
                Then::Say(Box::new(move || answer.send(Ok(status))))
            }
            Wait::End { task, answer } => self.told_end(&task, answer),
        }
    }

    fn told_end(&self, task: &str, answer: Answer<Result<FetchedResult, Failure>>) -> Then {
        let Some(view) = self.schedule.task(task) else {
            let unknown = self.unknown(task);
            return Then::Say(Box::new(move || answer.send(Err(unknown))));
        };
        let row = self.row(&view);
        let Some(hash) = self.results.get(task).copied() else {
            return Then::Say(Box::new(move || answer.send(Ok(FetchedResult { row, result: None }))));
        };
        let lost = self.refused("SWARM_RESULT_LOST", format!("the result of task {task:?} cannot be read"));
        let say = move |result: Result<String, mesh_store::StoreError>| match result {
            Ok(result) => answer.send(Ok(FetchedResult { row, result: Some(result) })),
            Err(error) => answer.send(Err(Failure { message: format!("{}: {error}", lost.message), ..lost })),
        };
        Then::Read { hash, say: Box::new(say) }
    }
}
