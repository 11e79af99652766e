//! Watching an actor, wherever it is, until it ends.

use crate::{
    channel::Channel,
    mesh::Mesh,
    shared::{Place, Shared},
};
use futures::future::{BoxFuture, pending};
use mesh_actor::{AskError, ExitReason, Message, Recipient};
use mesh_proto::{ActorId, ActorPath, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, pin::pin, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Pause before an actor is looked for again on a connection that has just been made, or lost.
const PAUSE: Duration = Duration::from_millis(50);

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DownReason {
    /// It was stopped, or stopped by itself, or its node stopped publishing it.
    Stopped,
    /// It was killed, maybe in the middle of a message.
    Killed,
    /// It crashed, and is not started again.
    Crashed {
        /// What it crashed of.
        reason: String,
    },
    /// It ended while its node could not be reached: nobody is left who knows how.
    Gone,
    /// Its node was declared dead, or was started anew, and all that ran on it has ended.
    NodeDown,
    /// Its node has left the mesh.
    NodeLeft,
}

/// A monitored actor has ended. As a message it can be sent to whoever is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Down {
    /// The actor's path, as it was given.
    pub path: String,
    /// The id of that one actor: another one may have its name by now.
    pub actor: String,
    /// How it ended.
    pub reason: DownReason,
}

impl Message for Down {
    type Reply = ();
}

impl crate::wire::WireMessage for Down {
    const KIND: &'static str = "mesh.down.v1";
}

/// One actor under watch: see [`Mesh::monitor`].
///
/// It is one actor's life that is watched, over all its restarts, and not its name: who takes the name afterwards is
/// another actor. A node that is silent, cut off or suspect ends nothing; only its death does, as the membership declares it, or
/// its return as another process.
#[must_use = "a monitor that nobody waits for tells nothing"]
pub struct Monitor {
    mesh: Mesh,
    path: ActorPath,
    actor: ActorId,
    /// Where it was when the watch began: this keeps how it ended, if it has by now.
    found: Found,
}

impl Monitor {
    /// The id of the actor that is watched.
    #[must_use]
    pub fn actor(&self) -> String {
        self.actor.to_string()
    }

    /// Waits until the actor has ended, and tells how; exactly once, since it takes the monitor.
    ///
    /// What happened before it was called counts too. Seen from a client, whose view ends with its connection, the loss of that is
    /// [`DownReason::Gone`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch.
    pub async fn down(self) -> Down {
        let (path, actor) = (self.path.to_string(), self.actor.to_string());
        Down { path, actor, reason: self.reason().await }
    }

    /// Sends the end to `to` when it comes, for as long as this node runs.
    pub fn tell(self, to: Recipient<Down>) {
        let shared = Arc::clone(self.mesh.shared());
        shared.tasks.spawn(async move {
            let down = self.down().await;
            if let Err(error) = to.tell(down).await {
                tracing::warn!(%error, "the end of an actor could not be told");
            }
        });
    }

    async fn reason(self) -> DownReason {
        let Self { mesh, path, actor, found } = self;
        let node_ends = pin!(node_end(mesh.shared(), actor));
        let actor_ends = pin!(actor_end(mesh.shared(), &path, actor, found));
        tokio::select! {
            // What the actor's own node says of it comes first.
            biased;
            reason = actor_ends => reason,
            reason = node_ends => reason,
        }
    }
}

/// Follows an actor over lost connections until its node says that it has ended.
async fn actor_end(shared: &Arc<Shared>, path: &ActorPath, actor: ActorId, found: Found) -> DownReason {
    let mut found = Ok(found);
    loop {
        match found {
            Ok(Found::Here(id, ended)) if id == actor => return ended.await.into(),
            Ok(Found::There(id, channel)) if id == actor => {
                let failure = channel.closed().await;
                if failure.code != "UNREACHABLE" {
                    return reason_of(&failure);
                }
            }
            // Another has its place, or nobody.
            Ok(_) | Err(AskError::NoSuchActor { .. } | AskError::NotRunning { .. }) => {
                return DownReason::Gone;
            }
            Err(_) => {}
        }
        if shared.membership().is_none() {
            return DownReason::Gone;
        }
        sleep(PAUSE).await;
        found = find(shared, path).await;
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("path", &self.path).field("actor", &self.actor).finish()
    }
}

/// Begins to watch the actor that `path` leads to now.
pub(crate) async fn monitor(mesh: &Mesh, path: ActorPath) -> Result<Monitor, AskError> {
    let found = find(mesh.shared(), &path).await?;
    let (Found::Here(actor, _) | Found::There(actor, _)) = found;
    Ok(Monitor { mesh: mesh.clone(), path, actor, found })
}

/// Where an actor is.
enum Found {
    Here(ActorId, BoxFuture<'static, ExitReason>),
    There(ActorId, Arc<Channel>),
}

async fn find(shared: &Arc<Shared>, path: &ActorPath) -> Result<Found, AskError> {
    let path = path.to_string();
    match shared.place_soon(&path).await? {
        Place::Here(port) => Ok(Found::Here(port.actor(), port.ended())),
        Place::There(session) => {
            let channel = session.channel(&path);
            let terms = channel.opened().await.map_err(crate::failure::error_of)?;
            Ok(Found::There(terms.actor, channel))
        }
    }
}

/// Waits for the end of the actor's node, as far as this process hears of it.
async fn node_end(shared: &Shared, actor: ActorId) -> DownReason {
    match shared.membership() {
        Some(membership) => membership.end_of(actor.node, actor.boot).await,
        None => pending().await,
    }
}

impl From<ExitReason> for DownReason {
    fn from(exit: ExitReason) -> Self {
        match exit {
            ExitReason::Killed => Self::Killed,
            ExitReason::Crashed { reason, .. } => Self::Crashed { reason },
            _ => Self::Stopped,
        }
    }
}

/// What a channel's end says of its actor; see [`failure::ended`](crate::failure::ended).
fn reason_of(failure: &Failure) -> DownReason {
    let told = failure.details.to_value().get("down").cloned();
    told.and_then(|told| serde_json::from_value(told).ok()).unwrap_or(DownReason::Gone)
}
