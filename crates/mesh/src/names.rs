//! Names, capabilities and kinds, as one node knows them.

use crate::{
    membership::{Listing, NamesTold},
    mesh::{Mesh, PublishError},
    port::Local,
};
use mesh_actor::{Actor, ActorRef};
use mesh_proto::{CAPABILITIES_MAX, Entry, NAMES_MAX, Publication, check_capability, epoch_capability};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

impl Mesh {
    /// Every published actor of the mesh that says that it can do this, such as `tool:fetch`: in order of names, then of
    /// nodes. Empty for a client, which asks a node ([`ListPublished`](crate::ListPublished)).
    ///
    /// This is what this node was told: a hint. ([`ActorSpec::capability`](crate::ActorSpec::capability) says it.)
    #[must_use]
    pub fn list(&self, capability: &str) -> Vec<Listing> {
        self.listings(Some(capability), None)
    }

    /// Every published actor of the mesh that takes messages of this kind, such as `lab.echo.v1`: otherwise as [`Mesh::list`].
    #[must_use]
    pub fn list_kind(&self, kind: &str) -> Vec<Listing> {
        self.listings(None, Some(kind))
    }

    pub(crate) fn listings(&self, capability: Option<&str>, kind: Option<&str>) -> Vec<Listing> {
        self.shared().membership().map(|membership| membership.listings(capability, kind)).unwrap_or_default()
    }

    /// Every actor that is published as `name`, as `node/name`: first the one to which the bare name leads now, then the others, by
    /// the age of their publication. Empty for a client, which asks a node.
    ///
    /// This is what this node was told: a hint, since only the actor's own node knows
    /// ([`AskError::NoSuchActor`](crate::AskError::NoSuchActor)).
    #[must_use]
    pub fn resolve_all(&self, name: &str) -> Vec<String> {
        let owners = self.shared().membership().map(|membership| membership.owners(name)).unwrap_or_default();
        owners.into_iter().map(|node| format!("{node}/{name}")).collect()
    }

    /// The actor to which `name` leads now, as `node/name`: the first of [`Mesh::resolve_all`].
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<String> {
        self.resolve_all(name).into_iter().next()
    }

    /// Watches which of this node's names lead to another node, since that one published them first. `None` for a client.
    #[must_use]
    pub fn name_conflicts(&self) -> Option<NameConflicts> {
        let membership = self.shared().membership()?;
        Some(NameConflicts { lost: membership.names.lost.subscribe() })
    }

    /// How much this node has told its peers of its names. All zero for a client.
    #[must_use]
    pub fn names_told(&self) -> NamesTold {
        self.shared().membership().map(|membership| membership.names_told()).unwrap_or_default()
    }
}

/// Which of a node's names lead to another node: of two that publish one name, the older keeps it, then the smaller id.
/// The actor that lost is not ended: it is found by its full path, and by its name again once the other is gone.
///
/// Names of actors whose spec says [`on_every_node`](crate::ActorSpec::on_every_node) are left out.
#[derive(Debug, Clone)]
pub struct NameConflicts {
    lost: watch::Receiver<BTreeMap<String, String>>,
}

impl NameConflicts {
    /// The names that are lost now, each with the node that has it.
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, String> {
        self.lost.borrow().clone()
    }

    /// Waits until they are others than at the last call, or than when the watch began; `None` when the node has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: a change is told to the next call.
    pub async fn changed(&mut self) -> Option<BTreeMap<String, String>> {
        self.lost.changed().await.ok()?;
        Some(self.lost.borrow_and_update().clone())
    }
}

/// What the mesh is told of an actor.
pub(crate) fn publication<A: Actor>(
    name: &str,
    actor: &ActorRef<A>,
    port: &dyn Local,
) -> Result<Publication, PublishError> {
    let since_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let since_ms = u64::try_from(since_ms).unwrap_or(u64::MAX);
    let entry = Entry { name: name.to_owned(), serial: actor.serial(), since_ms };
    let kinds = port.kinds().into_iter().map(|kind| kind.name).collect();
    let mut capabilities = sorted(actor.capabilities().to_vec());
    for capability in &capabilities {
        let is_ours = capability.starts_with("mesh:").then_some("what begins with mesh: is the mesh's own");
        check_capability(capability)
            .and_then(|()| is_ours.map_or(Ok(()), Err))
            .map_err(|reason| PublishError::Capability { capability: capability.clone(), reason })?;
    }
    capabilities.extend(actor.epoch().map(epoch_capability));
    if capabilities.len() > CAPABILITIES_MAX {
        return Err(PublishError::TooMany { what: "capabilities of one actor", max: CAPABILITIES_MAX });
    }
    Ok(Publication { entry, capabilities: sorted(capabilities), kinds: sorted(kinds) })
}

/// Whether one more name may be published.
pub(crate) fn has_room(ports: &BTreeMap<String, Arc<dyn Local>>) -> Result<(), PublishError> {
    let is_full = ports.len() >= NAMES_MAX;
    if is_full { Err(PublishError::TooMany { what: "names of one node", max: NAMES_MAX }) } else { Ok(()) }
}

fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort_unstable();
    labels.dedup();
    labels
}
