//! Group commit: what a swarm acknowledges is on the disk, and what waits during one write is the next one.

use std::fmt;
use std::time::Duration;

use futures::{StreamExt, stream};
use mesh::{ActorRef, Handler, Message};
use mesh_store::{Changes, ContentHash, Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::coordinator::Coordinator;
use super::home::Home;
use super::message::{SwarmStatus, TaskChange};
use super::progress::Progress;
use super::record::{Line, entries};

/// Steps that wait to be written. Beyond them the coordinator waits, and its mailbox fills.
const STEPS: usize = 1024;
/// Blobs that are stored, and read, at once.
const BLOBS: usize = 64;
/// How often a write is tried that may succeed later, with pauses that double.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);
/// How long a coordinator that ends waits for its last write.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// What the coordinator has decided, and whom it tells when that is on the disk.
#[derive(Default)]
pub(super) struct Step {
    pub(super) lines: Vec<Line>,
    pub(super) blobs: Vec<(ContentHash, String)>,
    pub(super) then: Vec<Then>,
    pub(super) changes: Vec<TaskChange>,
    pub(super) status: Option<SwarmStatus>,
}

/// What follows a write.
pub(super) enum Then {
    /// An answer.
    Say(Box<dyn FnOnce() + Send>),
    /// An answer that needs a blob.
    Read { hash: ContentHash, say: SayRead },
}

pub(super) type SayRead = Box<dyn FnOnce(Result<String, StoreError>) + Send>;

/// The task that writes for one life of a coordinator; it ends with this.
#[derive(Debug)]
pub(super) struct Ledger {
    steps: mpsc::Sender<Step>,
    task: Option<JoinHandle<()>>,
}

/// Nothing more can be written: another coordinator has the swarm, or the store has failed. What is in memory is ahead of
/// the store now, so that this life has to end.
pub(super) struct LedgerLost {
    pub(super) reason: String,
}

impl Message for LedgerLost {
    type Reply = ();
}

impl Ledger {
    pub(super) fn open(home: Home, progress: Progress, coordinator: ActorRef<Coordinator>) -> Self
    where
        Coordinator: Handler<LedgerLost>,
    {
        let (steps, waiting) = mpsc::channel(STEPS);
        let writer = Writer { home, progress, waiting, reads: JoinSet::new() };
        let task = tokio::spawn(async move {
            if let Err(error) = writer.run().await {
                // An actor that has ended needs not be told.
                let _ = coordinator.tell(LedgerLost { reason: error.to_string() }).await;
            }
        });
        Self { steps, task: Some(task) }
    }

    /// Has a step written, and waits for room. `false` when nothing can be written any more.
    pub(super) async fn write(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    /// Writes what waits, and lets go of the swarm.
    pub(super) async fn close(mut self) {
        let Some(task) = self.task.take() else { return };
        let abort = task.abort_handle();
        drop(self);
        if timeout(CLOSE_MAX, task).await.is_err() {
            abort.abort();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Writer {
    home: Home,
    progress: Progress,
    waiting: mpsc::Receiver<Step>,
    reads: JoinSet<()>,
}

impl Writer {
    async fn run(mut self) -> Result<(), StoreError> {
        let third = Duration::from_millis(u64::from(self.home.lease_ms) / 3);
        let mut renewals = interval(third.max(Duration::from_millis(10)));
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = renewals.tick() => self.renew().await?,
                step = self.waiting.recv() => match step {
                    Some(step) => self.write(step).await?,
                    None => break,
                },
            }
        }
        while self.reads.join_next().await.is_some() {}
        // Whoever takes it up next need not wait.
        self.home.store.release(&self.home.lease).await
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let Home { store, lease, lease_ms, clock } = &mut self.home;
        let now_ms = clock.now_ms();
        match store.renew(lease, *lease_ms, now_ms).await {
            Ok(renewed) => *lease = renewed,
            // Writes are refused once somebody else has it, and not before.
            Err(error) if error.is_transient() || matches!(error, StoreError::Io { .. }) => {
                tracing::warn!(%error, "lease of a swarm is not renewed yet");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes a step and all that wait behind it, in one commit.
    async fn write(&mut self, first: Step) -> Result<(), StoreError> {
        let mut group = first;
        for _ in 1..STEPS {
            let Ok(next) = self.waiting.try_recv() else { break };
            group.lines.extend(next.lines);
            group.blobs.extend(next.blobs);
            group.then.extend(next.then);
            group.changes.extend(next.changes);
            group.status = next.status.or(group.status);
        }
        if !group.lines.is_empty() {
            self.commit(&group.lines, &group.blobs).await?;
        }
        for then in group.then {
            match then {
                Then::Say(say) => say(),
                Then::Read { hash, say } => self.read(hash, say).await,
            }
        }
        if let Some(status) = group.status {
            self.progress.tell(group.changes, &status);
        }
        Ok(())
    }

    async fn commit(&self, lines: &[Line], blobs: &[(ContentHash, String)]) -> Result<(), StoreError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.try_commit(lines, blobs).await {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "swarm is not written yet");
                    sleep(pause).await;
                    pause *= 2;
                }
                written => return written,
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn try_commit(&self, lines: &[Line], blobs: &[(ContentHash, String)]) -> Result<(), StoreError> {
        let now_ms = self.home.clock.now_ms();
        let store = &self.home.store;
        let mut puts = Vec::with_capacity(blobs.len());
        for (_, text) in blobs {
            puts.push(put(store.clone(), text.clone(), now_ms));
        }
        let mut puts = stream::iter(puts).buffer_unordered(BLOBS);
        while let Some(put) = puts.next().await {
            put?;
        }
        let changes = entries(lines).into_iter().fold(Changes::at(now_ms), Changes::append);
        store.write(&self.home.lease, changes).await.map(drop)
    }

    /// Reads beside the writes, a few at once.
    async fn read(&mut self, hash: ContentHash, say: SayRead) {
        while self.reads.try_join_next().is_some() {}
        if self.reads.len() >= BLOBS {
            self.reads.join_next().await;
        }
        let store = self.home.store.clone();
        self.reads.spawn(async move { say(text(&store, hash).await) });
    }
}

async fn put(store: Store, text: String, now_ms: i64) -> Result<(), StoreError> {
    store.put_blob(text, now_ms).await.map(drop)
}

async fn text(store: &Store, hash: ContentHash) -> Result<String, StoreError> {
    let bytes = store.blob(hash).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("lines", &self.lines).finish_non_exhaustive()
    }
}
