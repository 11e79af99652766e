//! The runtime of users' actors.

use std::io;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Where users' actors run.
pub(super) enum Pool {
    Callers(Handle),
    Own(Option<tokio::runtime::Runtime>),
}

impl Pool {
    pub(super) fn of_this_runtime() -> io::Result<Self> {
        let current = Handle::current();
        if current.runtime_flavor() == RuntimeFlavor::MultiThread {
            return Ok(Self::Callers(current));
        }
        Ok(Self::Own(Some(crate::threads::runtime()?)))
    }

    pub(super) fn handle(&self) -> Handle {
        match self {
            Self::Callers(handle) => handle.clone(),
            Self::Own(runtime) => runtime.as_ref().expect("it is taken on drop only").handle().clone(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // A runtime cannot be dropped inside of another one: that would wait.
        if let Self::Own(runtime) = self
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_background();
        }
    }
}
