//! The node's part in approvals by people: the way of its actors to them.

use std::sync::Arc;

use mesh::Mesh;
use mesh_agents::approvals::{Gate, Inbox};
use mesh_store::Store;

use crate::config::ApprovalSettings;
use crate::error::NodeError;
use crate::node::Node;

/// What a node keeps for approvals while it runs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    gate: Gate,
}

impl Node {
    /// Lets actors of this node ask people for approvals: it publishes `NODE/approvals`, and every actor of a registered
    /// kind finds a [`Gate`] by [`mesh::SpawnContext::extension`].
    pub fn with_approvals(self) -> Self {
        let desk = Desk::default();
        let gate = Arc::new(desk.gate.clone());
        self.desk(desk).extension(gate)
    }
}

impl Desk {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Publishes the inbox. What waits in the store still waits when the node is started again.
    pub(crate) fn open(
        &self,
        mesh: &Mesh,
        store: &Store,
        settings: &ApprovalSettings,
    ) -> Result<(), NodeError> {
        let inbox = Inbox::publish(mesh, store.clone(), settings.policies());
        self.gate.lead_to(&inbox?);
        Ok(())
    }
}
