//! The network's thread, and how threads of a node share a core.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// A thread with a runtime of its own, on which connections and trusted actors run: what users' actors do on the pool
/// delays neither.
///
/// Dropping it ends the runtime with all of its tasks, and waits for the thread.
#[derive(Debug)]
pub(crate) struct NetworkThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NetworkThread {
    /// Starts the thread.
    pub(crate) fn spawn() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("mesh-network".to_owned()).spawn(move || {
            let_others_finish();
            // A dropped sender says the same as a message.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Spawns onto the thread.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A runtime with a worker for each core, whose workers share cores with the network's thread as
/// [`Node`](crate::Node) has it: for a program's `main`.
///
/// # Errors
/// If the system starts no thread.
///
/// ```no_run
/// let runtime = mesh_node::runtime()?;
/// runtime.block_on(async { /* Node::from_args()?.run().await */ });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("mesh-pool")
        .on_thread_start(let_others_finish)
        .enable_all()
        .build()
}

/// Lets whoever has the core finish its turn when this thread is woken (Linux: `SCHED_BATCH`), which no privilege is
/// needed for.
///
/// Otherwise the first message of a batch wakes the other thread, which takes the core and handles just that one.
/// With both threads of a node on one core, 64 callers got 260,000 instead of 145,000 answers a second.
#[cfg(target_os = "linux")]
fn let_others_finish() {
    // A thread that the system does not let choose works all the same.
    let _ = scheduler::set_self_policy(scheduler::Policy::Batch, 0);
}

#[cfg(not(target_os = "linux"))]
fn let_others_finish() {}

impl Drop for NetworkThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ended by a panic: that was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_run_on_the_network_s_thread_until_it_is_dropped() {
        let network = NetworkThread::spawn().unwrap();
        let name =
            network.handle().spawn(async { thread::current().name().map(str::to_owned) }).await.unwrap();
        assert_eq!(name.as_deref(), Some("mesh-network"));
        let endless = network.handle().spawn(std::future::pending::<()>());
        drop(network);
        assert!(endless.await.unwrap_err().is_cancelled());
    }
}
