//! One measurement: one row, one peer, fresh processes.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};

use super::process::Child;
use crate::{
    peer::PeerName,
    pin::Placement,
    protocol::{Assignment, Order, Report, Task},
    reading::{Reading, Unit},
    row::Row,
    tls::Certificates,
};

/// How long a child may take to listen or to connect.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// What a row may take beside its timed parts: warm-up, fixed amounts on a slow machine, draining.
const WORK_DEADLINE: Duration = Duration::from_secs(90);

/// What to measure, and where.
#[derive(Debug)]
pub(crate) struct Measurement<'a> {
    pub(crate) row: Row,
    pub(crate) peer: PeerName,
    pub(crate) length: Duration,
    pub(crate) placement: &'a Placement,
    pub(crate) certificates: &'a Certificates,
}

impl Measurement<'_> {
    /// Starts the processes, has the work done, and ends the processes.
    ///
    /// # Errors
    /// If either end fails or misses its deadline.
    pub(crate) fn run(&self) -> Result<Vec<Reading>> {
        if self.row.is_local() { self.run_local() } else { self.run_remote() }
    }

    fn run_local(&self) -> Result<Vec<Reading>> {
        let cores = self.placement.local(self.row.workers());
        let child = Child::spawn(&self.assignment(Task::Local, cores))?;
        self.readings(&child)
    }

    fn run_remote(&self) -> Result<Vec<Reading>> {
        let mut server = Child::spawn(&self.assignment(Task::Serve, self.placement.server()))?;
        let address = listening(&server).context("server")?;
        let drive = Task::Drive { server: address, server_pid: server.pid() };
        let mut client = Child::spawn(&self.assignment(drive, self.placement.client()))?;
        match client.report(START_DEADLINE).context("client")? {
            Report::Connected => {}
            other => bail!("client: expected a connection, not {other:?}"),
        }

        let idle_mib = server.memory_mib(Order::MarkMemory).context("server")?;
        client.order(Order::Go)?;
        let mut readings = self.readings(&client).context("client")?;
        if let Some(id) = self.row.receiver_memory() {
            let peak_mib = server.memory_mib(Order::PeakMemory).context("server")?;
            readings.push(Reading::new(id, Unit::Mebibytes, peak_mib - idle_mib));
        }
        Ok(readings)
    }

    fn readings(&self, child: &Child) -> Result<Vec<Reading>> {
        match child.report(WORK_DEADLINE + 3 * self.length)? {
            Report::Readings(readings) => Ok(readings),
            other => bail!("expected readings, not {other:?}"),
        }
    }

    fn assignment(&self, task: Task, cores: Vec<usize>) -> Assignment {
        Assignment {
            task,
            peer: self.peer,
            row: self.row,
            length: self.length,
            cores,
            certificates: self.certificates.clone(),
        }
    }
}

fn listening(server: &Child) -> Result<SocketAddr> {
    match server.report(START_DEADLINE)? {
        Report::Listening { address } => Ok(address),
        other => bail!("expected an address, not {other:?}"),
    }
}
