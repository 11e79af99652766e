//! Which node owns a published name, and how all nodes come to know it.
//!
//! Each node is the only writer of its own names. Its table has a version, one higher with each change, and a digest of
//! all that is in it. A peer says which version it has ([`Known`]), and is told what has changed since ([`Delta`]): the
//! changes alone while the owner remembers them (4,096), else the whole table, and nothing to who has it all.
//! Then it is told each change as it comes. Every delta names the version that it builds on and the digest that must come out, so that
//! whatever went wrong is found and mended: by the next delta, or when the peer says again what it has.
//!
//! ```text
//!      owner                         peer
//!        │◀──────────────── Known ────│   at every new connection, and every 10 s
//!        │──── Delta 7 → 12 ─────────▶│   only if it lacks something
//!        │──── Delta 12 → 13 ────────▶│   at each change
//! ```
//!
//! It does not matter over which of two connections a delta comes, how often, or in which order. Its parts must come in theirs.

use crate::{Boot, NodeId};
use bincode::{Decode, Encode};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

mod delta;
mod digest;
mod index;
mod label;
mod log;
mod resolve;
mod table;

pub use delta::{Answer, Delta, Known, Need};
pub use digest::Digest;
pub use label::{CAPABILITIES_MAX, check_capability, epoch_capability};

use index::Index;
use log::Log;
use table::Table;
pub use table::{NAMES_MAX, Taken};

/// A name that a node has published. Only its owner writes it; to all others it is a hint.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The name, by the rules of [`crate::check_name`].
    pub name: String,
    /// The actor's serial within its node's boot.
    pub serial: u64,
    /// When it was published, in milliseconds of the owner's wall clock: of two owners the older keeps the name.
    pub since_ms: u64,
}

/// A published name with what its actor can do.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Publication {
    /// The name.
    pub entry: Entry,
    /// What its actor says that it can do, by the rules of [`check_capability`]; sorted, each once.
    pub capabilities: Vec<String>,
    /// The kinds that its actor takes; sorted, each once.
    pub kinds: Vec<String>,
}

impl From<Entry> for Publication {
    /// What a peer tells that knows neither capabilities nor kinds.
    fn from(entry: Entry) -> Self {
        Self { entry, capabilities: Vec::new(), kinds: Vec::new() }
    }
}

/// Published names of every node, this one's included.
///
/// ```
/// use mesh_proto::{Boot, Directory, Entry, NodeId, Taken};
/// let entry = |since_ms| Entry { name: "echo".into(), serial: 1, since_ms };
/// let (mut one, mut two) = (Directory::new(NodeId(1), Boot(1)), Directory::new(NodeId(2), Boot(1)));
/// one.publish(entry(10).into());
/// two.publish(entry(20).into());
/// // Two connects to one, says what it has of its names, and is told the rest.
/// let known = two.connected(NodeId(1), Boot(1));
/// for delta in one.answer(&known).parts {
///     assert_eq!(two.take(NodeId(1), Boot(1), delta), Taken::Applied);
/// }
/// assert!(one.answer(&two.known(NodeId(1))).parts.is_empty(), "it has all");
/// assert_eq!(two.owners("echo", |_| true), [NodeId(1), NodeId(2)], "the older owner is the first");
/// assert_eq!(two.owner("echo", |node| node != NodeId(1)), Some(NodeId(2)), "the older owner is away");
/// assert_eq!(two.lost(|_| true), [("echo", NodeId(1))]);
/// two.forget(NodeId(1), Boot(1));
/// assert_eq!(two.owner("echo", |_| true), Some(NodeId(2)));
/// ```
#[derive(Debug, Clone)]
pub struct Directory {
    me: NodeId,
    log: Log,
    tables: BTreeMap<NodeId, Table>,
    by_name: BTreeMap<Arc<str>, BTreeMap<NodeId, Arc<Publication>>>,
    capabilities: Index,
    kinds: Index,
    /// Names of this node that others have published too.
    contested: BTreeSet<Arc<str>>,
}

impl Directory {
    /// The directory of the run `boot` of the node `me`, which knows nothing yet.
    #[must_use]
    pub fn new(me: NodeId, boot: Boot) -> Self {
        Self {
            me,
            log: Log::default(),
            tables: BTreeMap::from([(me, Table::new(boot))]),
            by_name: BTreeMap::new(),
            capabilities: Index::default(),
            kinds: Index::default(),
            contested: BTreeSet::new(),
        }
    }

    /// Publishes a name of this node, or replaces what it said of it; answers what to tell every peer.
    pub fn publish(&mut self, publication: Publication) -> Delta {
        let from = self.own().version;
        self.put(self.me, publication.clone());
        let to = self.advance(&publication.entry.name);
        Delta::of_one(from, to, self.own().digest(), vec![publication], Vec::new())
    }

    /// Withdraws a name of this node; answers what to tell every peer, if it was published.
    pub fn withdraw(&mut self, name: &str) -> Option<Delta> {
        let from = self.own().version;
        self.remove(self.me, name)?;
        let to = self.advance(name);
        Some(Delta::of_one(from, to, self.own().digest(), Vec::new(), vec![name.to_owned()]))
    }

