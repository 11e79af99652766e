//! Who is at the other end, and what it may be sent.

use super::Session;
use mesh_actor::AskError;
use mesh_net::Role;
use mesh_proto::{
    Boot, NodeId,
    frame::{Content, Features},
};
use std::sync::Arc;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) boot: Boot,
    /// What it knows beyond the base.
    pub(crate) features: Features,
    /// Where it accepts connections; empty for a client.
    pub(crate) listens: Arc<str>,
}

impl Peer {
    /// Whether it may be sent what needs these features.
    pub(crate) fn knows(&self, features: Features) -> bool {
        self.features.contains(features)
    }
}

impl Session {
    /// Refuses a message that needs what the peer does not know.
    ///
    /// # Errors
    /// [`AskError::Version`].
    pub(crate) fn may_send(&self, content: Content) -> Result<(), AskError> {
        if self.peer.knows(content.needs()) {
            return Ok(());
        }
        Err(self.lacks("ids of messages"))
    }

    /// The error of what cannot be done because the peer is of an older version.
    pub(crate) fn lacks(&self, what: &str) -> AskError {
        AskError::Version { node: self.peer.name.to_string(), lacks: what.to_owned() }
    }
}
