//! R8: an actor crashes under its supervisor; when is the first call answered?

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    latency::Latencies,
    peer::{Crashing, LocalActor, LocalPeer},
    reading::Reading,
    row::Row,
};

/// Actors that crash, each once, since a second crash in a row is followed by a pause.
const ACTORS: u32 = 500;

pub(crate) async fn run(row: Row, peer: &impl LocalPeer<Actor: Crashing>) -> Result<Vec<Reading>> {
    let body = [7; 64];
    let mut latencies = Vec::new();
    for _ in 0..ACTORS {
        let actor = peer.spawn().await?;
        actor.ask(body).await?;
        latencies.push(recovery(&actor, body).await?);
    }
    Ok(vec![Reading::latency(row.id(), &Latencies::new(latencies))])
}

async fn recovery(actor: &impl Crashing, body: [u8; 64]) -> Result<Duration> {
    let crashed = Instant::now();
    actor.crash().await?;
    actor.ask(body).await?;
    Ok(crashed.elapsed())
}
