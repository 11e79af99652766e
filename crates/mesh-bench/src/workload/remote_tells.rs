//! R3 and R4: tells to another process until the receiver has counted all.

use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::{SMALL, wait_until_handled};
use crate::{
    peer::{Client, Sender},
    reading::{Reading, Unit},
    row::Row,
};

const SMALL_TELLS: u32 = 2_000_000;
const SMALL_WARM_UP: u32 = 200_000;

const LARGE_BODY_BYTES: u32 = 64 << 10;
const LARGE_TELLS: u32 = 16 << 10;
/// Enough to open the congestion window.
const LARGE_WARM_UP: u32 = 1 << 10;

/// Tells of 64 bytes, in messages a second.
pub(super) async fn small(row: Row, client: &impl Client) -> Result<Vec<Reading>> {
    let body = Bytes::from_static(SMALL);
    let rate = tells_per_second(client, &body, SMALL_WARM_UP, SMALL_TELLS).await?;
    Ok(vec![Reading::new(row.id(), Unit::PerSecond, rate)])
}

/// Tells of 64 KiB, in millions of bytes a second.
pub(super) async fn large(row: Row, client: &impl Client) -> Result<Vec<Reading>> {
    let body = Bytes::from(vec![9; LARGE_BODY_BYTES as usize]);
    let rate = tells_per_second(client, &body, LARGE_WARM_UP, LARGE_TELLS).await?;
    Ok(vec![Reading::new(row.id(), Unit::MegabytesPerSecond, rate * f64::from(LARGE_BODY_BYTES) / 1e6)])
}

async fn tells_per_second(client: &impl Client, body: &Bytes, warm_up: u32, tells: u32) -> Result<f64> {
    let mut sender = client.sender(0, body.len()).await?;
    for _ in 0..warm_up {
        sender.tell(body).await?;
    }
    let before = wait_until_handled(&mut sender, u64::from(warm_up)).await?;

    let started = Instant::now();
    for _ in 0..tells {
        sender.tell(body).await?;
    }
    let handled = wait_until_handled(&mut sender, before + u64::from(tells)).await? - before;
    let elapsed = started.elapsed();
    ensure!(handled == u64::from(tells), "{handled} of {tells} tells arrived");
    Ok(f64::from(tells) / elapsed.as_secs_f64())
}
