//! Processes on cores of their own.

use serde::{Deserialize, Serialize};

/// The cores that the ends of a measurement run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    /// Empty where this system can't pin.
    cores: Vec<usize>,
}

impl Placement {
    /// The first two cores that this process may use.
    pub(crate) fn detect() -> Self {
        Self { cores: allowed_cores().into_iter().take(2).collect() }
    }

    /// Cores of the serving process, and of a local row on one thread.
    pub(crate) fn server(&self) -> Vec<usize> {
        self.cores.first().copied().into_iter().collect()
    }

    /// Cores of the driving process.
    pub(crate) fn client(&self) -> Vec<usize> {
        self.cores.last().copied().into_iter().collect()
    }

    /// Cores of a local row with `workers` threads.
    pub(crate) fn local(&self, workers: u32) -> Vec<usize> {
        if workers == 1 { self.server() } else { self.cores.clone() }
    }

    /// What was pinned, in words for the head of the table.
    pub(crate) fn describe(&self) -> String {
        match self.cores.as_slice() {
            [] => "nothing: this system offers no affinity, so compare with care".into(),
            [one] => format!("both processes to core {one}, the only one allowed"),
            [server, client, ..] => format!(
                "server to core {server}, client to core {client}; local rows to core {server}, with two workers to both"
            ),
        }
    }
}

/// Pins this thread, and the threads that it starts from now on, to `cores`; none means anywhere.
///
/// # Errors
/// If the system refuses, as inside a container whose cores have changed.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to(cores: &[usize]) -> anyhow::Result<()> {
    use anyhow::Context;
    use rustix::thread::{CpuSet, sched_setaffinity};

    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("can't pin to cores {cores:?}"))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to(_cores: &[usize]) -> anyhow::Result<()> {
    Ok(())
}

/// Lets whoever has the core finish its turn when a thread of this process is woken, as nodes do it: for all peers alike.
///
/// # Errors
/// If the system refuses.
#[cfg(target_os = "linux")]
pub(crate) fn let_others_finish() -> anyhow::Result<()> {
    let set = scheduler::set_self_policy(scheduler::Policy::Batch, 0);
    set.map_err(|()| anyhow::anyhow!("the system lets no process be scheduled in batches"))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn let_others_finish() -> anyhow::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn allowed_cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

#[cfg(not(target_os = "linux"))]
fn allowed_cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_get_a_core_each_and_one_core_is_shared_openly() {
        let two = Placement { cores: vec![3, 5] };
        assert_eq!((two.server(), two.client(), two.local(2)), (vec![3], vec![5], vec![3, 5]));
        let one = Placement { cores: vec![7] };
        assert_eq!((one.server(), one.client()), (vec![7], vec![7]));
        assert!(one.describe().contains("the only one"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pinned_thread_may_use_that_core_alone() {
        let core = allowed_cores()[0];
        let seen = std::thread::spawn(move || {
            pin_to(&[core]).unwrap();
            allowed_cores()
        });
        assert_eq!(seen.join().unwrap(), [core]);
    }
}
