//! R1: asks to another process, one at a time.

use anyhow::{Context, Result};
use bytes::Bytes;

use super::{SMALL, timed_ask};
use crate::{latency::Latencies, peer::Client, reading::Reading, row::Row};

const WARM_UP_ASKS: u32 = 2_000;
const ASKS: u32 = 20_000;

pub(super) async fn run(row: Row, client: &impl Client) -> Result<Vec<Reading>> {
    let mut caller = client.callers(0, 1).await?.pop().context("one caller")?;
    let body = Bytes::from_static(SMALL);
    for _ in 0..WARM_UP_ASKS {
        timed_ask(&mut caller, &body).await?;
    }
    let mut latencies = Vec::with_capacity(ASKS as usize);
    for _ in 0..ASKS {
        latencies.push(timed_ask(&mut caller, &body).await?);
    }
    Ok(vec![Reading::latency(row.id(), &Latencies::new(latencies))])
}
