//! The journal of a run: entries 1, 2, 3… without gaps, each with a checksum over itself and the one before.
//!
//! An entry that is changed, missing, moved, or taken from another run breaks the chain at its place, and the run's own
//! row says where the chain must end. What stands before the break is still good.

use bytes::Bytes;

use crate::run::{self, genesis};
use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::value::Row;
use crate::{ContentHash, Name, Run, RunId, Store, StoreError, Value, blobs};

/// How large the payload of an entry may be: 1 MiB. What is larger goes into a blob.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// The most entries that are read at once.
const PAGE_MAX: u32 = 1000;

/// An entry that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    kind: Name,
    payload: Bytes,
    blobs: Vec<ContentHash>,
}

impl NewEntry {
    /// An entry of this kind, with a payload of at most [`ENTRY_BYTES_MAX`].
    #[must_use]
    pub fn new(kind: Name, payload: impl Into<Bytes>) -> Self {
        Self { kind, payload: payload.into(), blobs: Vec::new() }
    }

    /// Keeps a blob in the store as long as this entry is there.
    #[must_use]
    pub fn with_blob(mut self, hash: ContentHash) -> Self {
        self.blobs.push(hash);
        self
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_size("entry", self.payload.len(), ENTRY_BYTES_MAX)
    }
}

pub(crate) fn check_size(what: &'static str, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes > max { Err(StoreError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

/// An entry as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// What kind of entry it is.
    pub kind: Name,
    /// When it was written, in milliseconds since 1970, by the clock of who wrote it.
    pub at_ms: i64,
    /// What it says.
    pub payload: Bytes,
}

/// A part of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalPage {
    /// Entries in order, without a gap, each checked.
    pub entries: Vec<Entry>,
    /// The number of the last entry that the run has, or should have.
    pub last: u64,
    /// The damage at which reading stopped: the entry behind the last of `entries` is not what was written.
    pub damage: Option<StoreError>,
}

impl Store {
    /// Reads at most `limit` entries (1,000 at most) of a run, from number `from` (1 is the first) on.
    ///
    /// Damage to an entry is a part of the answer, behind the good ones before it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] if the run itself is damaged.
    pub async fn journal(&self, run: &RunId, from: u64, limit: u32) -> Result<JournalPage, StoreError> {
        self.look(Read { run: run.clone(), from: from.max(1), limit: limit.clamp(1, PAGE_MAX) }).await
    }
}

/// Writes an entry behind the last. The run's row is the caller's to write.
pub(crate) async fn append<T: Tx>(
    tx: &mut T,
    run: &mut Run,
    new: &NewEntry,
    at_ms: i64,
) -> Result<(), StoreError> {
    let entry = Entry { seq: run.entries + 1, kind: new.kind.clone(), at_ms, payload: new.payload.clone() };
    let sum = entry.sum(&run.id, run.chain);
    let values = [
        run.id.as_str().into(),
        entry.seq.into(),
        entry.kind.as_str().into(),
        at_ms.into(),
        (&entry.payload).into(),
        sum.into(),
    ];
    let sql = "INSERT INTO journal (run, seq, kind, at_ms, payload, sum) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(sql, &values).await?;
    blobs::refer(tx, &run.id, &entry.seq.to_be_bytes(), &new.blobs).await?;
    (run.entries, run.chain) = (entry.seq, sum);
    Ok(())
}

impl Entry {
    fn sum(&self, run: &RunId, before: Sum) -> Sum {
        let digest = Digest::new("entry").bytes(before.as_bytes()).text(run.as_str()).uint(self.seq);
        digest.text(self.kind.as_str()).int(self.at_ms).bytes(&self.payload).finish()
    }

    /// The entry and its checksum, if the row is number `seq` and fits behind `before`.
    fn read(mut row: Row, run: &RunId, seq: u64, before: Sum) -> Result<(Self, Sum), StoreError> {
        let entry = Self { seq: row.uint()?, kind: row.parsed()?, at_ms: row.int()?, payload: row.bytes()? };
        let sum = row.sum()?;
        if entry.seq != seq {
            return Err(StoreError::corrupt("entry", "it is missing"));
        }
        if sum != entry.sum(run, before) {
            return Err(StoreError::corrupt("entry", "its checksum does not fit"));
        }
        Ok((entry, sum))
    }
}

struct Read {
    run: RunId,
    from: u64,
    limit: u32,
}

const PAGE: &str =
    "SELECT seq, kind, at_ms, payload, sum FROM journal WHERE run = $1 AND seq >= $2 ORDER BY seq LIMIT $3";

impl Operation for Read {
    type Output = JournalPage;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<JournalPage, StoreError> {
        let run = run::load(tx, &self.run).await?;
        let mut page = JournalPage { entries: Vec::new(), last: run.entries, damage: None };
        page.damage = self.fill(tx, &run, &mut page.entries).await.err().map(|error| match error {
            StoreError::Corrupt { what, run: None, seq: None, reason } => StoreError::Corrupt {
                what,
                run: Some(run.id.clone()),
                seq: Some(self.from + page.entries.len() as u64),
                reason,
            },
            other => other,
        });
        match page.damage {
            // A failure to read says nothing about what is there.
            Some(error) if !matches!(error, StoreError::Corrupt { .. }) => Err(error),
            _ => Ok(page),
        }
    }
}

impl Read {
    /// Reads until the page is full, the journal ends, or something is wrong.
    async fn fill<T: Tx>(&self, tx: &mut T, run: &Run, entries: &mut Vec<Entry>) -> Result<(), StoreError> {
        if self.from > run.entries {
            return Ok(());
        }
        let mut before = self.before(tx).await?;
        let rows = match self.rows(tx, self.from, self.limit).await {
            // One unreadable row spoils the whole answer: those before it are asked for one by one.
            Err(StoreError::Corrupt { .. }) => None,
            rows => Some(rows?.into_iter()),
        };
        let mut rows = rows;
        for seq in (self.from..=run.entries).take(self.limit as usize) {
            let row = match &mut rows {
                Some(rows) => rows.next(),
                None => self.rows(tx, seq, 1).await?.into_iter().next(),
            };
            let row = row.ok_or_else(|| StoreError::corrupt("entry", "it is missing"))?;
            let (entry, sum) = Entry::read(row, &self.run, seq, before)?;
            if seq == run.entries && sum != run.chain {
                return Err(StoreError::corrupt("entry", "it is not the last that was written"));
            }
            entries.push(entry);
            before = sum;
        }
        Ok(())
    }

    async fn rows<T: Tx>(&self, tx: &mut T, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
        let values: [Value; 3] = [self.run.as_str().into(), from.into(), i64::from(limit).into()];
        tx.query(PAGE, &values).await
    }

    /// The checksum that the first entry of the page holds on to.
    async fn before<T: Tx>(&self, tx: &mut T) -> Result<Sum, StoreError> {
        if self.from == 1 {
            return Ok(genesis(&self.run));
        }
        let values = [self.run.as_str().into(), (self.from - 1).into()];
        let row = query_one(tx, "SELECT sum FROM journal WHERE run = $1 AND seq = $2", &values).await?;
        row.ok_or_else(|| StoreError::corrupt("entry", "the one before is missing"))?.sum()
    }
}
