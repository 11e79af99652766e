//! The loop that keeps a run going.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use mesh::Items;
use tokio::sync::mpsc;

use super::item::{self, Around, Finished};
use super::job::Job;
use super::message::RunEvent;
use super::progress::Progress;
use crate::workflow::{Outcome, Run};

/// Events of items that wait for the reader of the run. When it is slow, the agents wait, and so do their models.
const EVENTS: usize = 32;

/// Whoever is told what happens in a run.
pub(super) trait Reader {
    fn tell(&self, event: RunEvent) -> impl Future<Output = ()> + Send;
}

impl Reader for Items<RunEvent> {
    async fn tell(&self, event: RunEvent) {
        // A run without a reader is dropped by its actor.
        let _ = self.send(event).await;
    }
}

/// A run that goes on as long as it is driven. Dropping it drops the items in flight, which withdraws their asks.
pub(super) struct Drive {
    around: Arc<Around>,
    run: Run,
    progress: Progress,
    in_flight: FuturesUnordered<BoxFuture<'static, Finished>>,
    sender: mpsc::Sender<RunEvent>,
    events: mpsc::Receiver<RunEvent>,
}

impl Drive {
    pub(super) fn new(around: Arc<Around>, run: Run) -> Self {
        let (sender, events) = mpsc::channel(EVENTS);
        let (progress, in_flight) = (Progress::new(), FuturesUnordered::new());
        Self { around, run, progress, in_flight, sender, events }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Runs the workflow to its end.
    ///
    /// # Cancel safety
    /// Dropped, it can be called again, and goes on.
    pub(super) async fn run(&mut self, reader: &impl Reader) -> Outcome {
        loop {
            self.start();
            while let Some(event) = self.run.next_event() {
                if let Some(event) = self.progress.event(event) {
                    reader.tell(event).await;
                }
            }
            if let Some(outcome) = self.run.outcome() {
                return outcome.clone();
            }
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => reader.tell(event).await,
                Some(finished) = self.in_flight.next() => {
                    // What the item said before it finished comes first.
                    while let Ok(event) = self.events.try_recv() {
                        reader.tell(event).await;
                    }
                    self.finish(finished, reader).await;
                }
            }
        }
    }

    /// Starts all that can be started.
    fn start(&mut self) {
        while let Some(item) = self.run.next_item() {
            self.begin(Job::Item(item));
        }
        if let Some(consult) = self.run.next_consult() {
            self.begin(Job::Consult(consult));
        }
    }

    fn begin(&mut self, job: Job) {
        self.in_flight.push(Box::pin(item::work(Arc::clone(&self.around), job, self.sender.clone())));
    }

    async fn finish(&mut self, finished: Finished, reader: &impl Reader) {
        if finished.is_consult {
            self.progress.consulted(&finished);
        } else {
            reader.tell(self.progress.item(self.run.plan(), &finished)).await;
        }
        let Finished { stage, index, answer, is_consult, .. } = finished;
        let answer = answer.map(|of| of.answer.text).map_err(|failed| failed.error);
        if is_consult {
            self.run.on_consult(stage, answer);
        } else {
            self.run.on_item(stage, index, answer);
        }
    }
}
