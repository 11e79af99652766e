//! What clients ask of names, and of the actors behind them.

use super::{MailboxRow, NodeActor};
use crate::wire::WireMessage;
use mesh_actor::{Context, Handler, Message};
use mesh_proto::Verb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Asks for the published actors of the mesh: all of them, or those that can do something, or take a kind.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListPublished {
    /// Only those that say that they can do this.
    pub capability: Option<String>,
    /// Only those that take messages of this kind.
    pub kind: Option<String>,
}

/// Published actors, in order of names, then of nodes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// One row for each.
    pub names: Vec<PublishedRow>,
}

/// One published actor, as one node was told of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PublishedRow {
    /// Where it is found: `node/name`.
    pub path: String,
    /// Its name alone.
    pub name: String,
    /// Its node.
    pub node: String,
    /// What it says that it can do.
    pub capabilities: Vec<String>,
    /// The kinds that it takes.
    pub kinds: Vec<String>,
    /// The node to which the bare name leads, if it is another one.
    pub shadowed_by: Option<String>,
}

impl Message for ListPublished {
    type Reply = Published;
}

impl WireMessage for ListPublished {
    const KIND: &'static str = "mesh.names.v2";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListPublished> for NodeActor {
    async fn handle(&mut self, list: ListPublished, _: &mut Context<Self>) -> Published {
        let row = |one: crate::Listing| PublishedRow {
            path: one.path,
            name: one.name,
            node: one.node,
            capabilities: one.capabilities,
            kinds: one.kinds,
            shadowed_by: one.shadowed_by,
        };
        let listings = self.mesh.listings(list.capability.as_deref(), list.kind.as_deref());
        Published { names: listings.into_iter().map(row).collect() }
    }
}

/// Asks for the node's published actors, and how they are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DescribeActors {}

/// The node's published actors.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Descriptions {
    /// One row for each.
    pub actors: Vec<Description>,
}

/// One actor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// Where it is found.
    pub path: String,
    /// The kinds that it takes.
    pub kinds: Vec<String>,
    /// What it says that it can do.
    pub capabilities: Vec<String>,
    /// The node to which its bare name leads, if it is another one.
    pub shadowed_by: Option<String>,
    /// What waits for it.
    pub mailbox: MailboxRow,
    /// `starting`, `running`, `paused`, `restarting` or `stopped`.
    pub state: String,
    /// How often it was restarted.
    pub restarts: u32,
}

impl Message for DescribeActors {
    type Reply = Descriptions;
}

impl WireMessage for DescribeActors {
    const KIND: &'static str = "mesh.actors.v2";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<DescribeActors> for NodeActor {
    async fn handle(&mut self, _: DescribeActors, _: &mut Context<Self>) -> Descriptions {
        let shared = self.mesh.shared();
        let here = &*shared.me.name;
        let mut listed: BTreeMap<String, _> = self
            .mesh
            .listings(None, None)
            .into_iter()
            .filter(|one| one.node == here)
            .map(|one| (one.path.clone(), one))
            .collect();
        let lost = self.mesh.name_conflicts().map(|conflicts| conflicts.now()).unwrap_or_default();
        let describe = |actor: super::ActorRow| {
            let listing = listed.remove(&actor.path);
            let name = listing.as_ref().map_or("", |listing| &listing.name);
            Description {
                shadowed_by: lost.get(name).cloned(),
                capabilities: listing.map(|listing| listing.capabilities).unwrap_or_default(),
                path: actor.path,
                kinds: actor.kinds,
                mailbox: actor.mailbox,
                state: actor.state,
                restarts: actor.restarts,
            }
        };
        Descriptions { actors: self.rows().into_iter().map(describe).collect() }
    }
}