    /// A peer has connected: what it was about to tell on another connection is not waited for. Answers what to say to it.
    pub fn connected(&mut self, node: NodeId, boot: Boot) -> Known {
        if node != self.me {
            if self.tables.get(&node).is_some_and(|table| table.boot < boot) {
                self.drop_table(node);
            }
            self.tables.entry(node).or_insert_with(|| Table::new(boot)).begin_anew();
        }
        self.known(node)
    }

    /// What this node has of a peer's names.
    #[must_use]
    pub fn known(&self, node: NodeId) -> Known {
        self.tables.get(&node).map_or_else(Known::default, Table::known)
    }

    /// What a peer that has this much of this node's names is to be told.
    #[must_use]
    pub fn answer(&self, known: &Known) -> Answer {
        self.log.answer(known, self.own())
    }

    /// Takes in what the run `boot` of `node` tells of its own names.
    pub fn take(&mut self, node: NodeId, boot: Boot, delta: Delta) -> Taken {
        if node == self.me || self.tables.get(&node).is_some_and(|table| table.boot > boot) {
            return Taken::Old;
        }
        if self.tables.get(&node).is_some_and(|table| table.boot < boot) {
            self.drop_table(node);
        }
        let table = self.tables.entry(node).or_insert_with(|| Table::new(boot));
        let whole = match table.collect(delta) {
            Ok(whole) => whole,
            Err(taken) => return taken,
        };
        if whole.from == 0 {
            let stale = table.names_beside(&whole.published);
            stale.iter().for_each(|name| drop(self.remove(node, name)));
        }
        whole.withdrawn.iter().for_each(|name| drop(self.remove(node, name)));
        whole.published.into_iter().for_each(|publication| self.put(node, publication));
        let table = self.tables.entry(node).or_insert_with(|| Table::new(boot));
        table.finish(whole.to, whole.digest, whole.from == 0)
    }

    /// Notes a name of a peer that knows no deltas. An entry of the same node is replaced.
    pub fn note(&mut self, node: NodeId, boot: Boot, entry: Entry) {
        let known = self.tables.get(&node).map(|table| table.boot);
        if node == self.me || known.is_some_and(|known| known > boot) {
            return;
        }
        if known.is_some_and(|known| known < boot) {
            self.drop_table(node);
        }
        self.tables.entry(node).or_insert_with(|| Table::new(boot));
        self.put(node, entry.into());
    }

    /// Strikes out one name of a peer that knows no deltas.
    pub fn strike(&mut self, node: NodeId, name: &str) {
        if node != self.me {
            self.remove(node, name);
        }
    }

    /// Strikes out every name that `node` has published in the run `boot` or before: that run is over.
    pub fn forget(&mut self, node: NodeId, boot: Boot) {
        if self.tables.get(&node).is_some_and(|table| table.boot <= boot) {
            self.drop_table(node);
            if node == self.me {
                self.tables.insert(node, Table::new(boot));
            }
        }
    }

    fn own(&self) -> &Table {
        self.tables.get(&self.me).expect("a directory begins with its own table, and keeps one")
    }

    /// Counts a change of the own names.
    fn advance(&mut self, name: &str) -> u64 {
        let table =
            self.tables.get_mut(&self.me).expect("a directory begins with its own table, and keeps one");
        table.version += 1;
        self.log.note(table.version, name);
        table.version
    }

    fn drop_table(&mut self, node: NodeId) {
        let Some(table) = self.tables.get(&node) else { return };
        let names = table.names_beside(&[]);
        names.iter().for_each(|name| drop(self.remove(node, name)));
        self.tables.remove(&node);
    }

    fn put(&mut self, node: NodeId, publication: Publication) {
        self.remove(node, &publication.entry.name);
        let publication = Arc::new(publication);
        let Some(table) = self.tables.get_mut(&node) else { return };
        let name = table.put(Arc::clone(&publication));
        // What breaks our rules may be of a later version: it counts for the digest, and is not found.
        if !label::is_sound(&publication) {
            return;
        }
        publication.capabilities.iter().for_each(|label| self.capabilities.add(label, &name, node));
        publication.kinds.iter().for_each(|kind| self.kinds.add(kind, &name, node));
        self.by_name.entry(Arc::clone(&name)).or_default().insert(node, publication);
        self.look_at(&name);
    }

    fn remove(&mut self, node: NodeId, name: &str) -> Option<Arc<Publication>> {
        let (name, publication) = self.tables.get_mut(&node)?.remove(name)?;
        publication.capabilities.iter().for_each(|label| self.capabilities.remove(label, &name, node));
        publication.kinds.iter().for_each(|kind| self.kinds.remove(kind, &name, node));
        if let Some(owners) = self.by_name.get_mut(&name) {
            owners.remove(&node);
            if owners.is_empty() {
                self.by_name.remove(&name);
            }
        }
        self.look_at(&name);
        Some(publication)
    }

    /// Notes whether a name is this node's and others'.
    fn look_at(&mut self, name: &Arc<str>) {
        let owners = self.by_name.get(name);
        if owners.is_some_and(|owners| owners.len() > 1 && owners.contains_key(&self.me)) {
            self.contested.insert(Arc::clone(name));
        } else {
            self.contested.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
