//! What the parent and its children say to each other: one JSON document a line.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{peer::PeerName, reading::Reading, row::Row, tls::Certificates};

/// The first line that a child reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) task: Task,
    pub(crate) peer: PeerName,
    pub(crate) row: Row,
    /// Length of the timed part.
    pub(crate) length: Duration,
    /// Cores to pin to; none means anywhere.
    pub(crate) cores: Vec<usize>,
    pub(crate) certificates: Certificates,
}

/// Which end of a measurement a child is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Listens on loopback until its stdin closes.
    Serve,
    /// Drives the row's workload against a server.
    Drive {
        server: SocketAddr,
        /// For the row that kills it.
        server_pid: u32,
    },
    /// Runs a local row alone.
    Local,
}

/// What the parent says after the assignment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Start the workload.
    Go,
    /// Count peak memory from now and report what is resident.
    MarkMemory,
    /// Report peak memory since the mark.
    PeakMemory,
}

/// What a child says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A server may be connected to.
    Listening { address: SocketAddr },
    /// A client is connected and waits for [`Order::Go`].
    Connected,
    /// The answer to a memory order.
    Memory { mib: f64 },
    /// The workload is done.
    Readings(Vec<Reading>),
    /// The child can't go on.
    Failed { reason: String },
}
