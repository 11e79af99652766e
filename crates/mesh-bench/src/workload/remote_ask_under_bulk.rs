//! R6: asks to one actor while 1 MiB messages stream to another on the same node.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep};

use super::ask_for;
use crate::{
    latency::Latencies,
    peer::{Client, Sender},
    reading::{Reading, Unit},
    row::Row,
};

const ASKED: u32 = 0;
const FLOODED: u32 = 1;
const BODY_BYTES: usize = 1 << 20;
const WARM_UP: Duration = Duration::from_millis(300);

pub(super) async fn run(row: Row, client: &impl Client, length: Duration) -> Result<Vec<Reading>> {
    let mut caller = client.callers(ASKED, 1).await?.pop().context("one caller")?;
    ask_for(&mut caller, WARM_UP).await?;
    let unloaded = Latencies::new(ask_for(&mut caller, length).await?);

    let flood = Flood::start(client.sender(FLOODED, BODY_BYTES).await?);
    sleep(WARM_UP).await;
    let loaded = Latencies::new(ask_for(&mut caller, length).await?);
    let megabytes_per_second = flood.stop().await?;

    Ok(vec![
        Reading::latency(row.id(), &loaded),
        Reading::latency("R6_unloaded", &unloaded),
        Reading::new("R6_bulk", Unit::MegabytesPerSecond, megabytes_per_second),
    ])
}

/// A task that sends large tells until it is stopped.
struct Flood {
    is_over: Arc<AtomicBool>,
    task: JoinSet<Result<f64>>,
}

impl Flood {
    fn start(mut sender: impl Sender) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_seen = is_over.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let body = Bytes::from(vec![9; BODY_BYTES]);
            let started = Instant::now();
            let mut bytes = 0.0;
            while !is_over_seen.load(Relaxed) {
                sender.tell(&body).await?;
                bytes += BODY_BYTES as f64;
            }
            Ok(bytes / 1e6 / started.elapsed().as_secs_f64())
        });
        Self { is_over, task }
    }

    /// Megabytes a second that were accepted.
    async fn stop(mut self) -> Result<f64> {
        self.is_over.store(true, Relaxed);
        self.task.join_next().await.context("one task was spawned")??
    }
}
