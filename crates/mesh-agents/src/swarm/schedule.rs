//! Which task is whose: priorities, dependencies, capabilities and leases, as a value that is told the time.

mod error;
mod fact;
mod graph;
mod ready;
mod task;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

pub use self::error::{Fenced, SubmitError};
pub use self::fact::Fact;
use self::ready::{Ready, Urgency};
pub use self::task::{Assignment, End, NewTask, OnFailed, Outcome, TaskState};

/// How tasks are shared out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// How many workers have a task at once; 5 by default.
    pub workers_max: usize,
    /// How many tasks there may be, those that have ended included; 100,000 by default.
    pub tasks_max: usize,
    /// How often a task is tried before it is taken for poison, or for failed; 3 by default.
    pub attempts_max: u32,
    /// How long a worker has a task without a word of it, in ms; 30,000 by default.
    pub lease_ms: u64,
    /// How long a task waits to become as urgent as one of the next priority that has just come, in ms; 30,000 by default.
    pub ageing_ms: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { workers_max: 5, tasks_max: 100_000, attempts_max: 3, lease_ms: 30_000, ageing_ms: 30_000 }
    }
}

/// Tasks, and who has them.
///
/// The time is given, in milliseconds from any beginning, and never goes back. What happened is told by
/// [`Schedule::take_facts`]; who keeps it can go on with [`Schedule::restore`].
///
/// ```
/// # use mesh_agents::swarm::{NewTask, Outcome, Schedule, ScheduleConfig};
/// let mut schedule = Schedule::new(ScheduleConfig::default(), 0);
/// schedule.submit(0, vec![NewTask::new("write").after("read"), NewTask::new("read")])?;
///
/// let first = schedule.pull(0, "w1", &Default::default()).unwrap();
/// assert_eq!(first.task, "read");
/// schedule.finish(10, "read", first.epoch, Outcome::Done)?;
/// assert_eq!(schedule.pull(10, "w1", &Default::default()).unwrap().task, "write");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    tasks: Vec<Task>,
    by_id: BTreeMap<String, usize>,
    ready: Ready,
    /// Who is busy, with what. A worker never has two.
    running: BTreeMap<String, usize>,
    /// When the tasks of workers are taken back.
    leases: BTreeSet<(u64, usize)>,
    epoch: u64,
    arrivals: u64,
    counts: Counts,
    is_draining: bool,
    is_stopped: bool,
    facts: Vec<Fact>,
}

#[derive(Debug)]
struct Task {
    spec: NewTask,
    state: State,
    dependents: Vec<usize>,
    attempts: u32,
    /// Its place in the order, from when it was ready for the first time: who lost a worker loses no place.
    urgency: Option<Urgency>,
}

#[derive(Debug)]
enum State {
    Blocked {
        waits: usize,
    },
    Ready,
    Running(Assignment),
    /// The epoch is that of the worker that ended it; it may say so again.
    Ended {
        end: End,
        epoch: Option<u64>,
    },
}

/// How many tasks are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting for others.
    pub blocked: usize,
    /// Waiting for a worker.
    pub ready: usize,
    /// In the hands of workers.
    pub running: usize,
    /// Done.
    pub done: usize,
    /// Over without being done, for whatever reason.
    pub not_done: usize,
}

/// A task, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView<'a> {
    /// As it was submitted.
    pub spec: &'a NewTask,
    /// Where it is.
    pub state: TaskState,
    /// How often it was begun.
    pub attempts: u32,
}

impl Schedule {
    /// A schedule without tasks, whose assignments have higher epochs than `epoch`. One that takes another's place is
    /// given the highest that the other may have used.
    #[must_use]
    pub fn new(config: ScheduleConfig, epoch: u64) -> Self {
        Self {
            config,
            tasks: Vec::new(),
            by_id: BTreeMap::new(),
            ready: Ready::default(),
            running: BTreeMap::new(),
            leases: BTreeSet::new(),
            epoch,
            arrivals: 0,
            counts: Counts::default(),
            is_draining: false,
            is_stopped: false,
            facts: Vec::new(),
        }
    }

    /// Takes tasks: all of them, or none. They may depend on one another and on those that are there.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing has changed then.
    pub fn submit(&mut self, now_ms: u64, tasks: Vec<NewTask>) -> Result<(), SubmitError> {
        if self.is_draining {
            return Err(SubmitError::Draining);
        }
        if self.tasks.len() + tasks.len() > self.config.tasks_max {
            return Err(SubmitError::TooMany { more: tasks.len(), max: self.config.tasks_max });
        }
        graph::check(&tasks, |id| self.by_id.contains_key(id))?;
        self.add(now_ms, tasks);
        Ok(())
    }

    fn add(&mut self, now_ms: u64, tasks: Vec<NewTask>) {
        let first = self.tasks.len();
        for spec in tasks {
            self.by_id.insert(spec.id.clone(), self.tasks.len());
            self.facts.push(Fact::Added { task: spec.clone() });
            let state = State::Blocked { waits: 0 };
            self.tasks.push(Task { spec, state, dependents: Vec::new(), attempts: 0, urgency: None });
        }
        self.counts.blocked += self.tasks.len() - first;
        for task in first..self.tasks.len() {
            self.connect(task);
        }
        for task in first..self.tasks.len() {
            self.begin_if_free(now_ms, task);
        }
    }

    /// Has the task wait for those that it depends on and that have not ended.
    fn connect(&mut self, task: usize) {
        let names: BTreeSet<&String> = self.tasks[task].spec.dependencies.iter().collect();
        let on: Vec<usize> = names.into_iter().filter_map(|id| self.by_id.get(id).copied()).collect();
        let mut waits = 0;
        for on in on {
            if !matches!(self.tasks[on].state, State::Ended { .. }) {
                self.tasks[on].dependents.push(task);
                waits += 1;
            }
        }
        self.tasks[task].state = State::Blocked { waits };
    }

