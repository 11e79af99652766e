//! L1: tells within one process until the last is handled.

use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::{
    peer::LocalActor,
    reading::{Reading, Unit},
    row::Row,
};

const WARM_UP_TELLS: u32 = 100_000;
const TELLS: u32 = 2_000_000;

pub(super) async fn run(row: Row, actor: impl LocalActor, producers: u32) -> Result<Vec<Reading>> {
    produce(&actor, producers, WARM_UP_TELLS).await?;
    let before = actor.count().await?;
    let started = Instant::now();
    produce(&actor, producers, TELLS).await?;
    // The mailbox is in order, so the count comes after the last tell.
    let handled = actor.count().await? - before;
    let elapsed = started.elapsed();
    ensure!(handled == u64::from(TELLS), "{handled} of {TELLS} tells were handled");
    Ok(vec![Reading::new(row.id(), Unit::PerSecond, f64::from(TELLS) / elapsed.as_secs_f64())])
}

async fn produce(actor: &impl LocalActor, producers: u32, tells: u32) -> Result<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..producers {
        let actor = actor.clone();
        tasks.spawn(async move {
            for _ in 0..tells / producers {
                actor.tell([7; 64]).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(produced) = tasks.join_next().await {
        produced??;
    }
    Ok(())
}
