//! One database file, by SQLite: one thread writes, a few read.
//!
//! The write-ahead log is on the disk before anybody is told (`synchronous=FULL`). What waits while one commit is made
//! durable is the next commit: there is no timer, and a lone write is not delayed.
//!
//! Several processes may have the file open. They take turns at writing, by SQLite's own locks, and since nothing is
//! remembered between transactions, a lease of one fences the other.

mod cause;
mod open;
mod reader;
mod transaction;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::tx::Operation;
use work::{Pending, Work};

/// How an embedded store uses its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How many operations wait for the writer, and for the readers, before their callers do; 1,024 by default.
    pub queue: usize,
    /// How many operations share a commit at most; 512 by default.
    pub batch: usize,
    /// How many threads read; 2 by default, 1 to 64.
    pub readers: usize,
    /// How long another process may keep the file locked before an operation fails as [`StoreError::Busy`]; 5,000 ms by
    /// default.
    pub busy_ms: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { queue: 1024, batch: 512, readers: 2, busy_ms: 5_000 }
    }
}

/// What the handle, the writer and the readers know of each other.
#[derive(Debug, Default)]
struct State {
    poisoned: AtomicBool,
}

/// An open file with its threads.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writes: mpsc::Sender<Job>,
    reads: mpsc::Sender<Job>,
    state: Arc<State>,
    writer: Mutex<Vec<Worker>>,
    readers: Mutex<Vec<Worker>>,
}

/// A thread with a connection of its own.
#[derive(Debug)]
struct Worker {
    thread: JoinHandle<()>,
    /// Nothing is ever sent: the thread's end drops the other end. Gone when somebody waits for it.
    ended: Option<oneshot::Receiver<()>>,
}

/// What a thread is asked for.
enum Job {
    Work(Box<dyn Work>),
    /// No more work is taken; what is queued is done.
    Close,
}

impl Sqlite {
    /// Opens or makes the file, and waits for that on a thread of its own.
    pub(crate) async fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let path: PathBuf = path.to_owned();
        let state = Arc::new(State::default());
        let (writes, jobs) = mpsc::channel(options.queue.max(1));
        let (reads, questions) = mpsc::channel(options.queue.max(1));
        let mut store = Self {
            writes,
            reads,
            state: Arc::clone(&state),
            writer: Mutex::new(Vec::new()),
            readers: Mutex::new(Vec::new()),
        };
        let (opened, ready) = oneshot::channel();
        let (file, settings) = (path.clone(), options.clone());
        let writer = Worker::start("mesh-store-write", move || {
            match open::writer(&file, &settings) {
                Ok(tx) => {
                    // Nobody waits if the caller gave up; the sender's end closes the channel, which ends this.
                    let _ = opened.send(Ok(()));
                    writer::run(tx, jobs, &state, settings.batch.max(1));
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        })?;
        store.writer.get_mut().push(writer);
        ready.await.map_err(|_| StoreError::Closed)??;
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..options.readers.clamp(1, 64) {
            let tx = open::reader(&path, &options)?;
            let questions = Arc::clone(&questions);
            let reader = Worker::start("mesh-store-read", move || reader::run(tx, &questions))?;
            store.readers.get_mut().push(reader);
        }
        Ok(store)
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        if self.state.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        Self::send(&self.writes, operation).await
    }

    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        Self::send(&self.reads, operation).await
    }

    async fn send<O: Operation>(to: &mpsc::Sender<Job>, operation: O) -> Result<O::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work = Pending::new(operation, reply);
        to.send(Job::Work(Box::new(work))).await.map_err(|_| StoreError::Closed)?;
        // The thread answers all that it takes; it dies only by a panic, in the middle of something.
        let lost =
            || StoreError::Io { reason: "the store's thread died".to_owned(), may_have_been_written: true };
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// The readers end first: of several connections that close at once none may be the last, which alone takes the log
    /// into the file.
    pub(crate) async fn close(&self) {
        end(&self.reads, &self.readers).await;
        end(&self.writes, &self.writer).await;
    }
}

impl Worker {
    fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Self, StoreError> {
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            body();
            drop(end);
        });
        Ok(Self { thread: thread.map_err(|error| StoreError::unwritten_io(&error))?, ended: Some(ended) })
    }

    fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a thread of the store died");
        }
    }
}

/// Ends the workers of one queue, when what waits in it is done.
async fn end(queue: &mpsc::Sender<Job>, workers: &Mutex<Vec<Worker>>) {
    // Fails only when the threads have gone already.
    let _ = queue.send(Job::Close).await;
    let ended: Vec<_> = workers.lock().iter_mut().filter_map(|worker| worker.ended.take()).collect();
    for end in ended {
        let _ = end.await;
    }
    let ended = std::mem::take(&mut *workers.lock());
    ended.into_iter().for_each(Worker::join);
}

impl Drop for Sqlite {
    /// Waits for the commit that is being made, and for no other: all who waited for an answer have given up.
    fn drop(&mut self) {
        // Closes the queues, which is what the threads wait on.
        let (closed, _) = mpsc::channel(1);
        self.reads = closed.clone();
        self.readers.get_mut().drain(..).for_each(Worker::join);
        self.writes = closed;
        self.writer.get_mut().drain(..).for_each(Worker::join);
    }
}