    /// Makes a new task ready that waits for nobody, or ends it when what it depends on has failed already.
    fn begin_if_free(&mut self, now_ms: u64, task: usize) {
        let spec = &self.tasks[task].spec;
        let undone = spec.dependencies.iter().find(|id| {
            let on = self.by_id.get(*id).map(|on| &self.tasks[*on].state);
            matches!(on, Some(State::Ended { end, .. }) if !end.is_done())
        });
        if let Some(end) = undone.and_then(|dependency| consequence(spec.on_failed, dependency)) {
            return self.end(now_ms, task, end, None);
        }
        if matches!(self.tasks[task].state, State::Blocked { waits: 0 }) {
            self.make_ready(now_ms, task);
        }
    }

    fn make_ready(&mut self, now_ms: u64, task: usize) {
        let entry = &mut self.tasks[task];
        let arrivals = &mut self.arrivals;
        let urgency = *entry.urgency.get_or_insert_with(|| {
            *arrivals += 1;
            ready::urgency(entry.spec.priority, now_ms, *arrivals, self.config.ageing_ms)
        });
        match entry.state {
            State::Blocked { .. } => self.counts.blocked -= 1,
            State::Running(_) => self.counts.running -= 1,
            State::Ready | State::Ended { .. } => return,
        }
        entry.state = State::Ready;
        self.counts.ready += 1;
        self.ready.insert(&entry.spec.capabilities, urgency, task);
    }

    /// Ends a task that nobody wants any more; its worker, if it has one, is refused from now on. Does nothing to one that
    /// has ended. `false` when there is no such task.
    pub fn cancel(&mut self, now_ms: u64, task: &str) -> bool {
        let Some(number) = self.by_id.get(task).copied() else { return false };
        self.end(now_ms, number, End::Cancelled, None);
        true
    }

    /// Takes no more tasks; those that are there are done.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Hands out no more tasks; those that workers have are waited for. [`Schedule::resume`] goes on.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Hands out tasks again.
    pub fn resume(&mut self) {
        self.is_stopped = false;
    }

    /// Whether nobody has a task.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether all tasks have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.counts.blocked + self.counts.ready + self.counts.running == 0
    }

    /// How many tasks are where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        debug_assert_eq!(self.counts.ready, self.ready.len());
        self.counts
    }

    /// A task, as it stands.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<TaskView<'_>> {
        self.by_id.get(id).map(|number| self.tasks[*number].view())
    }

    /// All tasks, in the order in which they were submitted.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.tasks.iter().map(Task::view)
    }

    /// What has happened since this was called last, in its order; for each task at most two facts, and one for each
    /// attempt. What is kept of it, all of it or its beginning, is enough
    /// for [`Schedule::restore`].
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// Ends a task, and by their policies those that wait for it; without recursion, since a chain may be long.
    fn end(&mut self, now_ms: u64, task: usize, end: End, epoch: Option<u64>) {
        let mut ends = vec![(task, end, epoch)];
        while let Some((task, end, epoch)) = ends.pop() {
            if !self.end_one(task, end.clone(), epoch) {
                continue;
            }
            let dependents = std::mem::take(&mut self.tasks[task].dependents);
            let id = self.tasks[task].spec.id.clone();
            for dependent in dependents {
                let policy = self.tasks[dependent].spec.on_failed;
                match if end.is_done() { None } else { consequence(policy, &id) } {
                    Some(end) => ends.push((dependent, end, None)),
                    None => self.wait_for_one_less(now_ms, dependent),
                }
            }
        }
    }

    /// `false` when it had ended before.
    fn end_one(&mut self, task: usize, end: End, epoch: Option<u64>) -> bool {
        self.forget_worker(task);
        let entry = &mut self.tasks[task];
        match entry.state {
            State::Ended { .. } => return false,
            State::Blocked { .. } => self.counts.blocked -= 1,
            State::Running(_) => self.counts.running -= 1,
            State::Ready => {
                self.counts.ready -= 1;
                if let Some(urgency) = entry.urgency {
                    self.ready.remove(&entry.spec.capabilities, urgency);
                }
            }
        }
        if end.is_done() {
            self.counts.done += 1;
        } else {
            self.counts.not_done += 1;
        }
        self.facts.push(Fact::Ended { task: entry.spec.id.clone(), end: end.clone(), epoch });
        entry.state = State::Ended { end, epoch };
        true
    }

    fn wait_for_one_less(&mut self, now_ms: u64, task: usize) {
        if let State::Blocked { waits } = &mut self.tasks[task].state {
            *waits -= 1;
            if *waits == 0 {
                self.make_ready(now_ms, task);
            }
        }
    }
}

impl Task {
    fn view(&self) -> TaskView<'_> {
        let state = match &self.state {
            State::Blocked { waits } => TaskState::Blocked(*waits),
            State::Ready => TaskState::Ready,
            State::Running(assignment) => TaskState::Running(assignment.clone()),
            State::Ended { end, .. } => TaskState::Ended(end.clone()),
        };
        TaskView { spec: &self.spec, state, attempts: self.attempts }
    }
}

/// What the end of a dependency that was not done means for a task; `None` when it runs all the same.
fn consequence(policy: OnFailed, dependency: &str) -> Option<End> {
    let dependency = dependency.to_owned();
    match policy {
        OnFailed::Fail => Some(End::DependencyFailed { dependency }),
        OnFailed::Skip => Some(End::Skipped { dependency }),
        OnFailed::Run => None,
    }
}

#[cfg(test)]
mod tests;
