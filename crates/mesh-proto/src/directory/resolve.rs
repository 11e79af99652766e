//! Where a name leads.

use super::{Directory, Publication};
use crate::NodeId;

impl Directory {
    /// The node that owns `name`: of those that take part, the one with the highest epoch; where nobody has
    /// placed it, the one that published first; then the smaller id.
    #[must_use]
    pub fn owner(&self, name: &str, takes_part: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let owners = self.by_name.get(name)?.iter().filter(|(node, _)| takes_part(**node));
        owners.min_by_key(|(node, publication)| (publication.rank(), **node)).map(|(node, _)| *node)
    }

    /// Every node that has published `name` and takes part: first the one that owns it, then the others in the order in
    /// which they would follow.
    pub fn owners(&self, name: &str, takes_part: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let Some(owners) = self.by_name.get(name) else { return Vec::new() };
        let owners = owners.iter().filter(|(node, _)| takes_part(**node));
        let mut owners: Vec<_> = owners.map(|(node, publication)| (publication.rank(), *node)).collect();
        owners.sort_unstable();
        owners.into_iter().map(|(_, node)| node).collect()
    }

    /// What `node` has published as `name`.
    #[must_use]
    pub fn publication(&self, node: NodeId, name: &str) -> Option<&Publication> {
        self.by_name.get(name)?.get(&node).map(|publication| &**publication)
    }

    /// Every publication of `node`, in order of the names.
    pub fn of(&self, node: NodeId) -> impl Iterator<Item = &Publication> {
        self.tables.get(&node).into_iter().flat_map(super::Table::publications)
    }

    /// Every name with its owner among those that take part, in order of the names.
    pub fn names(&self, takes_part: impl Fn(NodeId) -> bool) -> impl Iterator<Item = (&str, NodeId)> {
        self.by_name.keys().filter_map(move |name| Some((&**name, self.owner(name, &takes_part)?)))
    }

    /// Every name of whoever takes part and says that it can do this, with its node: in order of names, then of nodes.
    pub fn with_capability(
        &self,
        capability: &str,
        takes_part: impl Fn(NodeId) -> bool,
    ) -> impl Iterator<Item = (&str, NodeId)> {
        self.capabilities.get(capability).filter(move |(_, node)| takes_part(*node))
    }

    /// As [`with_capability`](Self::with_capability), of whoever takes messages of this kind.
    pub fn with_kind(
        &self,
        kind: &str,
        takes_part: impl Fn(NodeId) -> bool,
    ) -> impl Iterator<Item = (&str, NodeId)> {
        self.kinds.get(kind).filter(move |(_, node)| takes_part(*node))
    }

    /// This node's names that lead to another node, with that node: it published them first.
    #[must_use]
    pub fn lost(&self, takes_part: impl Fn(NodeId) -> bool) -> Vec<(&str, NodeId)> {
        let owned = self.contested.iter().filter_map(|name| Some((&**name, self.owner(name, &takes_part)?)));
        owned.filter(|(_, owner)| *owner != self.me).collect()
    }
}
