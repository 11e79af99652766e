//! A child process: one end of a measurement.
//!
//! It reads its assignment from stdin, pins itself, and then runs the peer on the main thread while a second
//! thread answers the parent. When stdin closes the child exits, so that none outlives a parent however it died.

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
    process::{self, ExitCode},
    thread,
};

use anyhow::{Context, Result, bail};
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
};

use crate::{
    memory,
    peer::{
        PeerName,
        ours::{self, Ours, Place},
        ractor::Ractor,
        raw_quinn,
        tokio_mpsc::TokioMpsc,
    },
    pin,
    protocol::{Assignment, Order, Report, Task},
    reading::Reading,
    row::Row,
    workload,
};

/// Carries out the assignment on stdin.
///
/// # Errors
/// If the parent can't be read from or written to; what goes wrong in a measurement is reported to it instead.
pub(crate) fn run() -> Result<ExitCode> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let assignment: Assignment = serde_json::from_str(&line).context("not an assignment")?;
    pin::pin_to(&assignment.cores)?;
    pin::let_others_finish()?;

    let (go, gate) = oneshot::channel();
    let orders = thread::Builder::new().name("orders".into()).spawn(move || obey_until_eof(go))?;
    match carry_out(&assignment, Gate(gate)) {
        Ok(readings) => report(&Report::Readings(readings))?,
        Err(error) => report(&Report::Failed { reason: format!("{error:#}") })?,
    }
    // The parent may still ask for memory; it ends this process by closing stdin.
    drop(orders.join());
    Ok(ExitCode::SUCCESS)
}

fn carry_out(assignment: &Assignment, gate: Gate) -> Result<Vec<Reading>> {
    match assignment.task {
        Task::Serve => serve(assignment),
        Task::Drive { server, server_pid } => drive(assignment, server, server_pid, gate),
        Task::Local => run_alone(assignment),
    }
}

fn serve(assignment: &Assignment) -> Result<Vec<Reading>> {
    let Assignment { peer, row, ref certificates, .. } = *assignment;
    let listening = |address| report(&Report::Listening { address });
    match peer {
        PeerName::Ours => ours::serve(certificates, Place::Pool, row, listening)?,
        PeerName::OursTrusted => ours::serve(certificates, Place::Network, row, listening)?,
        PeerName::RawQuinn | PeerName::RawQuinnUni => raw_quinn::serve(certificates, listening)?,
        peer => bail!("{} has no server", peer.label()),
    }
    Ok(Vec::new())
}

fn drive(assignment: &Assignment, server: SocketAddr, server_pid: u32, gate: Gate) -> Result<Vec<Reading>> {
    let Assignment { peer, row, length, certificates, .. } = assignment.clone();
    match peer {
        PeerName::Ours | PeerName::OursTrusted => {
            let place = if peer == PeerName::Ours { Place::Pool } else { Place::Network };
            ours::drive(&certificates, place, server, move |client| async move {
                gate.pass().await?;
                workload::run_crowd(row, client, server_pid, length).await
            })
        }
        PeerName::RawQuinn | PeerName::RawQuinnUni => run_on(&current_thread()?, async move {
            let is_uni = peer == PeerName::RawQuinnUni;
            let client = raw_quinn::connect(server, &certificates, is_uni).await?;
            gate.pass().await?;
            workload::run_remote(row, client, length).await
        }),
        peer => bail!("{} has no client", peer.label()),
    }
}

fn run_alone(assignment: &Assignment) -> Result<Vec<Reading>> {
    let Assignment { row, peer, .. } = *assignment;
    let runtime = if row.workers() == 1 { current_thread()? } else { multi_thread(row.workers())? };
    run_on(&runtime, async move {
        match peer {
            PeerName::Ours if row == Row::R8 => workload::run_crash(row, &Ours::start()).await,
            PeerName::Ours => workload::run_local(row, &Ours::start()).await,
            PeerName::Ractor => workload::run_local(row, &Ractor).await,
            PeerName::TokioMpsc => workload::run_local(row, &TokioMpsc).await,
            peer => bail!("{} is no local peer", peer.label()),
        }
    })
}

/// Runs `work` as a task, since the future of `block_on` itself is polled at every turn of the runtime.
fn run_on<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    runtime.block_on(runtime.spawn(work))?
}

/// What holds the workload back until the parent is ready too.
struct Gate(oneshot::Receiver<()>);

impl Gate {
    /// Says that the client is connected and waits for the parent's word.
    async fn pass(self) -> Result<()> {
        report(&Report::Connected)?;
        self.0.await.context("the parent has gone away")
    }
}

fn obey_until_eof(go: oneshot::Sender<()>) {
    let mut go = Some(go);
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if obey(&line, &mut go).is_err() {
            break;
        }
    }
    end_process();
}

fn obey(line: &str, go: &mut Option<oneshot::Sender<()>>) -> Result<()> {
    match serde_json::from_str(line)? {
        // A workload that has failed before it could start needs no start.
        Order::Go => go.take().map_or(Ok(()), |go| go.send(()).or(Ok(()))),
        Order::MarkMemory => report(&Report::Memory { mib: memory::mark_mib()? }),
        Order::PeakMemory => report(&Report::Memory { mib: memory::peak_mib()? }),
    }
}

#[expect(clippy::exit, reason = "the main thread is inside a peer that has no reason to return")]
fn end_process() -> ! {
    process::exit(0)
}

fn report(report: &Report) -> Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}

fn current_thread() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

fn multi_thread(workers: u32) -> Result<Runtime> {
    let workers = usize::try_from(workers)?;
    Ok(runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?)
}
