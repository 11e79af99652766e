//! Changing a scope: all of a decision, or nothing.

use super::{MEMORY_BYTES_MAX, Memory, MemoryState, state, state_sum};
use crate::journal::check_size;
use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::{MemoryId, MemoryScope, Store, StoreError};

/// How many events of a memory are kept.
const EVENTS_MAX: i64 = 50;

/// What becomes of a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryChanges {
    /// The version that was decided by.
    pub seen: u64,
    /// The model of the embeddings and how many numbers they have, to be set while the scope has none, or no memory.
    pub model: Option<(String, u32)>,
    /// Memories that are new or changed.
    pub put: Vec<Memory>,
    /// Memories that go, with all their events.
    pub forget: Vec<MemoryId>,
    /// Memories that were used: when last, in milliseconds since 1970, and how often in all.
    pub touched: Vec<(MemoryId, i64, u64)>,
    /// What happened to those that are there.
    pub events: Vec<MemoryEvent>,
}

/// Something that happened to a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEvent {
    /// To which one.
    pub memory: MemoryId,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who did it.
    pub by: String,
    /// What it was, as `added`.
    pub what: String,
    /// What the content was before, if that changed.
    pub before: String,
}

impl MemoryEvent {
    pub(super) fn sum(&self, seq: i64) -> Sum {
        let digest = Digest::new("memory event").bytes(self.memory.as_bytes()).int(seq).int(self.at_ms);
        digest.text(&self.by).text(&self.what).text(&self.before).finish()
    }
}

impl Store {
    /// Changes a scope, and says which version it has now. Of each memory the last 50 events are kept.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the scope has another version than was seen: look again, and decide anew;
    /// [`StoreError::TooLarge`].
    pub async fn change_memories(
        &self,
        scope: &MemoryScope,
        changes: MemoryChanges,
    ) -> Result<u64, StoreError> {
        for memory in &changes.put {
            check_size("memory", memory.content.len(), MEMORY_BYTES_MAX)?;
            check_size("metadata", memory.metadata.len(), MEMORY_BYTES_MAX)?;
            check_size("vector", memory.vector.len(), MEMORY_BYTES_MAX)?;
        }
        self.change(Change { scope: scope.clone(), changes }).await
    }
}

struct Change {
    scope: MemoryScope,
    changes: MemoryChanges,
}

impl Operation for Change {
    type Output = u64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<u64, StoreError> {
        let mut state = self.locked(tx).await?;
        let Self { scope, changes } = self;
        if state.version != changes.seen {
            let reason = format!("it is at version {}, and {} was seen", state.version, changes.seen);
            return Err(StoreError::conflict("memory scope", scope, reason));
        }
        if let Some((model, dimensions)) = &changes.model {
            (state.model, state.dimensions) = (model.clone(), *dimensions);
        }
        state.version += 1;
        self.write_state(tx, &state).await?;
        let key = scope.key();
        for (id, at_ms, accesses) in &changes.touched {
            let sql = "UPDATE memories SET accessed_ms = $3, accesses = $4 WHERE id = $1 AND scope = $2";
            let values = [id.as_bytes().into(), key.into(), (*at_ms).into(), (*accesses).into()];
            tx.execute(sql, &values).await?;
        }
        for id in &changes.forget {
            let values = [id.as_bytes().into(), key.into()];
            tx.execute("DELETE FROM memories WHERE id = $1 AND scope = $2", &values).await?;
        }
        for memory in &changes.put {
            let sql = "INSERT INTO memories (id, scope, number, hash, content, metadata, importance, by_whom,
                created_ms, updated_ms, accessed_ms, accesses, expires_ms, vector, sum)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, content = excluded.content,
                metadata = excluded.metadata, importance = excluded.importance, updated_ms = excluded.updated_ms,
                accessed_ms = excluded.accessed_ms, accesses = excluded.accesses,
                expires_ms = excluded.expires_ms, vector = excluded.vector, sum = excluded.sum
                WHERE memories.scope = excluded.scope";
            tx.execute(sql, &memory.values(key)).await?;
        }
        for event in &changes.events {
            record(tx, event).await?;
        }
        Ok(state.version)
    }
}

impl Change {
    /// The scope's row, made where it is missing, and locked.
    async fn locked<T: Tx>(&self, tx: &mut T) -> Result<MemoryState, StoreError> {
        let empty = MemoryState::default();
        let sql = "INSERT INTO memory_scopes (scope, path, version, model, dimensions, sum)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope) DO NOTHING";
        tx.execute(sql, &self.values(&empty)).await?;
        let sql =
            "SELECT path, version, model, dimensions, sum FROM memory_scopes WHERE scope = $1 FOR UPDATE";
        state(tx, sql, &self.scope).await
    }

    async fn write_state<T: Tx>(&self, tx: &mut T, state: &MemoryState) -> Result<(), StoreError> {
        let sql = "UPDATE memory_scopes SET path = $2, version = $3, model = $4, dimensions = $5, sum = $6
            WHERE scope = $1";
        tx.execute(sql, &self.values(state)).await.map(|_| ())
    }

    fn values(&self, state: &MemoryState) -> Vec<crate::Value> {
        vec![
            self.scope.key().into(),
            self.scope.as_str().into(),
            state.version.into(),
            state.model.as_str().into(),
            i64::from(state.dimensions).into(),
            state_sum(&self.scope, state).into(),
        ]
    }
}

async fn record<T: Tx>(tx: &mut T, event: &MemoryEvent) -> Result<(), StoreError> {
    let id = || crate::Value::from(event.memory.as_bytes());
    let last = "SELECT COALESCE(MAX(seq), 0) FROM memory_events WHERE memory = $1";
    let seq = query_one(tx, last, &[id()]).await?.map_or(Ok(0), |mut row| row.int())? + 1;
    let sql = "INSERT INTO memory_events (memory, seq, at_ms, by_whom, what, before, sum)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = [
        id(),
        seq.into(),
        event.at_ms.into(),
        event.by.as_str().into(),
        event.what.as_str().into(),
        event.before.as_str().into(),
        event.sum(seq).into(),
    ];
    tx.execute(sql, &values).await?;
    let sql = "DELETE FROM memory_events WHERE memory = $1 AND seq <= $2";
    tx.execute(sql, &[id(), (seq - EVENTS_MAX).into()]).await.map(|_| ())
}
