//! A signal that an answer is no longer wanted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells that nobody waits for the answer any more; cheap to clone, and once set it stays set.
///
/// A handler reads it through [`Context::cancelled`](crate::Context::cancelled). It asks for an end and forces none.
#[derive(Clone)]
pub struct Cancel {
    source: Arc<dyn Source>,
}

impl Cancel {
    /// A signal that is not set.
    pub fn new() -> Self {
        Self { source: Arc::new(Flag::new()) }
    }

    pub(crate) fn of(source: Arc<dyn Source>) -> Self {
        Self { source }
    }

    /// Sets the signal, and wakes all who wait for it.
    pub fn cancel(&self) {
        self.source.flag().set();
    }

    /// Whether the signal is set.
    pub fn is_cancelled(&self) -> bool {
        self.source.flag().is_set()
    }

    /// Waits until the signal is set.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn cancelled(&self) {
        self.source.flag().wait().await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Whatever holds a cancel flag. A call holds its own, which saves an allocation for each ask.
pub(crate) trait Source: Send + Sync {
    fn flag(&self) -> &Flag;
}

/// The flag itself, and those who wait for it.
pub(crate) struct Flag {
    set: AtomicBool,
    waiting: Notify,
}

impl Flag {
    pub(crate) const fn new() -> Self {
        Self { set: AtomicBool::new(false), waiting: Notify::const_new() }
    }

    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        loop {
            // Made before the flag is read: `notify_waiters` reaches every `Notified` that exists by then.
            let notified = self.waiting.notified();
            if self.is_set() {
                return;
            }
            notified.await;
        }
    }
}

impl Source for Flag {
    fn flag(&self) -> &Flag {
        self
    }
}
