//! An end for actors that nobody asks.

use std::time::Duration;

use mesh::{Actor, ActorRef};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Stops an actor after a time, unless it is dropped before.
#[derive(Debug)]
pub(crate) struct IdleStop {
    task: JoinHandle<()>,
}

impl IdleStop {
    pub(crate) fn after<A: Actor>(time: Duration, actor: ActorRef<A>) -> Self {
        let task = tokio::spawn(async move {
            sleep(time).await;
            actor.stop();
        });
        Self { task }
    }
}

impl Drop for IdleStop {
    fn drop(&mut self) {
        self.task.abort();
    }
}
