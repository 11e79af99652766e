//! L2: asks within one process, one at a time.

use std::{hint::black_box, time::Instant};

use anyhow::Result;

use crate::{latency::Latencies, peer::LocalActor, reading::Reading, row::Row};

const WARM_UP_ASKS: u32 = 20_000;
const ASKS: u32 = 200_000;

pub(super) async fn run(row: Row, actor: impl LocalActor) -> Result<Vec<Reading>> {
    let body = [7; 64];
    for _ in 0..WARM_UP_ASKS {
        black_box(actor.ask(body).await?);
    }
    let mut latencies = Vec::with_capacity(ASKS as usize);
    for _ in 0..ASKS {
        let asked = Instant::now();
        black_box(actor.ask(body).await?);
        latencies.push(asked.elapsed());
    }
    Ok(vec![Reading::latency(row.id(), &Latencies::new(latencies))])
}
