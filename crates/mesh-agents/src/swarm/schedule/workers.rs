//! What workers do with a schedule: take a task, keep it, give it back.

use std::collections::BTreeSet;

use super::{Assignment, End, Fact, Fenced, Outcome, Schedule, State};

impl Schedule {
    /// The next task for a worker: of those that are ready and that it can do the one with the highest priority, and of
    /// these the first that came. `None` when there is none, or when as many workers are busy as may be.
    ///
    /// A worker that asks while it has a task has lost it; it goes back.
    pub fn pull(&mut self, now_ms: u64, worker: &str, capabilities: &BTreeSet<String>) -> Option<Assignment> {
        self.lose(now_ms, worker);
        if self.is_stopped || self.running.len() >= self.config.workers_max {
            return None;
        }
        let task = self.ready.take(capabilities)?;
        self.epoch += 1;
        let entry = &mut self.tasks[task];
        entry.attempts += 1;
        let assignment = Assignment {
            task: entry.spec.id.clone(),
            worker: worker.to_owned(),
            epoch: self.epoch,
            attempt: entry.attempts,
            until_ms: now_ms.saturating_add(self.config.lease_ms),
        };
        entry.state = State::Running(assignment.clone());
        self.counts.ready -= 1;
        self.counts.running += 1;
        self.running.insert(worker.to_owned(), task);
        self.leases.insert((assignment.until_ms, task));
        self.facts.push(Fact::Begun {
            task: assignment.task.clone(),
            attempt: assignment.attempt,
            epoch: self.epoch,
            worker: worker.to_owned(),
        });
        Some(assignment)
    }

    /// Goes on with a task that takes longer than its lease; gives the new end of the lease.
    ///
    /// # Errors
    /// [`Fenced`] when the task is not this worker's any more.
    pub fn extend(&mut self, now_ms: u64, task: &str, epoch: u64) -> Result<u64, Fenced> {
        let until_ms = now_ms.saturating_add(self.config.lease_ms);
        let number = self.number_of(task, epoch)?;
        let State::Running(assignment) = &mut self.tasks[number].state else {
            return Err(fenced(task, epoch));
        };
        if assignment.epoch != epoch {
            return Err(fenced(task, epoch));
        }
        self.leases.remove(&(assignment.until_ms, number));
        assignment.until_ms = until_ms;
        self.leases.insert((until_ms, number));
        Ok(until_ms)
    }

    /// Takes what a worker says of its task. To say it again, under the same epoch, changes nothing.
    ///
    /// # Errors
    /// [`Fenced`] when the task is not this worker's any more.
    pub fn finish(&mut self, now_ms: u64, task: &str, epoch: u64, outcome: Outcome) -> Result<(), Fenced> {
        let number = self.number_of(task, epoch)?;
        match &self.tasks[number].state {
            State::Running(assignment) if assignment.epoch == epoch => {}
            State::Ended { epoch: Some(by), .. } if *by == epoch => return Ok(()),
            _ => return Err(fenced(task, epoch)),
        }
        let attempts_left = self.tasks[number].attempts < self.config.attempts_max;
        match outcome {
            Outcome::Done => self.end(now_ms, number, End::Done, Some(epoch)),
            Outcome::Failed { again: true, .. } if attempts_left => self.release(now_ms, number),
            Outcome::Failed { reason, .. } => self.end(now_ms, number, End::Failed { reason }, Some(epoch)),
        }
        Ok(())
    }

    /// A worker, or its node, has died: what it had goes to another, or to the dead letters.
    pub fn lose(&mut self, now_ms: u64, worker: &str) {
        if let Some(task) = self.running.get(worker).copied() {
            self.take_back(now_ms, task);
        }
    }

    /// Who has a task, if anybody.
    #[must_use]
    pub fn worker_of(&self, task: &str) -> Option<&str> {
        match &self.tasks[*self.by_id.get(task)?].state {
            State::Running(assignment) => Some(&assignment.worker),
            State::Blocked { .. } | State::Ready | State::Ended { .. } => None,
        }
    }

    /// Takes back what workers have kept for longer than their lease without a word.
    pub fn expire(&mut self, now_ms: u64) {
        while let Some((until_ms, task)) = self.leases.first().copied()
            && until_ms <= now_ms
        {
            self.take_back(now_ms, task);
        }
    }

    /// When [`Schedule::expire`] has something to do, unless a lease is extended before.
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.leases.first().map(|(until_ms, _)| *until_ms)
    }

    fn number_of(&self, task: &str, epoch: u64) -> Result<usize, Fenced> {
        self.by_id.get(task).copied().ok_or_else(|| fenced(task, epoch))
    }

    /// The attempt has ended with its worker.
    fn take_back(&mut self, now_ms: u64, task: usize) {
        let attempts = self.tasks[task].attempts;
        if attempts < self.config.attempts_max {
            self.release(now_ms, task);
        } else {
            self.end(now_ms, task, End::Poisoned { attempts }, None);
        }
    }

    /// From its worker back to those that wait.
    fn release(&mut self, now_ms: u64, task: usize) {
        self.forget_worker(task);
        self.make_ready(now_ms, task);
    }

    pub(super) fn forget_worker(&mut self, task: usize) {
        if let State::Running(assignment) = &self.tasks[task].state {
            self.running.remove(&assignment.worker);
            self.leases.remove(&(assignment.until_ms, task));
        }
    }
}

fn fenced(task: &str, epoch: u64) -> Fenced {
    Fenced { task: task.to_owned(), epoch }
}
