//! Resident memory of this process, read from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// Resident memory now, after which the peak counts from here, in MiB.
///
/// # Errors
/// Where there is no `/proc` of Linux, so that no peak can be had.
pub(crate) fn mark_mib() -> Result<f64> {
    // Linux: writing 5 resets VmHWM to the present resident size (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").context("peak memory needs /proc/self/clear_refs")?;
    status_mib("VmRSS:")
}

/// The highest resident memory since the last mark, in MiB.
///
/// # Errors
/// Where there is no `/proc` of Linux.
pub(crate) fn peak_mib() -> Result<f64> {
    status_mib("VmHWM:")
}

fn status_mib(key: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("memory needs /proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .context("no such line in /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_seen_after_the_memory_is_gone() {
        let idle = mark_mib().unwrap();
        drop(std::hint::black_box(vec![1u8; 64 << 20]));
        assert!(peak_mib().unwrap() > idle + 60.0);
    }
}
