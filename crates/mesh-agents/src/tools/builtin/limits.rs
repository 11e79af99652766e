//! What a command may take, and who sees to it: the kernel where it can, a look every so often where it cannot.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, prlimit};

use super::command::CommandLimits;

/// Between two looks at the processes and the disk of a command.
const LOOK: Duration = Duration::from_millis(50);

/// Looks at the processes that are left, each followed by a kill: what forks faster than that is stopped first.
const SWEEPS_MAX: usize = 50;

/// Sets the limits of a process that waits for its program, and so of all that it will start.
pub(super) fn set(pid: Pid, limits: &CommandLimits) -> io::Result<()> {
    let seconds = limits.time.as_secs().max(1);
    for (resource, most) in [
        (Resource::As, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, 256),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
    ] {
        prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Watches until a command has more processes than it may, or has filled more of the disk; says which.
pub(super) async fn watch(pid: Pid, folder: &Path, limits: &CommandLimits) -> &'static str {
    let free_before = free(folder);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        if processes(pid).len() > limits.processes_max {
            return "it had more processes than it may";
        }
        if free_before.saturating_sub(free(folder)) > limits.disk_bytes {
            return "it filled more of the disk than it may";
        }
    }
}

fn free(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The processes of a command: those of its group, and all that descend from it.
fn processes(command: Pid) -> Vec<Pid> {
    let mut parents = BTreeMap::new();
    let mut found = Vec::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // One that has ended meanwhile has no file.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((parent, group)) = parent_and_group(&stat) else { continue };
        parents.insert(pid, parent);
        if group == command.as_raw_nonzero().get() {
            found.push(pid);
        }
    }
    let descends = |pid: &i32| {
        let mut at = *pid;
        // A chain is no longer than there are processes.
        for _ in 0..parents.len() {
            if at == command.as_raw_nonzero().get() {
                return true;
            }
            match parents.get(&at) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    found.extend(parents.keys().copied().filter(descends));
    found.sort_unstable();
    found.dedup();
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// Of `PID (name) state parent group …`; a name may have anything in it, brackets too.
fn parent_and_group(stat: &str) -> Option<(i32, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Kills all processes of a command when it is dropped.
pub(super) struct Killed(pub(super) Pid);

impl Drop for Killed {
    fn drop(&mut self) {
        for _ in 0..SWEEPS_MAX {
            // Its namespace, where it has one, ends with the first of these.
            let _ = kill_process_group(self.0, Signal::KILL);
            let left = processes(self.0);
            let living: Vec<_> = left.into_iter().filter(|pid| is_alive(*pid)).collect();
            if living.is_empty() {
                return;
            }
            for pid in living {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        tracing::warn!(pid = self.0.as_raw_nonzero().get(), "processes of a command may be left");
    }
}

/// One that has ended and waits for its parent to hear of it does nothing any more.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_brackets_in_its_name_is_read_too() {
        assert_eq!(parent_and_group("12 (a) b) S 7 9 9 0"), Some((7, 9)));
        assert_eq!(parent_and_group("12 (a"), None);
    }

    #[test]
    fn this_process_is_found_with_what_it_starts() {
        let me = rustix::process::getpid();
        assert!(processes(me).contains(&me));
        assert!(is_alive(me));
    }
}
