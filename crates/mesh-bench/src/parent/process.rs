//! A child process under its parent's hand.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{self, ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::protocol::{Assignment, Order, Report};

/// A running child; dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    orders: ChildStdin,
    reports: Receiver<Result<Report>>,
    reader: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts this same program as a child with `assignment`.
    ///
    /// # Errors
    /// If the process can't be started.
    pub(crate) fn spawn(assignment: &Assignment) -> Result<Self> {
        let program = env::current_exe().context("can't find this program")?;
        let mut process = process::Command::new(program)
            .arg("--child")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start a child process")?;
        let orders = process.stdin.take().expect("stdin was asked for as a pipe");
        let output = process.stdout.take().expect("stdout was asked for as a pipe");
        let (sender, reports) = mpsc::sync_channel(4);
        let reader = thread::spawn(move || read_reports(output, &sender));
        let mut child = Self { process, orders, reports, reader: Some(reader) };
        child.write_line(&serde_json::to_string(assignment)?)?;
        Ok(child)
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives an order.
    ///
    /// # Errors
    /// If the child has ended.
    pub(crate) fn order(&mut self, order: Order) -> Result<()> {
        self.write_line(&serde_json::to_string(&order)?)
    }

    /// The child's next report.
    ///
    /// # Errors
    /// If none comes `within` that time, or the child has failed or ended.
    pub(crate) fn report(&self, within: Duration) -> Result<Report> {
        match self.reports.recv_timeout(within) {
            Ok(Ok(Report::Failed { reason })) => bail!(reason),
            Ok(report) => report,
            Err(RecvTimeoutError::Timeout) => bail!("no report from the child within {within:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the child has ended without a report"),
        }
    }

    /// Orders a memory figure and waits for it, in MiB.
    ///
    /// # Errors
    /// If the child has ended or can't read its memory.
    pub(crate) fn memory_mib(&mut self, order: Order) -> Result<f64> {
        self.order(order)?;
        match self.report(Duration::from_secs(5))? {
            Report::Memory { mib } => Ok(mib),
            other => Err(anyhow!("expected memory, not {other:?}")),
        }
    }

    fn write_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.orders, "{line}").context("the child has ended")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a process that has already been waited for.
        drop(self.process.kill());
        drop(self.process.wait());
        // Its end of the pipe is closed now, so the reader comes to an end, unless it waits for room.
        self.reports = mpsc::sync_channel(0).1;
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

fn read_reports(output: ChildStdout, reports: &SyncSender<Result<Report>>) {
    for line in BufReader::new(output).lines() {
        let report = line
            .map_err(Into::into)
            .and_then(|line| serde_json::from_str(&line).with_context(|| format!("the child said {line:?}")));
        if reports.send(report).is_err() {
            return;
        }
    }
}
