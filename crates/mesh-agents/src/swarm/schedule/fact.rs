//! What happened to a schedule, for who writes it down.

use serde::{Deserialize, Serialize};

use super::{End, NewTask, Schedule, ScheduleConfig, State};

/// Something that happened. Facts are few: what can be concluded from others is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A task was submitted.
    Added {
        /// The task.
        task: NewTask,
    },
    /// A worker was given a task.
    Begun {
        /// The task.
        task: String,
        /// Which attempt this is.
        attempt: u32,
        /// Under which epoch.
        epoch: u64,
        /// Who was given it.
        worker: String,
    },
    /// A task has ended, for good.
    Ended {
        /// The task.
        task: String,
        /// How.
        end: End,
        /// The epoch of the worker that ended it, if one did; it may say so again.
        epoch: Option<u64>,
    },
}

impl Schedule {
    /// Goes on where another schedule was when it told the last of these facts. What workers had is ready again, unless
    /// its attempts are used up; no task that has ended is begun again.
    ///
    /// `epoch` is what the new one's epochs are higher than, besides those in the facts: others may have been given and
    /// not been written down. Facts of tasks that were never added are passed by. What follows from the facts only now, that a
    /// task was in its last attempt, is a new fact.
    #[must_use]
    pub fn restore(
        config: ScheduleConfig,
        epoch: u64,
        now_ms: u64,
        facts: impl IntoIterator<Item = Fact>,
    ) -> Self {
        let mut schedule = Self::new(config, epoch);
        let (mut tasks, mut later) = (Vec::new(), Vec::new());
        for fact in facts {
            match fact {
                Fact::Added { task } => tasks.push(task),
                fact => later.push(fact),
            }
        }
        schedule.add(now_ms, tasks);
        for fact in later {
            schedule.recall(now_ms, fact);
        }
        schedule.facts.clear();
        schedule.bury(now_ms);
        schedule
    }

    fn recall(&mut self, now_ms: u64, fact: Fact) {
        match fact {
            Fact::Added { .. } => {}
            Fact::Begun { task, attempt, epoch, .. } => {
                self.epoch = self.epoch.max(epoch);
                if let Some(number) = self.by_id.get(&task) {
                    self.tasks[*number].attempts = attempt;
                }
            }
            Fact::Ended { task, end, epoch } => {
                if let Some(number) = self.by_id.get(&task) {
                    self.end(now_ms, *number, end, epoch);
                }
            }
        }
    }

    /// Ends what was in its last attempt.
    fn bury(&mut self, now_ms: u64) {
        for task in 0..self.tasks.len() {
            let attempts = self.tasks[task].attempts;
            if attempts >= self.config.attempts_max && matches!(self.tasks[task].state, State::Ready) {
                self.end(now_ms, task, End::Poisoned { attempts }, None);
            }
        }
    }
}
