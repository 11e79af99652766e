//! S300: asks to the neighbour of 300 actors that never return and whose senders have filled their mailboxes.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::ask_for;
use crate::{
    latency::Latencies,
    peer::Crowd,
    reading::{Reading, Unit},
    row::Row,
};

/// Actors that never return; the neighbour is actor 0.
pub(crate) const STUCK: u32 = 300;
const NEIGHBOUR: u32 = 0;
const BODY_BYTES: usize = 64 << 10;
const WARM_UP: Duration = Duration::from_millis(300);

/// A sender that is not accepted for so long counts as refused.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn run(row: Row, client: &impl Crowd, length: Duration) -> Result<Vec<Reading>> {
    let mut caller = client.callers(NEIGHBOUR, 1).await?.pop().context("one caller")?;
    ask_for(&mut caller, WARM_UP).await?;
    let unloaded = Latencies::new(ask_for(&mut caller, length).await?);

    for target in 1..=STUCK {
        client.stick(target).await?;
    }
    let accepted = fill(client).await?;
    let loaded = Latencies::new(ask_for(&mut caller, length).await?);
    let queued = client.queued().await?;

    Ok(vec![
        Reading::latency(row.id(), &loaded),
        Reading::latency("S300_unloaded", &unloaded),
        Reading::new("S300_accepted", Unit::Messages, accepted as f64),
        Reading::new("S300_beyond", Unit::Messages, accepted.saturating_sub(queued) as f64),
    ])
}

/// Tells every stuck actor until it refuses; how many tells were accepted in all.
async fn fill(client: &impl Crowd) -> Result<u64> {
    let body = Bytes::from(vec![9; BODY_BYTES]);
    let mut senders = JoinSet::new();
    for target in 1..=STUCK {
        let (client, body) = (client.clone(), body.clone());
        senders.spawn(async move {
            let mut accepted: u64 = 0;
            while client.tell_within(target, &body, PATIENCE).await? {
                accepted += 1;
            }
            anyhow::Ok(accepted)
        });
    }
    let mut accepted = 0;
    while let Some(sender) = senders.join_next().await {
        accepted += sender??;
    }
    Ok(accepted)
}
