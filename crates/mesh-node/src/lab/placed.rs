//! A lab actor that can be placed: kind `lab-placed`.

use std::sync::Arc;

use mesh::{
    Actor, Context, Handler, Kinds, Message, NodeBuilder, SpawnContext, Spawnable, StartError, WireActor,
    WireMessage,
};
use mesh_agents::swarm::Worker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::worker::LabWork;
use super::{Echo, Echoed};

/// The kind under which nodes with lab actors register it.
const KIND: &str = "lab-placed";

/// Asks an actor who it is: `lab.who.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Who {}

/// The answer to [`Who`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// The node that runs it.
    pub node: String,
    /// Which of its lives this is; 0 if nobody has placed it.
    pub epoch: u64,
}

impl Message for Who {
    type Reply = WhoAmI;
}

impl WireMessage for Who {
    const KIND: &'static str = "lab.who.v1";
}

struct Placed {
    node: Arc<str>,
}

/// Lets the node run actors of the kind, and workers of swarms, if it is to have lab actors.
pub(crate) fn register(builder: NodeBuilder, has_lab_actors: bool) -> NodeBuilder {
    if !has_lab_actors {
        return builder;
    }
    builder.register::<Placed>(KIND).register::<Worker<LabWork>>(LabWork::KIND)
}

impl Actor for Placed {}

impl Handler<Who> for Placed {
    async fn handle(&mut self, _: Who, cx: &mut Context<Self>) -> WhoAmI {
        WhoAmI { node: self.node.to_string(), epoch: cx.epoch().unwrap_or_default() }
    }
}

impl Handler<Echo> for Placed {
    async fn handle(&mut self, Echo { text }: Echo, _: &mut Context<Self>) -> Echoed {
        Echoed { text, node: self.node.to_string() }
    }
}

impl WireActor for Placed {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Who>().message::<Echo>()
    }
}

impl Spawnable for Placed {
    type Args = Option<u64>;

    async fn open(_: &Self::Args, cx: &SpawnContext) -> Result<Self, StartError> {
        Ok(Self { node: cx.mesh.node_name() })
    }
}
