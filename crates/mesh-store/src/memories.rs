//! Memories: what agents keep beyond a run, by scope.
//!
//! A scope has a version, which every change raises. Whoever changes it says which version was seen, so that of two who
//! decide by what they saw one decides again. What a memory is worth, and which one has to go, is not the store's.

mod change;
mod read;
mod words;

use bytes::Bytes;

use crate::sum::{Digest, Sum};
use crate::tx::{Tx, query_one};
use crate::value::{Row, Value};
use crate::{ContentHash, MemoryId, MemoryScope, StoreError};

pub use change::{MemoryChanges, MemoryEvent};
pub use words::FoundMemory;

/// The most that the content, the metadata or the vector of a memory may have, each: 64 KiB.
pub const MEMORY_BYTES_MAX: usize = 64 << 10;

/// Something that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Which one.
    pub id: MemoryId,
    /// What is remembered: text without NUL, at most 64 KiB. A scope has no two memories of the same content.
    pub content: String,
    /// What is said about it, at most 64 KiB; a JSON object by custom.
    pub metadata: String,
    /// How important it is, in millionths.
    pub importance_micros: u32,
    /// Who said so first.
    pub by: String,
    /// When it was first said, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
    /// When it was used last, in milliseconds since 1970.
    pub accessed_ms: i64,
    /// How often it was used.
    pub accesses: u64,
    /// From when on it is no more, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Its embedding: `f32`, little-endian; empty if it has none.
    pub vector: Bytes,
}

/// What a scope is at one moment. The default is one that has never been written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryState {
    /// How often it was changed.
    pub version: u64,
    /// The model of its embeddings; empty if it has none.
    pub model: String,
    /// How many numbers each of them has.
    pub dimensions: u32,
}

impl Memory {
    /// A new memory at `at_ms`, in milliseconds since 1970, of importance one half.
    #[must_use]
    pub fn new(content: impl Into<String>, by: impl Into<String>, at_ms: i64) -> Self {
        Self {
            id: MemoryId::after(None, at_ms),
            content: content.into(),
            metadata: "{}".to_owned(),
            importance_micros: 500_000,
            by: by.into(),
            created_ms: at_ms,
            updated_ms: at_ms,
            accessed_ms: at_ms,
            accesses: 0,
            expires_ms: None,
            vector: Bytes::new(),
        }
    }

    /// The same memory with an id behind `last`, whatever the clock says: so that a scope is in the order in which it grew.
    #[must_use]
    pub fn behind(mut self, last: Option<MemoryId>) -> Self {
        self.id = MemoryId::after(last, self.created_ms);
        self
    }

    /// The hash of its content, by which a scope knows it again.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.content.as_bytes())
    }

    /// What a database that counts rows calls it: of 62 random bits.
    fn number(&self) -> i64 {
        let tail = self.id.as_bytes()[8..].try_into().expect("an id has 16 bytes");
        i64::from_be_bytes(tail) & i64::MAX
    }

    fn sum(&self, scope: Sum) -> Sum {
        let digest = Digest::new("memory").bytes(self.id.as_bytes()).bytes(scope.as_bytes());
        let digest = digest.text(&self.content).text(&self.metadata).uint(self.importance_micros.into());
        let digest = digest.text(&self.by).int(self.created_ms).int(self.updated_ms);
        // Its uses are not covered, since they are written without reading it.
        digest.int(self.expires_ms.unwrap_or(i64::MAX)).bytes(&self.vector).finish()
    }

    fn values(&self, scope: Sum) -> Vec<Value> {
        vec![
            self.id.as_bytes().into(),
            scope.into(),
            self.number().into(),
            self.hash().as_bytes()[..].into(),
            self.content.as_str().into(),
            self.metadata.as_str().into(),
            i64::from(self.importance_micros).into(),
            self.by.as_str().into(),
            self.created_ms.into(),
            self.updated_ms.into(),
            self.accessed_ms.into(),
            self.accesses.into(),
            self.expires_ms.unwrap_or(i64::MAX).into(),
            (&self.vector).into(),
            self.sum(scope).into(),
        ]
    }

    fn read(mut row: Row, scope: Sum) -> Result<Self, StoreError> {
        let broken = |reason| StoreError::corrupt("memory", reason);
        let memory = Self {
            id: MemoryId::from_bytes(&row.bytes()?)?,
            content: row.text()?,
            metadata: row.text()?,
            importance_micros: u32::try_from(row.uint()?)
                .map_err(|_| broken("its importance is too large"))?,
            by: row.text()?,
            created_ms: row.int()?,
            updated_ms: row.int()?,
            accessed_ms: row.int()?,
            accesses: row.uint()?,
            expires_ms: Some(row.int()?).filter(|at| *at != i64::MAX),
            vector: row.bytes()?,
        };
        if row.sum()? == memory.sum(scope) { Ok(memory) } else { Err(broken("its checksum does not fit")) }
    }
}

/// What is read of a memory, in this order.
macro_rules! columns {
    () => {
        "id, content, metadata, importance, by_whom, created_ms, updated_ms, accessed_ms, accesses, expires_ms, vector, sum"
    };
}
use columns;

/// What is known of a scope, its row locked if the statement says so.
async fn state<T: Tx>(tx: &mut T, sql: &'static str, scope: &MemoryScope) -> Result<MemoryState, StoreError> {
    let key = scope.key();
    let Some(mut row) = query_one(tx, sql, &[key.into()]).await? else { return Ok(MemoryState::default()) };
    let broken = |reason| StoreError::corrupt("memory scope", reason);
    let path = row.text()?;
    let (version, model) = (row.uint()?, row.text()?);
    let dimensions = u32::try_from(row.uint()?).map_err(|_| broken("its dimensions are too many"))?;
    let state = MemoryState { version, model, dimensions };
    if path != scope.as_str() || row.sum()? != state_sum(scope, &state) {
        return Err(broken("its checksum does not fit"));
    }
    Ok(state)
}

fn state_sum(scope: &MemoryScope, state: &MemoryState) -> Sum {
    let digest = Digest::new("memory scope state").text(scope.as_str()).uint(state.version);
    digest.text(&state.model).uint(state.dimensions.into()).finish()
}
