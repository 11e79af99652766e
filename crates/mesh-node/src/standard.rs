//! What the binary mesh-node brings.

use mesh_agents::Agent;
use mesh_agents::memory::Memory;
use mesh_agents::swarm::Coordinator;

use crate::error::NodeError;
use crate::model::models;
use crate::node::Node;

impl Node {
    /// Adds what the binary mesh-node brings: actors of the kind `agent`, which think with the model that the
    /// environment names ([`models`]), of the kind `memory`, which remember for a scope, of the kind `swarm`, which share out
    /// tasks, `NODE/workflows`, which runs workflow files and keeps their runs, and `NODE/approvals`
    /// ([`Node::with_approvals`]).
    ///
    /// # Errors
    /// [`NodeError::Model`] when the environment names a model that cannot be called.
    pub fn with_standard_kinds(self) -> Result<Self, NodeError> {
        let node = self.register::<Agent>(Agent::KIND).register::<Memory>(Memory::KIND);
        let node = node.register::<Coordinator>(Coordinator::KIND).with_approvals().with_workflows();
        Ok(match models(|name| std::env::var(name).ok())? {
            Some(models) => node.with_models(models),
            None => node,
        })
    }
}
