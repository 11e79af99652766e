//! The rows' workloads, each the same for every peer.

mod crash;
mod death;
mod local_ask;
mod local_spawn;
mod local_tell;
mod remote_ask;
mod remote_ask_under_bulk;
mod remote_asks;
mod remote_tells;
mod slow_receiver;
mod stuck_crowd;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::{
    peer::{Caller, Client, Crashing, Crowd, LocalPeer, Sender},
    reading::Reading,
    row::Row,
};

pub(crate) use stuck_crowd::STUCK;

/// A body of the size that all small rows use.
static SMALL: &[u8] = &[7; 64];

/// Runs a local row on actors of `peer`.
///
/// # Errors
/// If the peer fails or the row is a remote one.
pub(crate) async fn run_local(row: Row, peer: &impl LocalPeer) -> Result<Vec<Reading>> {
    match row {
        Row::L1 { producers, .. } => local_tell::run(row, peer.spawn().await?, producers).await,
        Row::L2 => local_ask::run(row, peer.spawn().await?).await,
        Row::R9 => local_spawn::run(peer).await,
        _ => bail!("{} is no local row", row.id()),
    }
}

/// Runs R8 on actors of `peer`.
///
/// # Errors
/// If the peer fails, as when an actor is not started again.
pub(crate) async fn run_crash(row: Row, peer: &impl LocalPeer<Actor: Crashing>) -> Result<Vec<Reading>> {
    crash::run(row, peer).await
}

/// Runs a remote row through `client`; `length` is that of its timed part.
///
/// # Errors
/// If the peer fails, loses a message that it should not, or the row is no such row.
pub(crate) async fn run_remote(row: Row, client: impl Client, length: Duration) -> Result<Vec<Reading>> {
    match row {
        Row::R1 => remote_ask::run(row, &client).await,
        Row::R2 { callers } => remote_asks::run(row, &client, callers, length).await,
        Row::R3 => remote_tells::small(row, &client).await,
        Row::R4 => remote_tells::large(row, &client).await,
        Row::R5 => slow_receiver::run(&client, length).await,
        Row::R6 => remote_ask_under_bulk::run(row, &client, length).await,
        Row::L1 { .. } | Row::L2 | Row::R7 | Row::R8 | Row::R9 | Row::S300 => {
            bail!("{} is no row of every remote peer", row.id())
        }
    }
}

/// Runs any remote row through `client`, those that need many actors or the server's death among them.
///
/// # Errors
/// As [`run_remote`].
pub(crate) async fn run_crowd(
    row: Row,
    client: impl Crowd,
    server_pid: u32,
    length: Duration,
) -> Result<Vec<Reading>> {
    match row {
        Row::R7 => death::run(row, &client, server_pid).await,
        Row::S300 => stuck_crowd::run(row, &client, length).await,
        _ => run_remote(row, client, length).await,
    }
}

/// Asks one at a time until `length` has passed; the latencies.
async fn ask_for(caller: &mut impl Caller, length: Duration) -> Result<Vec<Duration>> {
    let body = Bytes::from_static(SMALL);
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < length {
        latencies.push(timed_ask(caller, &body).await?);
    }
    Ok(latencies)
}

async fn timed_ask(caller: &mut impl Caller, body: &Bytes) -> Result<Duration> {
    let asked = Instant::now();
    caller.ask(body).await?;
    Ok(asked.elapsed())
}

/// Waits until the receiver has handled `expected` tells; what it has handled if it stops short of that.
async fn wait_until_handled(sender: &mut impl Sender, expected: u64) -> Result<u64> {
    /// Without progress for this long, what is missing is lost.
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut handled = 0;
    let mut progressed = Instant::now();
    loop {
        let now = sender.handled().await?;
        if now >= expected || progressed.elapsed() > PATIENCE {
            return Ok(now);
        }
        if now > handled {
            handled = now;
            progressed = Instant::now();
        }
    }
}
