//! Who is next: the tasks that wait for a worker, in order.
//!
//! A task's urgency grows with its wait, one step of priority for each `ageing`. Since all grow alike, the order of two
//! never changes, and is that of a number which is known when they become ready.

use std::collections::{BTreeMap, BTreeSet};

/// Less is sooner: when a task of priority 0 would have to have become ready to be as urgent; then first come.
pub(super) type Urgency = (i128, u64);

/// The tasks that wait, by what they need of a worker.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// A worker looks at the head of each, and at nothing behind.
    groups: BTreeMap<BTreeSet<String>, BTreeMap<Urgency, usize>>,
    len: usize,
}

/// The urgency of a task that became ready at `since_ms` as the `arrival`th.
pub(super) fn urgency(priority: i32, since_ms: u64, arrival: u64, ageing_ms: u64) -> Urgency {
    (i128::from(since_ms) - i128::from(priority) * i128::from(ageing_ms), arrival)
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, needs: &BTreeSet<String>, urgency: Urgency, task: usize) {
        let group = match self.groups.get_mut(needs) {
            Some(group) => group,
            None => self.groups.entry(needs.clone()).or_default(),
        };
        if group.insert(urgency, task).is_none() {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, needs: &BTreeSet<String>, urgency: Urgency) -> Option<usize> {
        let group = self.groups.get_mut(needs)?;
        let task = group.remove(&urgency)?;
        if group.is_empty() {
            self.groups.remove(needs);
        }
        self.len -= 1;
        Some(task)
    }

    /// Takes the most urgent task that who has these capabilities can do.
    pub(super) fn take(&mut self, capabilities: &BTreeSet<String>) -> Option<usize> {
        let heads = self.groups.iter().filter(|(needs, _)| needs.is_subset(capabilities));
        let heads = heads.filter_map(|(needs, group)| Some((*group.keys().next()?, needs)));
        let (urgency, needs) = heads.min().map(|(urgency, needs)| (urgency, needs.clone()))?;
        self.remove(&needs, urgency)
    }
}
