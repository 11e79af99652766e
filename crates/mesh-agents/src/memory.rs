//! What agents remember beyond a run, as actors: one for each scope.
//!
//! ```text
//!  AddMemory, UpdateMemory, ForgetMemory ─► Memory ─► decided by its index ─► store, by the version that was seen
//!  RecallMemories ─► embedding's neighbours + words ─► one order, with reasons
//!  SearchMemories ─► metadata by operators
//! ```
//!
//! The actor of the scope `acme/planner` is `NODE/memory/acme/planner`, and serves that scope alone: what a message can
//! reach is decided by where it is sent, which grants are about (`ask:*/memory/acme/**`). No message names a scope, so
//! none can name another's. Checking for a duplicate and storing it is one message to one actor; where several nodes share
//! a store, of two actors that saw the same version one decides again.
//!
//! Uses are counted in memory, and written with the next change.

mod actor;
mod cosine;
mod filter;
mod given;
mod index;
mod message;
mod recall;

use std::fmt;
use std::sync::Arc;

use mesh_models::Embedder;
use mesh_store::Store;

pub use actor::{Memory, MemoryArgs};
pub use message::{
    AddMemory, AddedMemory, ForgetMemory, Forgotten, GetMemory, ListMemories, MemoryChange, MemoryHistory,
    MemoryHistoryReply, MemoryList, MemoryRefusal, MemoryRow, RecallMemories, Recalled, RecalledMemories,
    SearchMemories, UpdateMemory,
};

/// What the memories of a node are made of, if that is not just its store: a store, and what turns texts into vectors, if anything does.
#[derive(Clone)]
pub struct Memories {
    store: Store,
    embedder: Option<Arc<dyn Embedder>>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Memories {
    /// Memories in `store`, which are found by their words alone.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, embedder: None, clock: Arc::new(now_ms) }
    }

    /// Lets them be found by what they mean, too.
    #[must_use]
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Sets what says the time, in milliseconds since 1970, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memories").field("embedder", &self.embedder).finish_non_exhaustive()
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
