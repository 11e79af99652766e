//! An actor's fate tied to that of another, wherever that is.

use crate::{
    mesh::Mesh,
    monitor::{Down, Monitor},
};
use mesh_actor::{Actor, ActorRef, AskError, Handler};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How long the end of a linked actor waits for room in a mailbox.
const TELL_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// A link from one actor of this process to another one, anywhere. Dropping it leaves the link as it is.
#[derive(Debug)]
pub struct Link {
    cut: oneshot::Sender<()>,
}

impl Link {
    /// Unties the two.
    pub fn cut(self) {
        // It may have done its work already.
        let _ = self.cut.send(());
    }
}

impl Mesh {
    /// Stops `actor`, which runs in this process, when the actor at `path` ends for good or its node dies (OTP's link; in one
    /// direction: the other side links back if it wants to). It ends as one that was stopped from outside, and is not restarted.
    ///
    /// What counts is the life that `path` leads to now, as with [`Mesh::monitor`]. The link ends with either actor.
    ///
    /// # Errors
    /// [`AskError`] when there is no such actor, or its node cannot be reached now.
    ///
    /// # Cancel safety
    /// Cancel safe: there is a link or there is none.
    pub async fn link<A: Actor>(&self, actor: &ActorRef<A>, path: &str) -> Result<Link, AskError> {
        let monitor = self.monitor(path).await?;
        Ok(self.tie(actor, monitor, |actor, down| async move {
            tracing::info!(actor = actor.path(), linked = %down.path, reason = ?down.reason, "a linked actor has ended");
            actor.stop();
        }))
    }

    /// Tells `actor` when the actor at `path` ends for good or its node dies, instead of stopping it (OTP's link of a process that
    /// traps exits); otherwise as [`Mesh::link`].
    ///
    /// # Errors
    /// As [`Mesh::link`].
    pub async fn link_told<A>(&self, actor: &ActorRef<A>, path: &str) -> Result<Link, AskError>
    where
        A: Actor + Handler<Down>,
    {
        let monitor = self.monitor(path).await?;
        Ok(self.tie(actor, monitor, |actor, down| async move {
            if let Err(error) = actor.tell(down).timeout(TELL_MAX).await {
                tracing::warn!(%error, "the end of a linked actor could not be told");
            }
        }))
    }

    fn tie<A, F>(
        &self,
        actor: &ActorRef<A>,
        monitor: Monitor,
        then: impl FnOnce(ActorRef<A>, Down) -> F + Send + 'static,
    ) -> Link
    where
        A: Actor,
        F: Future<Output = ()> + Send,
    {
        let (cut, is_cut) = oneshot::channel();
        let (actor, shared) = (actor.clone(), Arc::clone(self.shared()));
        shared.tasks.spawn(async move {
            // Only `cut` unties it, and not that the handle was dropped.
            let untied = async {
                if is_cut.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                down = monitor.down() => then(actor, down).await,
                _ = actor.stopped() => {}
                () = untied => {}
            }
        });
        Link { cut }
    }
}
