//! Actors by what they can do.

use super::{Membership, State};
use mesh_proto::NodeId;

/// A published actor, as this node was told of it: a hint, since only the actor's own node knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Listing {
    /// Where it is found: `node/name`.
    pub path: String,
    /// Its name alone.
    pub name: String,
    /// The name of its node.
    pub node: String,
    /// What it says that it can do; sorted.
    pub capabilities: Vec<String>,
    /// The kinds that it takes; sorted. Empty where its node is of a version that does not tell.
    pub kinds: Vec<String>,
    /// The node to which the bare name leads, if that is another one: it published the name first.
    pub shadowed_by: Option<String>,
}

impl Membership {
    /// Every published actor, those that can do this, those that take this kind, or those that are both; in order of names, then
    /// of nodes.
    pub(crate) fn listings(&self, capability: Option<&str>, kind: Option<&str>) -> Vec<Listing> {
        let state = self.state.lock();
        let takes_part = |node| self.takes_part(&state, node);
        let directory = &state.directory;
        let takes = |name: &str, node| {
            let publication = directory.publication(node, name);
            let kinds = publication.map(|publication| &publication.kinds);
            kind.is_none_or(|kind| kinds.is_some_and(|kinds| kinds.iter().any(|known| known == kind)))
        };
        let list = |(name, node): (&str, NodeId)| self.listing(&state, name, node);
        let mut listings: Vec<Listing> = match (capability, kind) {
            (Some(capability), _) => directory
                .with_capability(capability, takes_part)
                .filter(|(name, node)| takes(name, *node))
                .filter_map(list)
                .collect(),
            (None, Some(kind)) => directory.with_kind(kind, takes_part).filter_map(list).collect(),
            (None, None) => {
                let owned = directory.names(takes_part).flat_map(|(name, _)| {
                    directory.owners(name, takes_part).into_iter().map(move |node| (name, node))
                });
                owned.filter_map(list).collect()
            }
        };
        listings.sort_by(|one, other| (&one.name, &one.node).cmp(&(&other.name, &other.node)));
        listings
    }

    fn listing(&self, state: &State, name: &str, node: NodeId) -> Option<Listing> {
        let publication = state.directory.publication(node, name)?;
        let owner = state.directory.owner(name, |node| self.takes_part(state, node));
        let shadowed_by = owner.filter(|owner| *owner != node).map(|owner| self.name_of(state, owner));
        let node = self.name_of(state, node);
        Some(Listing {
            path: format!("{node}/{name}"),
            name: name.to_owned(),
            node,
            capabilities: publication.capabilities.clone(),
            kinds: publication.kinds.clone(),
            shadowed_by,
        })
    }
}
