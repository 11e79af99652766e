//! Bytes by their hash: stored once, however many hold on to them, and gone when nobody does.

use bytes::Bytes;

use crate::journal::check_size;
use crate::tx::{Operation, Tx, query_one};
use crate::{ContentHash, RunId, Store, StoreError};

/// How large a blob may be: 64 MiB.
pub const BLOB_BYTES_MAX: usize = 64 << 20;

impl Store {
    /// Stores bytes, if they are not there yet, and gives their hash.
    ///
    /// Nothing holds on to them until an entry or a checkpoint does; [`Store::collect_blobs`] spares what was stored
    /// lately.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`BLOB_BYTES_MAX`].
    pub async fn put_blob(&self, bytes: impl Into<Bytes>, at_ms: i64) -> Result<ContentHash, StoreError> {
        let bytes = bytes.into();
        check_size("blob", bytes.len(), BLOB_BYTES_MAX)?;
        let hash = ContentHash::of(&bytes);
        self.change(Put { hash, bytes, at_ms }).await?;
        Ok(hash)
    }

    /// The bytes with this hash.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] if they no longer have this hash.
    pub async fn blob(&self, hash: ContentHash) -> Result<Bytes, StoreError> {
        self.look(Get(hash)).await
    }

    /// Deletes the blobs that nothing holds on to and that nobody stored since `before_ms`, and says how many they were.
    ///
    /// # Errors
    /// None of its own.
    pub async fn collect_blobs(&self, before_ms: i64) -> Result<u64, StoreError> {
        self.change(Collect { before_ms }).await
    }
}

/// Makes `owner`, which is a part of the run, hold on to blobs.
pub(crate) async fn refer<T: Tx>(
    tx: &mut T,
    run: &RunId,
    owner: &[u8],
    blobs: &[ContentHash],
) -> Result<(), StoreError> {
    for hash in blobs {
        let hash_value = || hash.as_bytes().as_slice().into();
        // The reference must not come while the blob goes: the row is locked.
        let there = query_one(tx, "SELECT 1 FROM blobs WHERE hash = $1 FOR UPDATE", &[hash_value()]).await?;
        if there.is_none() {
            return Err(StoreError::not_found("blob", hash));
        }
        let sql = "INSERT INTO blob_refs (hash, run, owner) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[hash_value(), run.as_str().into(), owner.into()]).await?;
    }
    Ok(())
}

/// Ends what `owner` held on to.
pub(crate) async fn let_go<T: Tx>(tx: &mut T, run: &RunId, owner: &[u8]) -> Result<(), StoreError> {
    let values = [run.as_str().into(), owner.into()];
    tx.execute("DELETE FROM blob_refs WHERE run = $1 AND owner = $2", &values).await.map(|_| ())
}

struct Put {
    hash: ContentHash,
    bytes: Bytes,
    at_ms: i64,
}

impl Operation for Put {
    type Output = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let hash = || self.hash.as_bytes().as_slice().into();
        // Stored again is stored lately. The bytes are sent only where they are missing.
        let touch = "UPDATE blobs SET at_ms = CASE WHEN at_ms < $2 THEN $2 ELSE at_ms END WHERE hash = $1";
        if tx.execute(touch, &[hash(), self.at_ms.into()]).await? == 0 {
            let sql =
                "INSERT INTO blobs (hash, at_ms, bytes) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING";
            tx.execute(sql, &[hash(), self.at_ms.into(), (&self.bytes).into()]).await?;
        }
        Ok(())
    }
}

struct Get(ContentHash);

impl Operation for Get {
    type Output = Bytes;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Bytes, StoreError> {
        let values = [self.0.as_bytes().as_slice().into()];
        let row = query_one(tx, "SELECT bytes FROM blobs WHERE hash = $1", &values).await?;
        let bytes = row.ok_or_else(|| StoreError::not_found("blob", &self.0))?.bytes()?;
        if ContentHash::of(&bytes) == self.0 {
            return Ok(bytes);
        }
        Err(StoreError::corrupt("blob", format!("its bytes do not have the hash {}", self.0)))
    }
}

struct Collect {
    before_ms: i64,
}

impl Operation for Collect {
    type Output = u64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<u64, StoreError> {
        // Who refers to a blob while this runs is seen by the foreign key, and the database gives this up.
        let sql = "DELETE FROM blobs WHERE at_ms < $1
            AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob_refs.hash = blobs.hash)";
        tx.execute(sql, &[self.before_ms.into()]).await
    }
}
