//! Whether tasks can be taken: ids that are new, dependencies that exist, and no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{NewTask, SubmitError};

const ID_BYTES_MAX: usize = 256;

/// Checks tasks that are submitted together; `is_known` tells of those that are there already.
pub(super) fn check(tasks: &[NewTask], is_known: impl Fn(&str) -> bool) -> Result<(), SubmitError> {
    let mut own = BTreeMap::new();
    for (number, task) in tasks.iter().enumerate() {
        if task.id.is_empty() || task.id.len() > ID_BYTES_MAX {
            return Err(SubmitError::BadId { bytes: task.id.len() });
        }
        if is_known(&task.id) || own.insert(task.id.as_str(), number).is_some() {
            return Err(SubmitError::Duplicate { id: task.id.clone() });
        }
    }
    for task in tasks {
        let unknown = task.dependencies.iter().find(|on| !own.contains_key(on.as_str()) && !is_known(on));
        if let Some(dependency) = unknown {
            return Err(SubmitError::UnknownDependency {
                id: task.id.clone(),
                dependency: dependency.clone(),
            });
        }
    }
    match circle(tasks, &own) {
        Some(cycle) => Err(SubmitError::Cycle { cycle }),
        None => Ok(()),
    }
}

/// A circle among the tasks, if there is one. Those that were there before cannot wait for these.
fn circle(tasks: &[NewTask], own: &BTreeMap<&str, usize>) -> Option<Vec<String>> {
    let after = |task: usize| tasks[task].dependencies.iter().filter_map(|on| own.get(on.as_str()).copied());
    // Tasks whose dependencies have all been passed are passed, until nothing changes (Kahn, 1962).
    let mut waits: Vec<usize> =
        (0..tasks.len()).map(|task| after(task).collect::<BTreeSet<_>>().len()).collect();
    let mut waiters = vec![BTreeSet::new(); tasks.len()];
    for task in 0..tasks.len() {
        for on in after(task) {
            waiters[on].insert(task);
        }
    }
    let mut free: Vec<usize> = (0..tasks.len()).filter(|task| waits[*task] == 0).collect();
    while let Some(task) = free.pop() {
        for waiter in &waiters[task] {
            waits[*waiter] -= 1;
            if waits[*waiter] == 0 {
                free.push(*waiter);
            }
        }
    }
    // Each that is left waits for another that is left: following them comes round.
    let mut at = waits.iter().position(|waits| *waits > 0)?;
    let mut seen = Vec::new();
    while !seen.contains(&at) {
        seen.push(at);
        at = after(at).find(|on| waits[*on] > 0)?;
    }
    let begin = seen.iter().position(|task| *task == at)?;
    let circle = seen[begin..].iter().chain([&at]);
    Some(circle.map(|task| tasks[*task].id.clone()).collect())
}
