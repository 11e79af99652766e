//! A run, as its row: what it is, where it stands, and how much of it there must be.

use crate::sum::{Digest, Sum};
use crate::tx::{Tx, query_one};
use crate::value::Row;
use crate::{CheckpointId, Name, RunId, StoreError, Value};

/// One piece of durable work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// Which one.
    pub id: RunId,
    /// What kind of work it is.
    pub kind: Name,
    /// Where it stands; the words are the caller's.
    pub status: Name,
    /// The words by which it is found, sorted.
    pub tags: Vec<Name>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last written to, in milliseconds since 1970.
    pub updated_ms: i64,
    /// The checkpoint, of another run, from which it was forked.
    pub origin: Option<CheckpointId>,
    /// How many entries its journal has, which is the number of the last.
    pub entries: u64,
    /// How many tool calls it intended.
    pub calls: u64,
    /// How many checkpoints it has.
    pub checkpoints: u64,
    /// The newest of them.
    pub latest: Option<CheckpointId>,
    /// The checksum of the last entry.
    pub(crate) chain: Sum,
}

macro_rules! columns {
    () => {
        "id, kind, status, tags, created_ms, updated_ms, origin, head, chain, calls, checkpoints, latest, sum"
    };
}
pub(crate) use columns;

impl Run {
    pub(crate) fn sum(&self) -> Sum {
        let digest = Digest::new("run").text(self.id.as_str()).text(self.kind.as_str());
        let digest = digest.text(self.status.as_str()).text(&joined(&self.tags)).int(self.created_ms);
        let digest = digest.int(self.updated_ms).bytes(optional(self.origin.as_ref())).uint(self.entries);
        let digest = digest.bytes(self.chain.as_bytes()).uint(self.calls).uint(self.checkpoints);
        digest.bytes(optional(self.latest.as_ref())).finish()
    }

    pub(crate) fn read(mut row: Row) -> Result<Self, StoreError> {
        let run = Self {
            id: row.parsed()?,
            kind: row.parsed()?,
            status: row.parsed()?,
            tags: split(&row.text()?)?,
            created_ms: row.int()?,
            updated_ms: row.int()?,
            origin: read_optional(&row.bytes()?)?,
            entries: row.uint()?,
            chain: row.sum()?,
            calls: row.uint()?,
            checkpoints: row.uint()?,
            latest: read_optional(&row.bytes()?)?,
        };
        if row.sum()? == run.sum() {
            return Ok(run);
        }
        Err(StoreError::corrupt("run", "its checksum does not fit").in_run(&run.id))
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.id.as_str().into(),
            self.kind.as_str().into(),
            self.status.as_str().into(),
            joined(&self.tags).as_str().into(),
            self.created_ms.into(),
            self.updated_ms.into(),
            optional(self.origin.as_ref()).into(),
            self.entries.into(),
            self.chain.into(),
            self.calls.into(),
            self.checkpoints.into(),
            optional(self.latest.as_ref()).into(),
            self.sum().into(),
        ]
    }
}

/// What a journal's first entry holds on to.
pub(crate) fn genesis(id: &RunId) -> Sum {
    Digest::new("journal").text(id.as_str()).finish()
}

/// The run, for looking at.
pub(crate) async fn load<T: Tx>(tx: &mut T, id: &RunId) -> Result<Run, StoreError> {
    found(tx, concat!("SELECT ", columns!(), " FROM runs WHERE id = $1"), id).await
}

/// The run, which nobody else changes until the end of the transaction.
pub(crate) async fn lock<T: Tx>(tx: &mut T, id: &RunId) -> Result<Run, StoreError> {
    found(tx, concat!("SELECT ", columns!(), " FROM runs WHERE id = $1 FOR UPDATE"), id).await
}

async fn found<T: Tx>(tx: &mut T, sql: &'static str, id: &RunId) -> Result<Run, StoreError> {
    let row = query_one(tx, sql, &[id.as_str().into()]).await?;
    let run = Run::read(row.ok_or_else(|| StoreError::not_found("run", id))?).map_err(|e| e.in_run(id))?;
    if run.id == *id { Ok(run) } else { Err(StoreError::corrupt("run", "it is another's row").in_run(id)) }
}

/// Fails as [`StoreError::Conflict`] if there is one already.
pub(crate) async fn insert<T: Tx>(tx: &mut T, run: &Run) -> Result<(), StoreError> {
    let sql = concat!(
        "INSERT INTO runs (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING"
    );
    if tx.execute(sql, &run.values()).await? == 0 {
        return Err(StoreError::conflict("run", &run.id, "there is one with this id"));
    }
    tag(tx, run).await
}

pub(crate) async fn update<T: Tx>(tx: &mut T, run: &Run) -> Result<(), StoreError> {
    let sql =
        "UPDATE runs SET kind = $2, status = $3, tags = $4, created_ms = $5, updated_ms = $6, origin = $7,
        head = $8, chain = $9, calls = $10, checkpoints = $11, latest = $12, sum = $13 WHERE id = $1";
    let changed = tx.execute(sql, &run.values()).await?;
    if changed == 1 { Ok(()) } else { Err(StoreError::corrupt("run", "it went away").in_run(&run.id)) }
}

/// Puts the run's tags into the index by which they are found.
async fn tag<T: Tx>(tx: &mut T, run: &Run) -> Result<(), StoreError> {
    for tag in &run.tags {
        let values = [tag.as_str().into(), run.id.as_str().into()];
        tx.execute("INSERT INTO run_tags (tag, run) VALUES ($1, $2)", &values).await?;
    }
    Ok(())
}

/// Gives the run other tags.
pub(crate) async fn retag<T: Tx>(tx: &mut T, run: &mut Run, tags: &[Name]) -> Result<(), StoreError> {
    run.tags = sorted(tags);
    tx.execute("DELETE FROM run_tags WHERE run = $1", &[run.id.as_str().into()]).await?;
    tag(tx, run).await
}

pub(crate) fn sorted(tags: &[Name]) -> Vec<Name> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// No name has a space in it.
pub(crate) fn joined(tags: &[Name]) -> String {
    tags.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}

pub(crate) fn split(tags: &str) -> Result<Vec<Name>, StoreError> {
    let names = tags.split(' ').filter(|tag| !tag.is_empty()).map(str::parse);
    names.collect::<Result<_, _>>().map_err(|_| StoreError::corrupt("row", "a tag breaks the rules of names"))
}

/// No id is empty.
pub(crate) fn optional(id: Option<&CheckpointId>) -> &[u8] {
    id.map_or(&[], CheckpointId::as_bytes)
}

pub(crate) fn read_optional(bytes: &[u8]) -> Result<Option<CheckpointId>, StoreError> {
    if bytes.is_empty() { Ok(None) } else { CheckpointId::from_bytes(bytes).map(Some) }
}
