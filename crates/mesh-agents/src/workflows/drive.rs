//! The loop that keeps a run going.

use std::collections::HashMap;
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
use super::stored::{Known, Record, StageRecord, keep};
use crate::durable::{RunContext, StepError};
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
    /// What had finished in an earlier life of the run.
    known: Known,
    /// What has finished, for a run that is stored.
    records: HashMap<usize, StageRecord>,
}

impl Drive {
    pub(super) fn new(around: Arc<Around>, run: Run) -> Self {
        let (sender, events) = mpsc::channel(EVENTS);
        let (progress, in_flight) = (Progress::new(), FuturesUnordered::new());
        let (known, records) = (Known::default(), HashMap::new());
        Self { around, run, progress, in_flight, sender, events, known, records }
    }

    /// With what is not to be done again.
    pub(super) fn known(self, known: Known) -> Self {
        Self { known, ..self }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What a stage of a stored run left, once it is done.
    pub(super) fn record(&mut self, stage: usize) -> StageRecord {
        let mut record = self.records.remove(&stage).unwrap_or_default();
        record.items.sort_by_key(Record::index);
        record
    }

    /// Runs the workflow to its end.
    ///
    /// # Cancel safety
    /// Dropped, it is of no more use.
    pub(super) async fn run(&mut self, reader: &impl Reader) -> Outcome {
        match self.drive(None, reader, None).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => unreachable!("without a stage to stop at, it goes on to the end"),
            Err(error) => Outcome::Cancelled { reason: error.message().to_owned() },
        }
    }

    /// Runs a stored workflow until this stage is done, or all of it. What has finished is on the disk before it is told.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub(super) async fn stage(
        &mut self,
        stage: usize,
        reader: &impl Reader,
        cx: &RunContext,
    ) -> Result<Option<Outcome>, StepError> {
        self.drive(Some(stage), reader, Some(cx)).await
    }

    async fn drive(
        &mut self,
        until: Option<usize>,
        reader: &impl Reader,
        cx: Option<&RunContext>,
    ) -> Result<Option<Outcome>, StepError> {
        loop {
            self.start();
            let happened = std::iter::from_fn(|| self.run.next_event()).collect();
            for event in self.progress.events(happened) {
                reader.tell(event).await;
            }
            if let Some(outcome) = self.run.outcome() {
                return Ok(Some(outcome.clone()));
            }
            if until.is_some_and(|stage| self.run.is_settled(stage)) {
                return Ok(None);
            }
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => reader.tell(event).await,
                Some(finished) = self.in_flight.next() => {
                    // What the item said before it finished comes first.
                    while let Ok(event) = self.events.try_recv() {
                        reader.tell(event).await;
                    }
                    self.finish(finished, reader, cx).await?;
                }
            }
        }
    }

    /// Starts all that can be started and is not known to have finished.
    fn start(&mut self) {
        loop {
            while let Some(item) = self.run.next_item() {
                let (stage, index) = (item.stage, item.index);
                let Some(done) = self.known.item(stage, index, &item.input) else {
                    self.begin(Job::Item(item));
                    continue;
                };
                self.progress.restored(&self.run.plan().stages[stage].name, index, done.tokens());
                self.records.entry(stage).or_default().items.push(done.record);
                self.run.on_item(stage, index, done.answer);
            }
            let Some(consult) = self.run.next_consult() else { return };
            let stage = consult.stage;
            let Some(done) = self.known.consult(stage, &consult.input) else {
                return self.begin(Job::Consult(consult));
            };
            self.progress.consulted_before(&self.run.plan().stages[stage].name, done.tokens());
            self.records.entry(stage).or_default().coordinator = Some(done.record);
            self.run.on_consult(stage, done.answer);
        }
    }

    fn begin(&mut self, job: Job) {
        self.in_flight.push(Box::pin(item::work(Arc::clone(&self.around), job, self.sender.clone())));
    }

    async fn finish(
        &mut self,
        finished: Finished,
        reader: &impl Reader,
        cx: Option<&RunContext>,
    ) -> Result<(), StepError> {
        if let Some(cx) = cx {
            let record = keep(cx, self.run.plan(), &finished).await?;
            let stage = self.records.entry(finished.stage).or_default();
            if finished.is_consult {
                stage.coordinator = Some(record);
            } else {
                stage.items.push(record);
            }
        }
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
        Ok(())
    }
}
