//! What a program brings to its node: kinds of actors, tools, models, and what it does when the node starts.

use std::any::Any;
use std::sync::Arc;

use mesh::{Mesh, PublishError, Spawnable};
use mesh_agents::Models;
use mesh_agents::tools::HookedTool;

use super::Node;
use crate::approvals::Desk;

impl Node {
    /// Lets actors of the type `A` be spawned on this node as `kind`: by the settings, by meshctl, by other nodes.
    pub fn register<A: Spawnable>(mut self, kind: &'static str) -> Self {
        self.kinds.insert(kind);
        self.registrations.push(Box::new(move |builder| builder.register::<A>(kind)));
        self
    }

    /// Gives every actor of a registered kind something to reach by its type, such as the models of this process
    /// ([`mesh::SpawnContext::extension`]).
    pub fn extension<T: Any + Send + Sync>(mut self, value: Arc<T>) -> Self {
        self.registrations.push(Box::new(move |builder| builder.extension(Arc::clone(&value))));
        self
    }

    /// Does something more when the node has bound and joined, and before it says that it is there: usually, spawn and
    /// publish an actor.
    pub fn on_start(mut self, open: impl FnOnce(&Mesh) -> Result<(), PublishError> + Send + 'static) -> Self {
        self.openings.push(Box::new(open));
        self
    }

    /// Lets the agents of this node think with these models: its assistants, and every actor of a registered kind, by
    /// [`mesh::SpawnContext::extension`].
    pub fn with_models(self, models: Models) -> Self {
        Self { models: Some(models.clone()), ..self.extension(Arc::new(models)) }
    }

    /// Offers a tool to the mesh, beside those that the settings name. Where the node has approvals, people are asked where
    /// one of its hooks wants that, or a policy of the settings names it.
    pub fn with_tool(mut self, tool: HookedTool) -> Self {
        self.tools.push(tool);
        self
    }

    pub(crate) fn desk(self, desk: Desk) -> Self {
        Self { desk: Some(desk), ..self }
    }
}
