//! R5: a sender as fast as its API lets it, beside an actor that takes 1 ms a message.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;

use super::wait_until_handled;
use crate::{
    memory,
    peer::{Client, Sender},
    reading::{Reading, Unit},
};

const BODY_BYTES: usize = 64 << 10;

/// The sender's own readings; the receiver's memory is read by the parent.
pub(super) async fn run(client: &impl Client, length: Duration) -> Result<Vec<Reading>> {
    client.slow_down(0).await?;
    let mut sender = client.sender(0, BODY_BYTES).await?;
    let body = Bytes::from(vec![9; BODY_BYTES]);
    let idle_mib = memory::mark_mib()?;

    let started = Instant::now();
    let mut accepted: u64 = 0;
    while started.elapsed() < length {
        sender.tell(&body).await?;
        accepted += 1;
    }
    // How far the sender was ahead: a moment's work if it was slowed, most of the run's if it was not.
    let stopped = Instant::now();
    let handled = wait_until_handled(&mut sender, accepted).await?;
    let drain = stopped.elapsed();
    Ok(vec![
        Reading::new("R5_sender_mib", Unit::Mebibytes, memory::peak_mib()? - idle_mib),
        Reading::new("R5_lost", Unit::Messages, accepted.saturating_sub(handled) as f64),
        Reading::new("R5_accepted", Unit::Messages, accepted as f64),
        Reading::new("R5_drain", Unit::Micros, drain.as_secs_f64() * 1e6),
    ])
}
