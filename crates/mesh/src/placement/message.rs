//! What nodes and users say of placed actors to a node's own actor, `NODE/mesh`.

use super::record::{Label, Record, Seat, Wanted};
use crate::{node_actor::NodeActor, wire::WireMessage};
use mesh_actor::{Context, Handler, Message};
use mesh_proto::{Failure, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a message of the node's actor out of a function of its placement.
macro_rules! on_node {
    ($($message:ty => $reply:ty, $kind:literal, $verb:ident, $handler:expr;)+) => {$(
        impl Message for $message {
            type Reply = $reply;
        }

        impl WireMessage for $message {
            const KIND: &'static str = $kind;
            const VERB: Option<Verb> = Some(Verb::$verb);
        }

        impl Handler<$message> for NodeActor {
            async fn handle(&mut self, message: $message, _: &mut Context<Self>) -> $reply {
                ($handler)(self.mesh.shared(), message)
            }
        }
    )+};
}

on_node! {
    PlaceActor => Result<PlaceAnswer, Failure>, "mesh.place.v1", Spawn, super::answer::place;
    Unplace => Result<UnplaceAnswer, Failure>, "mesh.unplace.v1", Admin, |shared, asked| super::answer::unplace(shared, &asked);
    Rebalance => Result<Rebalanced, Failure>, "mesh.rebalance.v1", Admin, super::answer::rebalance;
    Locate => Option<Located>, "mesh.locate.v1", Read, |shared, asked| super::answer::locate(shared, &asked);
    ListPlacements => PlacementList, "mesh.placements.v1", Read, super::answer::list;
    Compare => Compared, "mesh.placements.compare.v1", Admin, super::answer::compare;
    Pull => Page, "mesh.placements.pull.v1", Admin, |shared, asked| super::answer::pull(shared, &asked);
    Push => u32, "mesh.placements.push.v1", Admin, super::answer::push;
    Report => bool, "mesh.placements.report.v1", Admin, super::answer::report;
    Release => u32, "mesh.placements.release.v1", Admin, |shared, asked| super::answer::release(shared, &asked);
}

/// Asks for a placed actor. Said again with the same content, it asks how far that is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlaceActor {
    /// Its name in the mesh.
    pub(crate) name: String,
    /// A registered kind.
    pub(crate) kind: String,
    /// What the kind needs to know: a JSON text.
    pub(crate) args: String,
    /// What its node has to have.
    pub(crate) labels: Vec<Label>,
    /// After how many milliseconds without a message it ends, and is wanted no more; 0 is never.
    pub(crate) idle_ms: u64,
}

impl PlaceActor {
    pub(super) fn wanted(&self) -> Wanted {
        let mut labels = self.labels.clone();
        labels.sort();
        labels.dedup();
        Wanted { kind: self.kind.clone(), args: self.args.clone(), labels, idle_ms: self.idle_ms }
    }
}

/// How far a placement is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PlaceAnswer {
    /// Another node places: ask there.
    Elsewhere {
        /// That node.
        node: String,
    },
    /// This node places, and does not know yet what there is.
    NotYet,
    /// It has been decided on, and its node has not said yet that it runs.
    Starting,
    /// It runs.
    Running {
        /// Where.
        node: String,
        /// Under which epoch.
        epoch: u64,
    },
}

/// Asks that an actor is placed no more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Unplace {
    /// Its name.
    pub(crate) name: String,
}

/// What became of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UnplaceAnswer {
    /// Another node places: ask there.
    Elsewhere {
        /// That node.
        node: String,
    },
    /// This node places, and does not know yet what there is.
    NotYet,
    /// It ends.
    Ending,
    /// There is no such actor.
    Unknown,
}

/// Asks the node that places to spread the placed actors evenly over those nodes that can run them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rebalance {}

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalanced {
    /// The node that places, if it is another one: ask there.
    pub elsewhere: Option<String>,
    /// How many actors move: each finishes its mailbox, and is started elsewhere then.
    pub moves: u64,
}

/// Asks to which placed actor a name leads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Locate {
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Located {
    pub(crate) node: String,
    pub(crate) epoch: u64,
}

/// Asks for all placed actors, as one node knows them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListPlacements {}

/// Placed actors, in order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacementList {
    /// The node that places now: the oldest live member.
    pub placed_by: String,
    /// One row for each.
    pub placements: Vec<PlacedRow>,
}

/// One placed actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacedRow {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its node.
    pub node: String,
    /// The number of its life.
    pub epoch: u64,
    /// Whether its node says that it runs.
    pub is_running: bool,
}

/// The node that places compares tables with another one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Compare {
    pub(crate) digest: u64,
}

/// What the one that places needs to know of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Compared {
    pub(crate) digest: u64,
    pub(crate) kinds: Vec<String>,
    /// Actors that nobody has placed there.
    pub(crate) others: u64,
    pub(crate) is_closed: bool,
    pub(crate) ended: Vec<Ended>,
}

/// Asks for records behind a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pull {
    pub(crate) after: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    pub(crate) is_more: bool,
}

/// Tells records; who has its seat in one starts it. Answers how many were news.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Push {
    pub(crate) records: Vec<Record>,
}

/// Tells the node that places what has ended. Answers whether it is the one that places.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Report {
    pub(crate) from: Seat,
    pub(crate) is_closed: bool,
    pub(crate) ended: Vec<Ended>,
}

/// A placed actor that does not run any more, on the node of its seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) epoch: u64,
    pub(crate) how: How,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum How {
    /// It, or somebody, has stopped it: it is wanted no more.
    Stopped,
    /// It crashed too often.
    Crashed,
    /// It gave up its place: its node leaves, or it is moved.
    Released,
    /// It could not be started here: a failure as JSON.
    Refused { failure: String },
    /// A later life was seen. Nothing is to be done about it.
    Fenced,
}

/// Asks a node to let actors go: they finish their mailboxes. Answers how many it had.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Release {
    pub(crate) actors: Vec<Life>,
}

/// One life of a placed actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) epoch: u64,
}
