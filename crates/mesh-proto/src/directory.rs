//! Which node owns a published name.

use crate::{Boot, NodeId};
use bincode::{Decode, Encode};
use std::collections::BTreeMap;

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

/// Published names of every node, this one's included.
///
/// ```
/// use mesh_proto::{Boot, Directory, Entry, NodeId};
/// let mut directory = Directory::default();
/// let entry = |since_ms| Entry { name: "echo".into(), serial: 1, since_ms };
/// directory.publish(NodeId(2), Boot(1), entry(20));
/// directory.publish(NodeId(1), Boot(1), entry(10));
/// assert_eq!(directory.owner("echo", |_| true), Some(NodeId(1)));
/// assert_eq!(directory.owner("echo", |node| node != NodeId(1)), Some(NodeId(2)), "the older owner is away");
/// assert_eq!(directory.owners("echo", |_| true), [NodeId(1), NodeId(2)]);
/// directory.forget(NodeId(1), Boot(1));
/// assert_eq!(directory.owner("echo", |_| true), Some(NodeId(2)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Directory {
    by_name: BTreeMap<String, BTreeMap<NodeId, (Boot, Entry)>>,
}

impl Directory {
    /// Notes a name of `node`. An entry of the same node is replaced.
    pub fn publish(&mut self, node: NodeId, boot: Boot, entry: Entry) {
        self.by_name.entry(entry.name.clone()).or_default().insert(node, (boot, entry));
    }

    /// Strikes out one name of `node`; answers whether it was there.
    pub fn withdraw(&mut self, node: NodeId, name: &str) -> bool {
        let Some(owners) = self.by_name.get_mut(name) else { return false };
        let was_there = owners.remove(&node).is_some();
        if owners.is_empty() {
            self.by_name.remove(name);
        }
        was_there
    }

    /// Strikes out every name that `node` has published in the run `boot` or before: that run is over.
    pub fn forget(&mut self, node: NodeId, boot: Boot) {
        self.by_name.retain(|_, owners| {
            if owners.get(&node).is_some_and(|(of, _)| *of <= boot) {
                owners.remove(&node);
            }
            !owners.is_empty()
        });
    }

    /// The node that owns `name`: of those that take part, the one that published first, then the smaller id.
    #[must_use]
    pub fn owner(&self, name: &str, takes_part: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let owners = self.by_name.get(name)?.iter().filter(|(node, _)| takes_part(**node));
        owners.min_by_key(|(node, (_, entry))| (entry.since_ms, **node)).map(|(node, _)| *node)
    }

    /// Every node that has published `name` and takes part: first the one that owns it, then the others in the order in
    /// which they would follow.
    pub fn owners(&self, name: &str, takes_part: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let Some(owners) = self.by_name.get(name) else { return Vec::new() };
        let owners = owners.iter().filter(|(node, _)| takes_part(**node));
        let mut owners: Vec<_> = owners.map(|(node, (_, entry))| (entry.since_ms, *node)).collect();
        owners.sort_unstable();
        owners.into_iter().map(|(_, node)| node).collect()
    }

    /// Every entry of `node`.
    pub fn of(&self, node: NodeId) -> impl Iterator<Item = &Entry> {
        self.by_name.values().filter_map(move |owners| owners.get(&node).map(|(_, entry)| entry))
    }

    /// Every name with its owner among those that take part, in order of the names.
    pub fn names(&self, takes_part: impl Fn(NodeId) -> bool) -> impl Iterator<Item = (&str, NodeId)> {
        self.by_name.keys().filter_map(move |name| Some((name.as_str(), self.owner(name, &takes_part)?)))
    }
}
