//! A thread of its own for an actor that blocks or spins.

use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime, which ends when it is told to.
pub(crate) struct Thread {
    handle: Handle,
    /// Dropped to end the thread.
    running: Option<oneshot::Sender<()>>,
    /// Told when the thread is about to end.
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// # Errors
    /// The system has no thread, or no event queue, left to give.
    pub(crate) fn spawn(name: &str) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, told) = oneshot::channel::<()>();
        let (ending, ended) = oneshot::channel();
        let body = move || {
            // Its sender is only ever dropped.
            let _ = runtime.block_on(told);
            drop(runtime);
            drop::<oneshot::Sender<()>>(ending);
        };
        let thread = Builder::new().name(format!("actor {name}")).spawn(body)?;
        Ok(Self { handle, running: Some(running), ended, thread: Some(thread) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Tells it to end; what runs on it is dropped at its next await.
    pub(crate) fn end(&mut self) {
        self.running = None;
    }

    /// Joins the thread if it has ended.
    pub(crate) fn is_joined(&mut self) -> bool {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            // Its body does not panic: tokio keeps the panics of tasks to themselves.
            let _ = thread.join();
        }
        self.thread.is_none()
    }

    /// Waits until it has ended, without blocking.
    pub(crate) async fn join(mut self) {
        self.end();
        let _ = self.ended.await;
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}
