//! Checkpoints: states of a run from which it, or another, can go on.

use bytes::Bytes;

use crate::journal::check_size;
use crate::run::{self, joined, optional, read_optional, split};
use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::value::Row;
use crate::{CheckpointId, ContentHash, Name, Run, RunId, Store, StoreError, blobs};

/// How large the payload of a checkpoint may be: 16 MiB. What is larger, or the same in many, goes into a blob.
pub const CHECKPOINT_BYTES_MAX: usize = 16 << 20;

/// The most that a list gives at once.
const PAGE_MAX: u32 = 1000;

/// A checkpoint that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckpoint {
    pub(crate) step: u64,
    payload: Bytes,
    tags: Vec<Name>,
    needs_parent: bool,
    blobs: Vec<ContentHash>,
}

impl NewCheckpoint {
    /// The state after `step`, of at most [`CHECKPOINT_BYTES_MAX`]. Its parent is the run's latest.
    #[must_use]
    pub fn new(step: u64, payload: impl Into<Bytes>) -> Self {
        Self { step, payload: payload.into(), tags: Vec::new(), needs_parent: false, blobs: Vec::new() }
    }

    /// With a word to find it by. What is tagged `pin` is never deleted by retention.
    #[must_use]
    pub fn tag(mut self, tag: Name) -> Self {
        self.tags.push(tag);
        self
    }

    /// Says that the payload is a difference to the parent's, so that the parent stays as long as this does.
    #[must_use]
    pub fn needs_parent(mut self) -> Self {
        self.needs_parent = true;
        self
    }

    /// Keeps a blob in the store as long as this checkpoint is there.
    #[must_use]
    pub fn with_blob(mut self, hash: ContentHash) -> Self {
        self.blobs.push(hash);
        self
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_size("checkpoint", self.payload.len(), CHECKPOINT_BYTES_MAX)
    }
}

/// A checkpoint as it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Which one. Those of a run are ordered as they were saved.
    pub id: CheckpointId,
    /// Whose it is.
    pub run: RunId,
    /// The one that was the latest before. It may be gone, unless this one needs it; a fork's first is of another run.
    pub parent: Option<CheckpointId>,
    /// Whether the payload is a difference to the parent's.
    pub needs_parent: bool,
    /// The step behind which it was saved.
    pub step: u64,
    /// When it was saved, in milliseconds since 1970, by the clock of who saved it.
    pub at_ms: i64,
    /// Words to find it by, sorted.
    pub tags: Vec<Name>,
    /// The state.
    pub payload: Bytes,
}

/// The newest checkpoint that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatestCheckpoint {
    /// The checkpoint; `None` if none was ever saved, and the run is no fork.
    pub checkpoint: Option<Checkpoint>,
    /// The damage to newer ones, which were passed over. To be shown to somebody.
    pub skipped: Vec<StoreError>,
}

impl Store {
    /// The newest checkpoint of a run, or the one from which it was forked. Damaged ones are passed over and told of.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a run that is not there; [`StoreError::Corrupt`] if the run is damaged, or each
    /// checkpoint that it has.
    pub async fn latest_checkpoint(&self, run: &RunId) -> Result<LatestCheckpoint, StoreError> {
        self.look(Latest(run.clone())).await
    }

    /// A checkpoint.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and [`StoreError::Corrupt`].
    pub async fn checkpoint(&self, id: CheckpointId) -> Result<Checkpoint, StoreError> {
        self.look(Find(id)).await
    }

    /// The checkpoints of a run, newest first: at most `limit` (1,000 at most) that are older than `before`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a run that is not there; [`StoreError::Corrupt`] if one of them is damaged.
    pub async fn checkpoints(
        &self,
        run: &RunId,
        before: Option<CheckpointId>,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        self.look(List { run: run.clone(), before, limit: limit.clamp(1, PAGE_MAX) }).await
    }
}

macro_rules! columns {
    () => {
        "id, run, parent, needs_parent, step, at_ms, tags, payload, sum"
    };
}

impl Checkpoint {
    fn sum(&self) -> Sum {
        let digest = Digest::new("checkpoint").bytes(self.id.as_bytes()).text(self.run.as_str());
        let digest = digest.bytes(optional(self.parent.as_ref())).int(self.needs_parent.into());
        digest.uint(self.step).int(self.at_ms).text(&joined(&self.tags)).bytes(&self.payload).finish()
    }

    fn read(mut row: Row) -> Result<Self, StoreError> {
        let checkpoint = Self {
            id: CheckpointId::from_bytes(&row.bytes()?)?,
            run: row.parsed()?,
            parent: read_optional(&row.bytes()?)?,
            needs_parent: row.int()? != 0,
            step: row.uint()?,
            at_ms: row.int()?,
            tags: split(&row.text()?)?,
            payload: row.bytes()?,
        };
        if row.sum()? == checkpoint.sum() {
            return Ok(checkpoint);
        }
        let reason = format!("the checksum of {} does not fit", checkpoint.id);
        Err(StoreError::corrupt("checkpoint", reason).in_run(&checkpoint.run))
    }
}

