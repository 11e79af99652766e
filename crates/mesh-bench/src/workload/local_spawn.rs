//! R9: how fast actors start, and what an idle one weighs.

use std::time::Instant;

use anyhow::Result;

use crate::{
    memory,
    peer::{LocalActor, LocalPeer},
    reading::{Reading, Unit},
};

const WARM_UP_ACTORS: u32 = 1_000;
const ACTORS: u32 = 30_000;

pub(super) async fn run(peer: &impl LocalPeer) -> Result<Vec<Reading>> {
    // They stay alive, so that no memory of theirs is used again and missed in the difference.
    let mut actors = spawn(peer, WARM_UP_ACTORS).await?;
    let before_mib = memory::mark_mib()?;
    let started = Instant::now();
    actors.extend(spawn(peer, ACTORS).await?);
    let elapsed = started.elapsed();
    let bytes = (memory::mark_mib()? - before_mib) * 1024.0 * 1024.0;
    drop(actors);
    Ok(vec![
        Reading::new("R9_spawn", Unit::PerSecond, f64::from(ACTORS) / elapsed.as_secs_f64()),
        Reading::new("R9_bytes", Unit::Bytes, bytes / f64::from(ACTORS)),
    ])
}

async fn spawn<P: LocalPeer>(peer: &P, count: u32) -> Result<Vec<P::Actor>> {
    let mut actors = Vec::with_capacity(count as usize);
    for _ in 0..count {
        actors.push(peer.spawn().await?);
    }
    // A peer may return before the actor has started; they start in order, so the last one's answer tells.
    if let Some(last) = actors.last() {
        last.count().await?;
    }
    Ok(actors)
}
