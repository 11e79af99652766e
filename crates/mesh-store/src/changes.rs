//! What is written to a run at once: all of it in one commit, or nothing.

use crate::checkpoints::{NewCheckpoint, save};
use crate::journal::{NewEntry, append};
use crate::tx::{Operation, Tx};
use crate::{CallOutcome, CheckpointId, Lease, Name, Store, StoreError, leases, ledger, run};

/// Changes to a run that belong together: what a step brought, where the run stands after it, and from where to go on.
///
/// Whatever reads the run sees all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    at_ms: i64,
    status: Option<Name>,
    tags: Option<Vec<Name>>,
    entries: Vec<NewEntry>,
    outcomes: Vec<(Name, CallOutcome)>,
    checkpoint: Option<NewCheckpoint>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The number of the run's last entry after it.
    pub last: u64,
    /// The checkpoint, if one was saved.
    pub checkpoint: Option<CheckpointId>,
}

impl Changes {
    /// No change yet, at a time in milliseconds since 1970.
    #[must_use]
    pub fn at(at_ms: i64) -> Self {
        Self { at_ms, status: None, tags: None, entries: Vec::new(), outcomes: Vec::new(), checkpoint: None }
    }

    /// Says where the run stands.
    #[must_use]
    pub fn status(mut self, status: Name) -> Self {
        self.status = Some(status);
        self
    }

    /// Gives the run these tags and no others.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = Name>) -> Self {
        self.tags = Some(tags.into_iter().collect());
        self
    }

    /// Writes an entry behind those before it.
    #[must_use]
    pub fn append(mut self, entry: NewEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Records how the call with this key ended.
    #[must_use]
    pub fn outcome(mut self, key: Name, outcome: CallOutcome) -> Self {
        self.outcomes.push((key, outcome));
        self
    }

    /// Saves a checkpoint; a later one takes the place of an earlier.
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: NewCheckpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    fn check(&self) -> Result<(), StoreError> {
        self.entries.iter().try_for_each(NewEntry::check)?;
        self.outcomes.iter().try_for_each(|(_, outcome)| outcome.check())?;
        self.checkpoint.as_ref().map_or(Ok(()), NewCheckpoint::check)
    }
}

impl Store {
    /// Writes changes to the run that the lease is of.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::TooLarge`]; [`StoreError::NotFound`] for a call that was never intended or
    /// a blob that is not there; [`StoreError::Conflict`] for a call that ended otherwise before.
    pub async fn write(&self, lease: &Lease, changes: Changes) -> Result<Written, StoreError> {
        changes.check()?;
        self.change(Write { lease: lease.clone(), changes }).await
    }
}

struct Write {
    lease: Lease,
    changes: Changes,
}

impl Operation for Write {
    type Output = Written;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Written, StoreError> {
        let changes = &self.changes;
        let id = leases::run_of(&self.lease)?;
        leases::check(tx, &self.lease).await?;
        let mut run = run::lock(tx, id).await?;
        for (key, outcome) in &changes.outcomes {
            ledger::settle(tx, &run, key, outcome).await?;
        }
        for entry in &changes.entries {
            append(tx, &mut run, entry, changes.at_ms).await?;
        }
        let mut saved = None;
        if let Some(checkpoint) = &changes.checkpoint {
            saved = Some(save(tx, &mut run, checkpoint, changes.at_ms).await?);
        }
        if let Some(tags) = &changes.tags {
            run::retag(tx, &mut run, tags).await?;
        }
        if let Some(status) = &changes.status {
            run.status = status.clone();
        }
        run.updated_ms = changes.at_ms;
        run::update(tx, &run).await?;
        Ok(Written { last: run.entries, checkpoint: saved })
    }
}
