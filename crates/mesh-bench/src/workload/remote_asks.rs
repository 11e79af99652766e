//! R2: asks to another process from many callers at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep};

use super::{SMALL, timed_ask};
use crate::{
    latency::Latencies,
    peer::{Caller, Client},
    reading::{Reading, Unit},
    row::Row,
};

const WARM_UP: Duration = Duration::from_millis(500);

/// One ask in so many is timed, so that the clock costs nothing.
const ASKS_PER_SAMPLE: u32 = 64;

#[derive(Default)]
struct Progress {
    asks: AtomicU64,
    is_over: AtomicBool,
}

pub(super) async fn run(
    row: Row,
    client: &impl Client,
    callers: u32,
    length: Duration,
) -> Result<Vec<Reading>> {
    let progress = Arc::new(Progress::default());
    let mut tasks = JoinSet::new();
    for caller in client.callers(0, callers).await? {
        tasks.spawn(ask_until_over(caller, progress.clone()));
    }
    sleep(WARM_UP).await;
    let (before, started) = (progress.asks.load(Relaxed), Instant::now());
    sleep(length).await;
    let (after, elapsed) = (progress.asks.load(Relaxed), started.elapsed());
    progress.is_over.store(true, Relaxed);

    let mut latencies = Vec::new();
    while let Some(samples) = tasks.join_next().await {
        latencies.extend(samples??);
    }
    let rate = (after - before) as f64 / elapsed.as_secs_f64();
    let reading = Reading::new(row.id(), Unit::PerSecond, rate);
    Ok(vec![reading.with_latencies(&Latencies::new(latencies))])
}

async fn ask_until_over(mut caller: impl Caller, progress: Arc<Progress>) -> Result<Vec<Duration>> {
    let body = Bytes::from_static(SMALL);
    let mut samples = Vec::new();
    while !progress.is_over.load(Relaxed) {
        samples.push(timed_ask(&mut caller, &body).await?);
        for _ in 1..ASKS_PER_SAMPLE {
            caller.ask(&body).await?;
        }
        progress.asks.fetch_add(u64::from(ASKS_PER_SAMPLE), Relaxed);
    }
    Ok(samples)
}
