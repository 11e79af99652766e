//! What is shown of tasks and of the swarm.

use super::Coordinator;
use crate::swarm::message::{SwarmStatus, TaskRow};
use crate::swarm::{End, TaskState, TaskView};

/// A state, and what is to be said of it.
pub(super) type Shown = (String, String);

pub(super) fn running(worker: &str) -> Shown {
    ("running".to_owned(), worker.to_owned())
}

pub(super) fn ended(end: &End) -> Shown {
    let (state, detail) = match end {
        End::Done => ("done", String::new()),
        End::Failed { reason } => ("failed", reason.clone()),
        End::DependencyFailed { dependency } => ("dependency_failed", dependency.clone()),
        End::Skipped { dependency } => ("skipped", dependency.clone()),
        End::Poisoned { attempts } => {
            ("poisoned", format!("its worker was lost in each of {attempts} attempts"))
        }
        End::Cancelled => ("cancelled", String::new()),
    };
    (state.to_owned(), detail)
}

fn shown(state: &TaskState) -> Shown {
    match state {
        TaskState::Blocked(waits) => ("blocked".to_owned(), format!("waits for {waits}")),
        TaskState::Ready => ("ready".to_owned(), String::new()),
        TaskState::Running(assignment) => running(&assignment.worker),
        TaskState::Ended(end) => ended(end),
    }
}

impl Coordinator {
    pub(super) fn row(&self, view: &TaskView<'_>) -> TaskRow {
        let (state, detail) = shown(&view.state);
        TaskRow {
            task: view.spec.id.clone(),
            state,
            detail,
            priority: view.spec.priority,
            attempts: view.attempts,
            result: self.results.get(&view.spec.id).map(ToString::to_string),
        }
    }

    pub(super) fn status(&self) -> SwarmStatus {
        let counts = self.schedule.counts();
        SwarmStatus {
            swarm: self.swarm.clone(),
            node: self.mesh.node_name().to_string(),
            life: self.home.lease.epoch,
            blocked: counts.blocked as u64,
            ready: counts.ready as u64,
            running: counts.running as u64,
            done: counts.done as u64,
            not_done: counts.not_done as u64,
            waiting_workers: self.parked.len() as u64,
            is_over: self.schedule.is_over(),
            is_draining: self.is_draining,
            is_stopped: self.is_stopped,
        }
    }
}
