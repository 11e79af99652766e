//! R7: the serving process is killed; when do the asks fail that are in flight?

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use super::{SMALL, timed_ask};
use crate::{latency::Latencies, peer::Crowd, reading::Reading, row::Row};

const ASKED: u32 = 0;
const STUCK: u32 = 1;
const IN_FLIGHT: u32 = 64;
const WARM_UP_ASKS: u32 = 100;

/// Far beyond any detector of failures, so that it is never what ends an ask.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(row: Row, client: &impl Crowd, server_pid: u32) -> Result<Vec<Reading>> {
    client.stick(STUCK).await?;
    let mut asks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let client = client.clone();
        asks.spawn(async move {
            let answer = client.ask_within(STUCK, PATIENCE).await;
            (answer, Instant::now())
        });
    }
    // Answers that come after the asks were sent show that the other end is at work on them.
    let mut caller = client.callers(ASKED, 1).await?.pop().context("one caller")?;
    for _ in 0..WARM_UP_ASKS {
        timed_ask(&mut caller, &Bytes::from_static(SMALL)).await?;
    }

    let pid = Pid::from_raw(i32::try_from(server_pid)?).context("no such process id")?;
    let killed = Instant::now();
    kill_process(pid, Signal::KILL)?;
    let mut latencies = Vec::new();
    while let Some(ask) = asks.join_next().await {
        let (answer, ended) = ask?;
        ensure!(answer.is_err(), "an ask was answered that could not be");
        latencies.push(ended - killed);
    }
    Ok(vec![Reading::latency(row.id(), &Latencies::new(latencies))])
}
