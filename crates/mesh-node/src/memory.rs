//! What the node's agents remember.

use std::sync::Arc;

use mesh_agents::memory::Memories;

use crate::node::Node;

impl Node {
    /// Lets this node keep its memories elsewhere than in its own store, or find them by what they mean, too.
    pub fn with_memories(self, memories: Memories) -> Self {
        self.extension(Arc::new(memories))
    }
}
