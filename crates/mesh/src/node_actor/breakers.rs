//! What clients ask of a node's circuit breakers, and what other nodes tell it of theirs.

use super::NodeActor;
use crate::breakers::{BreakerNews, learn, word};
use crate::wire::WireMessage;
use mesh_actor::{Context, Handler, Message};
use mesh_proto::{Failure, Verb};
use mesh_resilience::Snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the node's circuit breakers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListBreakers {}

/// The node's circuit breakers, by name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BreakerTable {
    /// One row for each.
    pub breakers: Vec<BreakerRow>,
}

/// One circuit breaker.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BreakerRow {
    /// What it guards: `node/actor`, or `node:NAME` for a node.
    pub name: String,
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Whether an operator holds it so.
    pub is_held: bool,
    /// For how long it has been so, in milliseconds.
    pub since_ms: u64,
    /// How long it stays open yet, in milliseconds; none unless it is open, and not held so.
    pub retry_after_ms: Option<u64>,
    /// Results in its window.
    pub calls: u32,
    /// Failures among them.
    pub failures: u32,
    /// Slow calls among them.
    pub slow: u32,
    /// Probes that are under way.
    pub probes: u32,
    /// Calls that it refused since it exists.
    pub rejected: u64,
    /// How often it opened since it exists.
    pub opened: u64,
    /// What other nodes say of theirs of the same name.
    pub heard: Vec<HeardRow>,
}

/// What another node says of its circuit breaker.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeardRow {
    /// The node.
    pub node: String,
    /// The state there.
    pub state: String,
}

impl Message for ListBreakers {
    type Reply = BreakerTable;
}

impl WireMessage for ListBreakers {
    const KIND: &'static str = "mesh.breakers.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListBreakers> for NodeActor {
    async fn handle(&mut self, _: ListBreakers, _: &mut Context<Self>) -> BreakerTable {
        let breakers = self.mesh.breakers();
        let row = |Snapshot { name, view, .. }: Snapshot| {
            let heard = breakers.registry().heard(&name).into_iter();
            let heard = heard.map(|(node, state)| HeardRow { node, state: word(state).to_owned() });
            BreakerRow {
                heard: heard.collect(),
                name,
                state: word(view.state).to_owned(),
                is_held: view.is_held,
                since_ms: view.since_ms,
                retry_after_ms: view.retry_after_ms,
                calls: view.calls,
                failures: view.failures,
                slow: view.slow,
                probes: view.probes,
                rejected: view.rejected,
                opened: view.opened,
            }
        };
        BreakerTable { breakers: breakers.list().into_iter().map(row).collect() }
    }
}

/// Holds a circuit breaker of the node open or closed, or lets it go its own way again.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TurnBreaker {
    /// What it guards: `node/actor`, or `node:NAME` for a node. One that nobody called yet is made.
    pub name: String,
    /// What to do.
    pub turn: Turn,
}

/// What an operator does to a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Opens it, and holds it open.
    ForceOpen,
    /// Closes it, and holds it closed.
    ForceClose,
    /// Closes it, forgets all results, and lets it go its own way.
    Reset,
}

impl Message for TurnBreaker {
    type Reply = Result<(), Failure>;
}

impl WireMessage for TurnBreaker {
    const KIND: &'static str = "mesh.turn_breaker.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<TurnBreaker> for NodeActor {
    async fn handle(&mut self, message: TurnBreaker, _: &mut Context<Self>) -> Result<(), Failure> {
        let TurnBreaker { name, turn } = message;
        let breaker = self.mesh.breakers().checked(&name);
        let breaker = breaker.map_err(|error| crate::failure::failure_of(&error, &self.mesh.node_name()))?;
        match turn {
            Turn::ForceOpen => breaker.force_open(),
            Turn::ForceClose => breaker.force_close(),
            Turn::Reset => breaker.reset(),
        }
        tracing::info!(target: "audit", breaker = name, ?turn, "an operator has turned a circuit breaker");
        Ok(())
    }
}

impl Handler<BreakerNews> for NodeActor {
    async fn handle(&mut self, news: BreakerNews, cx: &mut Context<Self>) {
        // None is this node itself.
        if let Some(node) = cx.sender().and_then(|sender| sender.node.clone()) {
            learn(self.mesh.breakers(), &node, news);
        }
    }
}
