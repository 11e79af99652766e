//! Looking at a scope.

use super::{Memory, MemoryEvent, MemoryState, columns, state};
use crate::tx::{Operation, Tx, query_one};
use crate::{MemoryId, MemoryScope, Store, StoreError};

/// The most that a page has.
const PAGE_MAX: u32 = 1000;

impl Store {
    /// What a scope is now.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn memory_state(&self, scope: &MemoryScope) -> Result<MemoryState, StoreError> {
        self.look(State(scope.clone())).await
    }

    /// The scope's memories in the order in which they were made: those behind `after`, `limit` at most, and never more
    /// than 1,000.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one of them is damaged.
    pub async fn memories(
        &self,
        scope: &MemoryScope,
        after: Option<MemoryId>,
        limit: u32,
    ) -> Result<Vec<Memory>, StoreError> {
        self.look(Page { scope: scope.clone(), after, limit: limit.clamp(1, PAGE_MAX) }).await
    }

    /// One memory of the scope.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also when another scope has it; [`StoreError::Corrupt`].
    pub async fn memory(&self, scope: &MemoryScope, id: MemoryId) -> Result<Memory, StoreError> {
        self.look(One { scope: scope.clone(), id }).await
    }

    /// What happened to a memory of the scope, oldest first; of many events the last 50.
    ///
    /// # Errors
    /// As [`memory`](Self::memory).
    pub async fn memory_events(
        &self,
        scope: &MemoryScope,
        id: MemoryId,
    ) -> Result<Vec<MemoryEvent>, StoreError> {
        self.look(Events { scope: scope.clone(), id }).await
    }
}

struct State(MemoryScope);

impl Operation for State {
    type Output = MemoryState;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<MemoryState, StoreError> {
        let sql = "SELECT path, version, model, dimensions, sum FROM memory_scopes WHERE scope = $1";
        state(tx, sql, &self.0).await
    }
}

struct Page {
    scope: MemoryScope,
    after: Option<MemoryId>,
    limit: u32,
}

impl Operation for Page {
    type Output = Vec<Memory>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Memory>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM memories WHERE scope = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        let key = self.scope.key();
        let after = self.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let rows = tx.query(sql, &[key.into(), after.into(), i64::from(self.limit).into()]).await?;
        rows.into_iter().map(|row| Memory::read(row, key)).collect()
    }
}

struct One {
    scope: MemoryScope,
    id: MemoryId,
}

impl Operation for One {
    type Output = Memory;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Memory, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM memories WHERE id = $1 AND scope = $2");
        let key = self.scope.key();
        let row = query_one(tx, sql, &[self.id.as_bytes().into(), key.into()]).await?;
        Memory::read(row.ok_or_else(|| StoreError::not_found("memory", &self.id))?, key)
    }
}

struct Events {
    scope: MemoryScope,
    id: MemoryId,
}

impl Operation for Events {
    type Output = Vec<MemoryEvent>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<MemoryEvent>, StoreError> {
        One { scope: self.scope.clone(), id: self.id }.run(tx).await?;
        let sql = "SELECT seq, at_ms, by_whom, what, before, sum FROM memory_events WHERE memory = $1
            ORDER BY seq";
        let mut events = Vec::new();
        for mut row in tx.query(sql, &[self.id.as_bytes().into()]).await? {
            let (seq, at_ms, by) = (row.int()?, row.int()?, row.text()?);
            let event = MemoryEvent { memory: self.id, at_ms, by, what: row.text()?, before: row.text()? };
            if row.sum()? != event.sum(seq) {
                return Err(StoreError::corrupt("memory event", "its checksum does not fit"));
            }
            events.push(event);
        }
        Ok(events)
    }
}
