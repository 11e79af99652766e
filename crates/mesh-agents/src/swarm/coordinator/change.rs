//! What changes a swarm from outside: submit, cancel, turn.

use mesh::{Context, Failure, Handler, Json, Later};
use mesh_store::ContentHash;
use serde::de::IgnoredAny;

use super::Coordinator;
use super::waiting::Wait;
use crate::swarm::ledger::{Step, Then};
use crate::swarm::message::{
    CancelTasks, CancelledTasks, SubmitTasks, Submitted, SwarmOrder, SwarmTask, TurnSwarm,
};
use crate::swarm::record::Line;
use crate::swarm::{SubmitError, TaskState};

/// Tasks of one submission.
const TASKS_MAX: usize = 10_000;
/// The longest input: 1 MiB.
const INPUT_BYTES_MAX: usize = 1 << 20;
const DEPENDENCIES_MAX: usize = 1000;
const CAPABILITIES_MAX: usize = 64;
const CAPABILITY_BYTES_MAX: usize = 64;

impl Handler<Later<SubmitTasks>> for Coordinator {
    async fn handle(&mut self, later: Later<SubmitTasks>, cx: &mut Context<Self>) {
        let (SubmitTasks { tasks }, answer) = later.take();
        let mut step = Step::default();
        let submitted = self.submit(tasks, &mut step);
        step.then.push(Then::Say(Box::new(move || answer.send(submitted))));
        self.commit(step, cx).await;
    }
}

impl Coordinator {
    fn submit(&mut self, tasks: Vec<SwarmTask>, step: &mut Step) -> Result<Submitted, Failure> {
        let bad = |reason: String| self.refused("SWARM_BAD_TASK", reason);
        if tasks.len() > TASKS_MAX {
            return Err(bad(format!(
                "{} tasks at once are too many: at most {TASKS_MAX} are taken",
                tasks.len()
            )));
        }
        tasks
            .iter()
            .try_for_each(|task| check(task).map_err(|reason| bad(format!("task {:?} {reason}", task.id))))?;
        let taken = tasks.len() as u64;
        let (specs, inputs): (Vec<_>, Vec<_>) = tasks.into_iter().map(SwarmTask::split).unzip();
        let ids: Vec<String> = specs.iter().map(|spec| spec.id.clone()).collect();
        let now_ms = self.now_ms();
        self.schedule.submit(now_ms, specs).map_err(|error| self.unsubmitted(&error))?;
        for (task, input) in ids.into_iter().zip(inputs).filter(|(_, input)| input != "null") {
            let hash = ContentHash::of(input.as_bytes());
            self.inputs.insert(task.clone(), hash);
            step.lines.push(Line::Input { task, hash: hash.to_string() });
            step.blobs.push((hash, input));
        }
        let counts = self.schedule.counts();
        let total = counts.blocked + counts.ready + counts.running + counts.done + counts.not_done;
        Ok(Submitted { taken, total: total as u64 })
    }

    fn unsubmitted(&self, error: &SubmitError) -> Failure {
        let (code, details) = match error {
            SubmitError::Draining => ("SWARM_DRAINING", Json::null()),
            SubmitError::TooMany { .. } => ("SWARM_FULL", Json::null()),
            SubmitError::BadId { .. } => ("SWARM_BAD_TASK", Json::null()),
            SubmitError::Duplicate { id } => ("SWARM_DUPLICATE", Json::of(&serde_json::json!({ "id": id }))),
            SubmitError::UnknownDependency { id, dependency } => (
                "SWARM_UNKNOWN_DEPENDENCY",
                Json::of(&serde_json::json!({ "id": id, "dependency": dependency })),
            ),
            SubmitError::Cycle { cycle } => ("SWARM_CYCLE", Json::of(&serde_json::json!({ "cycle": cycle }))),
        };
        Failure { details, ..self.refused(code, error.to_string()) }
    }

    fn cancel(&mut self, tasks: &[String]) -> Result<CancelledTasks, Failure> {
        if let Some(unknown) = tasks.iter().find(|task| self.schedule.task(task).is_none()) {
            return Err(self.unknown(unknown));
        }
        let now_ms = self.now_ms();
        let mut cancelled = 0;
        for task in tasks {
            let has_ended =
                self.schedule.task(task).is_some_and(|view| matches!(view.state, TaskState::Ended(_)));
            if !has_ended {
                cancelled += u64::from(self.schedule.cancel(now_ms, task));
            }
        }
        Ok(CancelledTasks { cancelled })
    }
}

/// What the schedule does not look at.
fn check(task: &SwarmTask) -> Result<(), String> {
    if task.id.chars().any(char::is_control) {
        return Err("has a control character in its id".to_owned());
    }
    if task.dependencies.len() > DEPENDENCIES_MAX {
        return Err(format!(
            "depends on {} others, at most {DEPENDENCIES_MAX} may be",
            task.dependencies.len()
        ));
    }
    let fits =
        |word: &String| (1..=CAPABILITY_BYTES_MAX).contains(&word.len()) && !word.contains(char::is_control);
    if task.capabilities.len() > CAPABILITIES_MAX || !task.capabilities.iter().all(fits) {
        let max = CAPABILITY_BYTES_MAX;
        return Err(format!(
            "needs more than {CAPABILITIES_MAX} capabilities, or one that is no word of 1 to {max} bytes"
        ));
    }
    if task.input.len() > INPUT_BYTES_MAX {
        return Err(format!(
            "has an input of {} bytes, at most {INPUT_BYTES_MAX} are taken",
            task.input.len()
        ));
    }
    let parsed = serde_json::from_str::<IgnoredAny>(&task.input);
    parsed.map(drop).map_err(|error| format!("has an input that is no JSON: {error}"))
}

impl Handler<Later<CancelTasks>> for Coordinator {
    async fn handle(&mut self, later: Later<CancelTasks>, cx: &mut Context<Self>) {
        let (CancelTasks { tasks }, answer) = later.take();
        let cancelled = self.cancel(&tasks);
        let then = Then::Say(Box::new(move || answer.send(cancelled)));
        self.commit(Step { then: vec![then], ..Step::default() }, cx).await;
    }
}

impl Handler<Later<TurnSwarm>> for Coordinator {
    async fn handle(&mut self, later: Later<TurnSwarm>, cx: &mut Context<Self>) {
        let (TurnSwarm { to, wait_ms }, answer) = later.take();
        match to {
            SwarmOrder::Resume => {
                self.schedule.resume();
                self.is_stopped = false;
            }
            SwarmOrder::Stop => {
                self.schedule.stop();
                self.is_stopped = true;
            }
            SwarmOrder::Drain => {
                self.schedule.drain();
                self.is_draining = true;
            }
        }
        let mut step = Step { lines: vec![Line::Order(to)], ..Step::default() };
        let (wait, wait_ms) = match to {
            SwarmOrder::Resume => (Wait::Idle(answer), 0),
            SwarmOrder::Stop => (Wait::Idle(answer), wait_ms),
            SwarmOrder::Drain => (Wait::Over(answer), wait_ms),
        };
        self.wait(wait, wait_ms, &mut step);
        self.commit(step, cx).await;
    }
}
