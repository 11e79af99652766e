//! Asking a node to leave.

use super::NodeActor;
use crate::wire::WireMessage;
use mesh_actor::{Context, Handler, Message};
use mesh_proto::Verb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks the node to leave the mesh in order, as SIGTERM does: its names are withdrawn, its actors finish what waits for
/// them, and its process ends.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Drain {}

/// What the node has left to do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Draining {
    /// How many actors it runs.
    pub actors: u64,
    /// How many messages wait for them.
    pub queued: u64,
    /// How long they may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Message for Drain {
    type Reply = Draining;
}

impl WireMessage for Drain {
    const KIND: &'static str = "mesh.drain.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<Drain> for NodeActor {
    async fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Draining {
        let shared = self.mesh.shared();
        shared.leave_asked.notify_one();
        let load = shared.load();
        let timeout = shared.membership().map(|membership| membership.config.drain_timeout);
        let timeout_ms = timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        Draining { actors: load.actors, queued: load.queued, timeout_ms }
    }
}