/// Saves a checkpoint as the run's latest. The run's row is the caller's to write.
pub(crate) async fn save<T: Tx>(
    tx: &mut T,
    run: &mut Run,
    new: &NewCheckpoint,
    at_ms: i64,
) -> Result<CheckpointId, StoreError> {
    let parent = run.latest.or(run.origin);
    if new.needs_parent && parent.is_none() {
        return Err(StoreError::conflict("run", &run.id, "its first checkpoint has no parent to need"));
    }
    let checkpoint = Checkpoint {
        id: CheckpointId::after(parent, at_ms),
        run: run.id.clone(),
        parent,
        needs_parent: new.needs_parent,
        step: new.step,
        at_ms,
        tags: run::sorted(&new.tags),
        payload: new.payload.clone(),
    };
    let values = [
        checkpoint.id.as_bytes().into(),
        run.id.as_str().into(),
        optional(parent.as_ref()).into(),
        i64::from(checkpoint.needs_parent).into(),
        checkpoint.step.into(),
        at_ms.into(),
        joined(&checkpoint.tags).as_str().into(),
        (&checkpoint.payload).into(),
        checkpoint.sum().into(),
    ];
    let sql =
        concat!("INSERT INTO checkpoints (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    tx.execute(sql, &values).await?;
    blobs::refer(tx, &run.id, checkpoint.id.as_bytes(), &new.blobs).await?;
    run.latest = Some(checkpoint.id);
    run.checkpoints += 1;
    Ok(checkpoint.id)
}

pub(crate) async fn find<T: Tx>(tx: &mut T, id: CheckpointId) -> Result<Checkpoint, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM checkpoints WHERE id = $1");
    let row = query_one(tx, sql, &[id.as_bytes().into()]).await?;
    let checkpoint = Checkpoint::read(row.ok_or_else(|| StoreError::not_found("checkpoint", &id))?)?;
    if checkpoint.id == id { Ok(checkpoint) } else { Err(StoreError::corrupt("checkpoint", "it is another")) }
}

struct Find(CheckpointId);

impl Operation for Find {
    type Output = Checkpoint;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Checkpoint, StoreError> {
        find(tx, self.0).await
    }
}

struct Latest(RunId);

impl Operation for Latest {
    type Output = LatestCheckpoint;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<LatestCheckpoint, StoreError> {
        let run = run::load(tx, &self.0).await?;
        let mut skipped = Vec::new();
        let mut next = run.latest.or(run.origin);
        while let Some(id) = next {
            match find(tx, id).await {
                Ok(checkpoint) => return Ok(LatestCheckpoint { checkpoint: Some(checkpoint), skipped }),
                // The run says that it is there.
                Err(StoreError::NotFound { .. }) => {
                    let missing = StoreError::corrupt("checkpoint", format!("{id} is missing"));
                    skipped.push(missing.in_run(&run.id));
                }
                Err(error @ StoreError::Corrupt { .. }) => skipped.push(error.in_run(&run.id)),
                Err(error) => return Err(error),
            }
            // A damaged row's word for its parent is worth nothing: the index is asked.
            next = if Some(id) == run.origin { None } else { older(tx, &run, id).await?.or(run.origin) };
        }
        match skipped.first() {
            Some(first) => Err(first.clone()),
            None => Ok(LatestCheckpoint { checkpoint: None, skipped }),
        }
    }
}

async fn older<T: Tx>(tx: &mut T, run: &Run, than: CheckpointId) -> Result<Option<CheckpointId>, StoreError> {
    let sql = "SELECT id FROM checkpoints WHERE run = $1 AND id < $2 ORDER BY id DESC LIMIT 1";
    let row = query_one(tx, sql, &[run.id.as_str().into(), than.as_bytes().into()]).await?;
    row.map(|mut row| CheckpointId::from_bytes(&row.bytes()?)).transpose()
}

struct List {
    run: RunId,
    before: Option<CheckpointId>,
    limit: u32,
}

impl Operation for List {
    type Output = Vec<Checkpoint>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Checkpoint>, StoreError> {
        let run = run::load(tx, &self.run).await?;
        // No id is above this.
        let before = self.before.as_ref().map_or(&[0xff; 16][..], |id| id.as_bytes());
        let values = [self.run.as_str().into(), before.into(), i64::from(self.limit).into()];
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM checkpoints WHERE run = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        );
        let rows = tx.query(sql, &values).await?;
        let there: Vec<Checkpoint> = rows.into_iter().map(Checkpoint::read).collect::<Result<_, _>>()?;
        let is_whole = self.before.is_none() && there.len() < self.limit as usize;
        if is_whole && there.len() as u64 != run.checkpoints {
            let reason = format!("{} of {} are there", there.len(), run.checkpoints);
            return Err(StoreError::corrupt("checkpoint", reason).in_run(&run.id));
        }
        Ok(there)
    }
}
