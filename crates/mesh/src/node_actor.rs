//! The actor that every node publishes as `NODE/mesh`: what clients ask of the node itself.

use crate::{
    failure::failure_of,
    mesh::Mesh,
    placement::message as placement,
    wire::{Kinds, WireActor, WireMessage},
};
use mesh_actor::{Actor, AskError, Context, Handler, Message};
use mesh_proto::{Failure, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod breakers;
mod dead_letters;
mod drain;
mod published;
mod subscribers;
mod tree;

pub use breakers::{BreakerRow, BreakerTable, HeardRow, ListBreakers, Turn, TurnBreaker};
pub use dead_letters::{DeadLetterRow, DeadLetterTable, ListDeadLetters, ReplayDeadLetter};
pub use drain::{Drain, Draining};
pub use published::{DescribeActors, Description, Descriptions, ListPublished, Published, PublishedRow};
pub use subscribers::{ListSubscribers, SubscriberRow, Subscribers};
pub use tree::{ListTree, Tree, TreeRow};

/// The name of every node's own actor.
pub(crate) const NAME: &str = "mesh";

/// The node, as an actor.
pub(crate) struct NodeActor {
    pub(crate) mesh: Mesh,
}

impl Actor for NodeActor {}

impl WireActor for NodeActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds
            .message::<ListMembers>()
            .message::<ListActors>()
            .message::<ListNames>()
            .message::<ListPublished>()
            .message::<DescribeActors>()
            .message::<ListKinds>()
            .message::<ListTree>()
            .message::<Spawn>()
            .message::<Stop>()
            .message::<Drain>()
            .message::<ListSubscribers>()
            .message::<ListBreakers>()
            .message::<TurnBreaker>()
            .message::<crate::breakers::BreakerNews>()
            .message::<ListDeadLetters>()
            .message::<ReplayDeadLetter>()
            .later::<crate::trust::Deny>()
            .later::<crate::trust::TellDenials>()
            .message::<crate::trust::RenewFor>()
            .message::<placement::PlaceActor>()
            .message::<placement::Unplace>()
            .message::<placement::Rebalance>()
            .message::<placement::Locate>()
            .message::<placement::ListPlacements>()
            .message::<placement::Compare>()
            .message::<placement::Pull>()
            .message::<placement::Push>()
            .message::<placement::Report>()
            .message::<placement::Release>()
    }
}

/// Asks for every member.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListMembers {}

/// Every member, as one node sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// One row for each.
    pub members: Vec<MemberRow>,
}

/// One member.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemberRow {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// `alive`, `suspect`, `down` or `left`.
    pub state: String,
    /// Where it accepts connections.
    pub addr: String,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
    /// How many actors it runs.
    pub actors: u64,
}

impl Message for ListMembers {
    type Reply = Members;
}

impl WireMessage for ListMembers {
    const KIND: &'static str = "mesh.members.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListMembers> for NodeActor {
    async fn handle(&mut self, _: ListMembers, _: &mut Context<Self>) -> Members {
        let row = |member: crate::mesh::MemberInfo| MemberRow {
            name: member.name,
            id: member.id,
            state: member.state.to_owned(),
            addr: member.addr,
            labels: member.labels,
            actors: member.actors,
        };
        Members { members: self.mesh.members().into_iter().map(row).collect() }
    }
}

/// Asks for the node's published actors.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListActors {}

/// The node's published actors.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Actors {
    /// One row for each.
    pub actors: Vec<ActorRow>,
}

/// One actor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActorRow {
    /// Where it is found.
    pub path: String,
    /// The kinds that it takes.
    pub kinds: Vec<String>,
    /// What waits for it.
    pub mailbox: MailboxRow,
    /// `starting`, `running`, `paused`, `restarting` or `stopped`.
    pub state: String,
    /// How often it was restarted.
    pub restarts: u32,
}

/// What waits for an actor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailboxRow {
    /// Messages that wait.
    pub len: u32,
    /// Messages that may wait.
    pub capacity: u32,
}

impl Message for ListActors {
    type Reply = Actors;
}

impl WireMessage for ListActors {
    const KIND: &'static str = "mesh.actors.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListActors> for NodeActor {
    async fn handle(&mut self, _: ListActors, _: &mut Context<Self>) -> Actors {
        Actors { actors: self.rows() }
    }
}

