//! What a node's supervision tree looks like.

use super::NodeActor;
use crate::wire::WireMessage;
use mesh_actor::{Context, Handler, Message, TreeKind, TreeNode};
use mesh_proto::Verb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the node's supervision tree: all of its actors and supervisors, published or not.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListTree {}

/// A supervision tree, as rows: each supervisor is followed by its children, which are one deeper.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    /// One row for each actor and supervisor.
    pub rows: Vec<TreeRow>,
}

/// One actor or supervisor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TreeRow {
    /// How many supervisors are above it.
    pub depth: u32,
    /// Its name among its supervisor's children.
    pub name: String,
    /// The names from the root down to it, with a slash between two.
    pub path: String,
    /// A supervisor's strategy, in OTP's words; none if it is an actor.
    pub strategy: Option<String>,
    /// `permanent`, `transient` or `temporary`.
    pub restart: String,
    /// `starting`, `running`, `paused`, `restarting` or `stopped`.
    pub state: String,
    /// How often it was restarted.
    pub restarts: u32,
    /// Why it crashed last.
    pub last_crash: Option<String>,
    /// How long ago it was started last, in milliseconds.
    pub since_ms: u64,
    /// Messages that wait for it.
    pub queued: u32,
}

impl Message for ListTree {
    type Reply = Tree;
}

impl WireMessage for ListTree {
    const KIND: &'static str = "mesh.tree.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListTree> for NodeActor {
    async fn handle(&mut self, _: ListTree, _: &mut Context<Self>) -> Tree {
        let mut rows = Vec::new();
        for root in self.mesh.shared().system.tree() {
            list(&root, 0, &mut rows);
        }
        Tree { rows }
    }
}

fn list(node: &TreeNode, depth: u32, rows: &mut Vec<TreeRow>) {
    let (strategy, queued) = match &node.kind {
        TreeKind::Supervisor { strategy, .. } => (Some(strategy.to_string()), 0),
        TreeKind::Actor { info } => (None, info.len),
        _ => (None, 0),
    };
    rows.push(TreeRow {
        depth,
        name: node.name.clone(),
        path: node.path.clone(),
        strategy,
        restart: node.restart.to_string(),
        state: node.state.to_string(),
        restarts: node.restarts,
        last_crash: node.last_crash.clone(),
        since_ms: u64::try_from(node.since.as_millis()).unwrap_or(u64::MAX),
        queued,
    });
    for child in node.children() {
        list(child, depth + 1, rows);
    }
}
