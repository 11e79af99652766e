//! What the figures were measured on.

use std::{
    fs,
    io::{self, Write},
    thread,
};

use serde::Serialize;

use crate::pin::Placement;

/// The machine and the way of measuring, as in the head of the table and in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    /// What was pinned, in words.
    pinned: String,
    runs: u32,
}

impl Machine {
    /// Reads what `/proc` says; what it doesn't say is "unknown".
    pub(crate) fn detect(placement: &Placement, runs: u32) -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            cpu: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: thread::available_parallelism().map_or(1, Into::into),
            kernel: kernel.map_or("unknown".to_owned(), |release| release.trim().to_owned()),
            pinned: placement.describe(),
            runs,
        }
    }

    /// Prints the head of the table.
    ///
    /// # Errors
    /// If `out` can't be written to.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { cpu, cores, kernel, pinned, runs } = self;
        writeln!(
            out,
            "machine: {cpu}, {cores} cores, kernel {kernel}; loopback, 64 bytes unless the row says more"
        )?;
        writeln!(out, "pinned: {pinned}")?;
        writeln!(
            out,
            "scheduling: SCHED_BATCH on Linux, for all peers; mailboxes: 1,024 messages and 1 MiB, in R3 8,192"
        )?;
        let hint = if *runs < 3 { " (three or more for figures to quote)" } else { "" };
        writeln!(out, "medians of {runs} runs{hint}, peers taking turns; differences under 20 % are noise\n")
    }
}