impl NodeActor {
    fn rows(&self) -> Vec<ActorRow> {
        let shared = self.mesh.shared();
        let infos: BTreeMap<u64, _> =
            shared.system.list().into_iter().map(|info| (info.serial, info)).collect();
        let ports = shared.ports.read();
        let row = |(name, port): (&String, &std::sync::Arc<dyn crate::port::Local>)| {
            let info = infos.get(&port.serial())?;
            Some(ActorRow {
                path: format!("{}/{name}", shared.me.name),
                kinds: port.kinds().into_iter().map(|kind| kind.name).collect(),
                mailbox: MailboxRow { len: info.len, capacity: info.capacity },
                state: info.state.as_str().to_owned(),
                restarts: info.restarts,
            })
        };
        ports.iter().filter_map(row).collect()
    }
}

/// Asks for every published name of the mesh.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListNames {}

/// Every published name with the node that owns it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// Name to node.
    pub names: BTreeMap<String, String>,
}

impl Message for ListNames {
    type Reply = Names;
}

impl WireMessage for ListNames {
    const KIND: &'static str = "mesh.names.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListNames> for NodeActor {
    async fn handle(&mut self, _: ListNames, _: &mut Context<Self>) -> Names {
        let names = self.mesh.shared().membership().map(|membership| membership.names());
        Names { names: names.unwrap_or_default().into_iter().collect() }
    }
}

/// Asks for the kinds of actors that the node can spawn, and the kinds of messages that its actors take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListKinds {}

/// Kinds with their JSON schemas, as texts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct KindTable {
    /// Kinds of actors, with the schema of their arguments.
    pub actors: BTreeMap<String, String>,
    /// Kinds of messages, with their schema.
    pub messages: BTreeMap<String, String>,
}

impl Message for ListKinds {
    type Reply = KindTable;
}

impl WireMessage for ListKinds {
    const KIND: &'static str = "mesh.kinds.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListKinds> for NodeActor {
    async fn handle(&mut self, _: ListKinds, _: &mut Context<Self>) -> KindTable {
        let shared = self.mesh.shared();
        let schemas = |port: &std::sync::Arc<dyn crate::port::Local>| port.schemas();
        let messages = shared
            .ports
            .read()
            .values()
            .flat_map(schemas)
            .map(|(kind, schema)| (kind.to_owned(), schema))
            .collect();
        KindTable { actors: shared.registry.kinds().into_iter().collect(), messages }
    }
}

/// Spawns an actor of a registered kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Spawn {
    /// The registered kind.
    pub kind: String,
    /// The name to publish it under.
    pub name: String,
    /// Its arguments, a JSON text.
    #[serde(default)]
    pub args: String,
}

/// Where the new actor is found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Spawned {
    /// `node/name`.
    pub path: String,
}

impl Message for Spawn {
    type Reply = Result<Spawned, Failure>;
}

impl WireMessage for Spawn {
    const KIND: &'static str = "mesh.spawn.v1";
    const VERB: Option<Verb> = Some(Verb::Spawn);
}

impl Handler<Spawn> for NodeActor {
    async fn handle(&mut self, spawn: Spawn, _: &mut Context<Self>) -> Result<Spawned, Failure> {
        let shared = self.mesh.shared();
        let args = if spawn.args.is_empty() { "null".to_owned() } else { spawn.args };
        let spawned = shared.registry.spawn(self.mesh.clone(), &spawn.kind, spawn.name, args, None).await;
        spawned.map(|path| Spawned { path }).map_err(|error| failure_of(&error, &shared.me.name))
    }
}

/// Stops a published actor after its current message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// Its name on this node.
    pub name: String,
}

impl Message for Stop {
    type Reply = Result<(), Failure>;
}

impl WireMessage for Stop {
    const KIND: &'static str = "mesh.stop.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<Stop> for NodeActor {
    async fn handle(&mut self, stop: Stop, _: &mut Context<Self>) -> Result<(), Failure> {
        let shared = self.mesh.shared();
        let path = format!("{}/{}", shared.me.name, stop.name);
        let port = shared.ports.read().get(&stop.name).cloned();
        match port {
            Some(port) if stop.name != NAME => {
                port.stop();
                Ok(())
            }
            Some(_) => {
                let reason = "a node's own actor ends with its node".to_owned();
                Err(failure_of(&AskError::Denied { path, reason }, &shared.me.name))
            }
            None => Err(failure_of(&AskError::NoSuchActor { path }, &shared.me.name)),
        }
    }
}
