//! The loop that keeps a run going.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mesh::Items;
use tokio::sync::mpsc;

use super::item::{self, Around, Finished};
use super::message::RunEvent;
use super::progress::Progress;
use crate::workflow::{Outcome, Run};

/// Events of items that wait for the reader of the run. When it is slow, the agents wait, and so do their models.
const EVENTS: usize = 32;

/// Runs a workflow to its end; what is known of it meanwhile is in `progress`.
///
/// Dropping the future drops the items in flight, which withdraws their asks.
pub(super) async fn drive(
    around: &Arc<Around>,
    mut run: Run,
    items: &Items<RunEvent>,
    progress: &mut Progress,
) -> Outcome {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let mut in_flight = FuturesUnordered::new();
    loop {
        while let Some(item) = run.next_item() {
            in_flight.push(item::work(Arc::clone(around), item, sender.clone()));
        }
        while let Some(event) = run.next_event() {
            tell(items, progress.event(event)).await;
        }
        if let Some(outcome) = run.outcome() {
            return outcome.clone();
        }
        tokio::select! {
            biased;
            Some(event) = events.recv() => tell(items, Some(event)).await,
            Some(finished) = in_flight.next() => {
                // What the item said before it finished comes first.
                while let Ok(event) = events.try_recv() {
                    tell(items, Some(event)).await;
                }
                tell(items, Some(progress.item(run.plan(), &finished))).await;
                let Finished { stage, index, answer, .. } = finished;
                run.on_item(stage, index, answer.map(|of| of.answer.text).map_err(|failed| failed.error));
            }
        }
    }
}

async fn tell(items: &Items<RunEvent>, event: Option<RunEvent>) {
    if let Some(event) = event {
        // A run without a reader is dropped by its actor.
        let _ = items.send(event).await;
    }
}
