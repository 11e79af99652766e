//! What only looks: status, list, results, history.

use mesh::{Context, Failure, Handler, Later};

use super::Coordinator;
use super::waiting::Wait;
use crate::swarm::ledger::{Step, Then};
use crate::swarm::message::{
    DescribeSwarm, FetchResult, ListTasks, ReadHistory, SwarmHistory, TaskList, TaskRow,
};

/// About how much one reply may have.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// Journal entries that one page of the history is made of, at most.
const ENTRIES: u32 = 4;
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

impl Handler<Later<DescribeSwarm>> for Coordinator {
    async fn handle(&mut self, later: Later<DescribeSwarm>, cx: &mut Context<Self>) {
        let (DescribeSwarm { wait_ms }, answer) = later.take();
        let mut step = Step::default();
        self.wait(Wait::Over(answer), wait_ms, &mut step);
        self.commit(step, cx).await;
    }
}

impl Handler<Later<FetchResult>> for Coordinator {
    async fn handle(&mut self, later: Later<FetchResult>, cx: &mut Context<Self>) {
        let (FetchResult { task, wait_ms }, answer) = later.take();
        let mut step = Step::default();
        self.wait(Wait::End { task, answer }, wait_ms, &mut step);
        self.commit(step, cx).await;
    }
}

impl Handler<Later<ListTasks>> for Coordinator {
    async fn handle(&mut self, later: Later<ListTasks>, cx: &mut Context<Self>) {
        let (list, answer) = later.take();
        let listed = self.list(&list);
        // What is told must not be lost afterwards: it waits for what is being written.
        let then = Then::Say(Box::new(move || answer.send(Ok(listed))));
        self.commit(Step { then: vec![then], ..Step::default() }, cx).await;
    }
}

impl Handler<Later<ReadHistory>> for Coordinator {
    async fn handle(&mut self, later: Later<ReadHistory>, _: &mut Context<Self>) {
        let (ReadHistory { from }, answer) = later.take();
        answer.send(self.history(from.max(1)).await);
    }
}

impl Coordinator {
    fn list(&self, list: &ListTasks) -> TaskList {
        let limit = if list.limit == 0 { LIMIT } else { (list.limit as usize).min(LIMIT_MAX) };
        let (mut tasks, mut bytes) = (Vec::<TaskRow>::new(), 0);
        let from = usize::try_from(list.from).unwrap_or(usize::MAX);
        for (at, view) in self.schedule.tasks().enumerate().skip(from) {
            if tasks.len() >= limit || bytes >= REPLY_BYTES_MAX {
                return TaskList { tasks, next: Some(at as u64) };
            }
            let row = self.row(&view);
            if list.state.as_ref().is_none_or(|state| *state == row.state) {
                bytes += row.task.len() + row.detail.len() + 100;
                tasks.push(row);
            }
        }
        TaskList { tasks, next: None }
    }

    async fn history(&mut self, from: u64) -> Result<SwarmHistory, Failure> {
        let page = self.home.store.journal(self.home.run(), from, ENTRIES).await;
        let unread = |reason: String| self.refused("SWARM_HISTORY_LOST", reason);
        let page = page.map_err(|error| unread(error.to_string()))?;
        if let Some(damage) = page.damage {
            return Err(unread(damage.to_string()));
        }
        let next = page.entries.last().map(|entry| entry.seq + 1).filter(|next| *next <= page.last);
        let mut facts = Vec::new();
        for entry in &page.entries {
            let text = String::from_utf8_lossy(&entry.payload);
            facts.extend(text.lines().map(str::to_owned));
        }
        Ok(SwarmHistory { facts, next })
    }
}
