//! From a decision to those who wait for it.

use mesh::{Context, DeadReason};

use super::shown::{ended, running};
use super::{Coordinator, Fact};
use crate::swarm::End;
use crate::swarm::ledger::Step;
use crate::swarm::message::TaskChange;
use crate::swarm::record::Line;

impl Coordinator {
    /// Hands out what there is for those who wait, and has all that has happened written, with those who are to be told
    /// when it is.
    pub(super) async fn commit(&mut self, mut step: Step, cx: &mut Context<Self>) {
        self.hand_out(&mut step, cx);
        let facts = self.schedule.take_facts();
        let has_ended = facts.iter().any(|fact| matches!(fact, Fact::Ended { .. }));
        for fact in &facts {
            step.changes.extend(change(fact));
            self.bury(fact);
        }
        let is_news = !facts.is_empty() || !step.lines.is_empty();
        step.lines.extend(facts.into_iter().map(Line::Fact));
        if has_ended || is_news {
            self.answer_waits(&mut step);
        }
        step.status = is_news.then(|| self.status());
        if step.lines.is_empty() && step.then.is_empty() {
            return;
        }
        let is_written = match &self.ledger {
            Some(ledger) => ledger.write(step).await,
            None => false,
        };
        if !is_written {
            cx.fail(format!("nothing of swarm {} can be written any more", self.swarm));
        }
    }

    /// A task that ended all of its workers is listed where operators look for what nobody handles.
    fn bury(&mut self, fact: &Fact) {
        let Fact::Ended { task, end, .. } = fact else { return };
        let crash = self.crashes.remove(task);
        if let End::Poisoned { attempts } = end {
            let reason = crash.unwrap_or_else(|| "its workers were lost".to_owned());
            let path = format!("{}/{}{}", self.mesh.node_name(), crate::swarm::home::PREFIX, self.swarm);
            let reason = DeadReason::Poison { reason, times: *attempts };
            self.mesh.dead_letters().list_lost(&path, &format!("task {task}"), reason);
        }
    }
}

fn change(fact: &Fact) -> Option<TaskChange> {
    match fact {
        Fact::Added { .. } => None,
        Fact::Begun { task, attempt, worker, .. } => {
            let (state, detail) = running(worker);
            Some(TaskChange { task: task.clone(), state, detail, attempt: Some(*attempt) })
        }
        Fact::Ended { task, end, .. } => {
            let (state, detail) = ended(end);
            Some(TaskChange { task: task.clone(), state, detail, attempt: None })
        }
    }
}
