//! Tasks that somebody owns: they end at the latest with their owner.

use parking_lot::Mutex;
use tokio::{runtime::Handle, task::JoinSet};

/// A set of running tasks. Dropping it aborts them.
#[derive(Debug)]
pub(crate) struct Tasks {
    handle: Handle,
    set: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// Tasks of this set run on `handle`.
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, set: Mutex::default() }
    }

    /// Starts a task of this set; ended ones are forgotten on the way.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock();
        while set.try_join_next().is_some() {}
        set.spawn_on(task, &self.handle);
    }

    /// Ends all of them.
    pub(crate) fn abort(&self) {
        self.set.lock().abort_all();
    }
}
