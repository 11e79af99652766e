//! Actors that live on exactly one node, whichever it is, and are started elsewhere when it dies.
//!
//! ```text
//!   Mesh::place ──► the node that places: the oldest live member ── epoch, seat ──► Record
//!                        │ Push: every node keeps the newest record of each name
//!          ┌─────────────┼──────────────┐
//!        beta          gamma          delta      who has the seat in a record runs the actor, and publishes its name
//! ```
//!
//! A [`Record`] says what is to run, where (its *seat*), and as which of its lives (its *epoch*). Records are values, of
//! two the newer counts on every node, and every node has all of them, so that the death of any loses none. One node
//! decides: the oldest live member, once it has heard from every other. It gives a new seat, under a higher epoch, to what
//! ran on a node that was declared dead, has left or lets it go. A node that hears of a higher epoch kills the life that it
//! has; a name leads to the highest epoch that is published.
//!
//! Nothing here is kept on a disk: a mesh that ends as a whole forgets what was placed.

use crate::port::Local;
use mesh_proto::Failure;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

mod answer;
mod choose;
mod drive;
mod epochs;
mod host;
mod jobs;
mod lead;
pub(crate) mod message;
mod place;
mod record;
mod table;

pub(crate) use drive::drive;
pub use epochs::{EpochError, EpochSource, OldestMember};
pub(crate) use host::hand_over;
pub use message::{ListPlacements, PlacedRow, PlacementList, Rebalance, Rebalanced};
pub use place::{ARGS_BYTES_MAX, Place, Placed};
pub use record::Label;
pub use table::PLACEMENTS_MAX;

use lead::Lead;
use message::Ended;
use record::Record;
use table::Table;

/// Events that one who listens may be behind: 1,024.
const EVENTS: usize = 1024;

/// This node's part in placement.
pub(crate) struct Placement {
    epochs: Arc<dyn EpochSource>,
    state: Mutex<State>,
    /// Rung when there may be something to do.
    due: Notify,
    /// Rung when an actor of this node has ended, or another node was told something.
    moved: Notify,
    events: broadcast::Sender<PlacementEvent>,
}

/// What happened to a placed actor on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlacementEvent {
    /// It was started here.
    Started {
        /// Its name.
        name: String,
        /// Under which epoch.
        epoch: u64,
    },
    /// It has ended here in order: it was stopped, given up, or let go to another node.
    Ended {
        /// Its name.
        name: String,
        /// Its epoch.
        epoch: u64,
    },
    /// Its epoch is over, since another node runs a later one: it was killed here, maybe in the middle of a message.
    Fenced {
        /// Its name.
        name: String,
        /// The epoch that is over.
        epoch: u64,
        /// The node that runs it now.
        by: String,
        /// The epoch there.
        newest: u64,
    },
}

#[derive(Default)]
struct State {
    table: Table,
    /// What runs here.
    hosted: BTreeMap<String, Hosted>,
    /// What does not run here any more, for as long as its record says that it does.
    ended: BTreeMap<String, Ended>,
    /// Only on the node that places.
    lead: Option<Lead>,
    /// Why actors could not be placed at all, for those who ask.
    refused: BTreeMap<String, Failure>,
    /// The node leaves, and takes no more.
    is_closed: bool,
    /// A report to the one that places is under way, or is not due yet.
    is_reporting: bool,
    report_at: Option<Instant>,
}

/// A placed actor that runs here.
struct Hosted {
    epoch: u64,
    port: Arc<dyn Local>,
    /// It finishes its mailbox, and goes to another node then.
    is_releasing: bool,
}

impl Placement {
    pub(crate) fn new(epochs: Arc<dyn EpochSource>) -> Self {
        Self {
            epochs,
            state: Mutex::default(),
            due: Notify::new(),
            moved: Notify::new(),
            events: broadcast::channel(EVENTS).0,
        }
    }

    /// Takes in what another node knows.
    fn learn(&self, records: Vec<Record>) -> u32 {
        let mut state = self.state.lock();
        let mut news = 0;
        for record in records {
            news += u32::from(state.learn(record));
        }
        drop(state);
        if news > 0 {
            self.due.notify_one();
        }
        news
    }

    fn tell(&self, event: PlacementEvent) {
        // Nobody listens, mostly.
        let _ = self.events.send(event);
    }
}

impl Default for Placement {
    fn default() -> Self {
        Self::new(Arc::new(OldestMember))
    }
}

impl State {
    /// Takes a record in if it is newer; the node that places tells it on.
    fn learn(&mut self, record: Record) -> bool {
        let (name, epoch) = (record.name.clone(), record.epoch);
        if !self.table.take(record) {
            return false;
        }
        if self.ended.get(&name).is_some_and(|ended| ended.epoch < epoch) {
            self.ended.remove(&name);
        }
        if let Some(lead) = &mut self.lead {
            lead.is_news(&name);
        }
        true
    }

    /// An actor is wanted no more.
    fn strike(&mut self, name: &str) {
        if let Some(record) = self.table.live(name).cloned() {
            let epoch = record.epoch.saturating_add(1);
            self.learn(Record { epoch, is_removed: true, is_new: false, ..record });
        }
    }
}
