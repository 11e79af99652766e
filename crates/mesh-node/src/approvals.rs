//! The node's part in approvals by people: the store that keeps them, and the way of its actors to them.

use std::sync::Arc;

use mesh::Mesh;
use mesh_agents::approvals::{Gate, Inbox};
use mesh_store::{SqliteOptions, Store};

use crate::config::ApprovalSettings;
use crate::error::NodeError;
use crate::node::Node;
use crate::state::NodeState;

/// What a node keeps for approvals while it runs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    gate: Gate,
    store: Option<Store>,
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

    /// Opens the store and publishes the inbox.
    pub(crate) async fn open(
        &mut self,
        mesh: &Mesh,
        state: &NodeState,
        settings: &ApprovalSettings,
    ) -> Result<(), NodeError> {
        let store = store(state).await?;
        let inbox = Inbox::publish(mesh, store.clone(), settings.policies());
        self.store = Some(store);
        self.gate.lead_to(&inbox?);
        Ok(())
    }

    /// Lets go of the store. What waits in it still waits when the node is started again.
    pub(crate) async fn close(&self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
    }
}

/// The node's own store: a file in its part of the state folder.
async fn store(state: &NodeState) -> Result<Store, NodeError> {
    let path = state.folder().join("store.db");
    let opened = Store::open_sqlite(&path, SqliteOptions::default()).await;
    opened.map_err(|source| NodeError::Store { path, source })
}
