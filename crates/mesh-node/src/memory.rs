//! What the node's agents remember.

use std::sync::Arc;

use mesh::NodeBuilder;
use mesh_agents::memory::Memories;
use mesh_store::{SqliteOptions, Store};

use crate::node::Node;
use crate::state::NodeState;

/// The file of a node that was given no other store, in its own folder.
const FILE: &str = "memory.db";

impl Node {
    /// Lets this node keep its memories elsewhere than in its state folder: in a store that others share, or found by what
    /// they mean.
    pub fn with_memories(self, memories: Memories) -> Self {
        self.extension(Arc::new(memories))
    }
}

/// Memories in a file of the node's own, which is opened when the first of them is spawned.
pub(crate) fn extend(builder: NodeBuilder, state: &NodeState) -> NodeBuilder {
    let path = state.folder().join(FILE);
    let memories = Memories::opened_by(move || {
        let path = path.clone();
        Box::pin(async move { Store::open_sqlite(path, SqliteOptions::default()).await })
    });
    builder.extension(Arc::new(memories))
}
