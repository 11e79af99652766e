//! Why the store did not do what it was asked.

use crate::{Name, Resource, RunId};

/// Why the store did not do what it was asked.
///
/// [`StoreError::may_have_been_written`] answers the question that matters after a failed write. Where it says no,
/// nothing of the operation is in the store; an operation is never half done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the quota is full. Nothing of this operation, nor of those that were to be committed with it, was
    /// written. The store works again as soon as there is room; make some, and try again.
    #[error("the disk of the store is full: {reason}")]
    Full {
        /// What the database said.
        reason: String,
    },
    /// Another process or transaction kept what was needed locked for longer than the limit. Nothing was written; try
    /// again.
    #[error("the store is busy: {reason}")]
    Busy {
        /// What was waited for.
        reason: String,
    },
    /// The disk failed, or the connection to the database. Where this happened while a commit was being made durable,
    /// an embedded store is [`Poisoned`](Self::Poisoned) from then on.
    #[error("the store failed to read or write: {reason}")]
    Io {
        /// What the system said.
        reason: String,
        /// Whether the commit had been begun.
        may_have_been_written: bool,
    },
    /// An earlier failure to make a commit durable stopped this store; this operation was not begun.
    ///
    /// After a failed `fsync` the kernel may have thrown the pages away and marked them clean, so that the next `fsync`
    /// succeeds without their being on the disk (Rebello et al., "Can Applications Recover from fsync Failures?",
    /// USENIX ATC 2020). Open the store again: that reads what is there and writes it anew before anything is believed.
    #[error("the store stopped after a failed write to the disk; open it again")]
    Poisoned,
    /// The store was closed. The operation was not begun.
    #[error("the store is closed")]
    Closed,
    /// What is stored is not what was written: a torn, a foreign or a damaged row. Nothing that depends on it was
    /// returned. Earlier entries of a journal, and a checkpoint's parents, can still be read.
    #[error("damaged: {what}{}{}: {reason}", of_run(run.as_ref()), at_seq(*seq))]
    Corrupt {
        /// Which kind of row.
        what: &'static str,
        /// Whose row, where that is known.
        run: Option<RunId>,
        /// Which entry of the run's journal, if it is one.
        seq: Option<u64>,
        /// What does not fit.
        reason: String,
    },
    /// The caller's lease is no longer the newest, or was given back: somebody else may be at work. Nothing was written,
    /// and nothing ever will be under this epoch. Stop.
    #[error("epoch {epoch} of {resource} is over; the store is at {current}{}", held_by_whom(held_by.as_ref()))]
    Fenced {
        /// What the lease was of.
        resource: Resource,
        /// The caller's epoch.
        epoch: u64,
        /// The newest epoch.
        current: u64,
        /// Who holds the newest lease, if anybody does.
        held_by: Option<Name>,
    },
    /// Somebody holds the lease, and it has not run out. Nothing was changed. Try again after `until_ms`.
    #[error("{resource} is held by {by} until {until_ms}")]
    Held {
        /// What was asked for.
        resource: Resource,
        /// Who holds it.
        by: Name,
        /// The holder's epoch.
        epoch: u64,
        /// When it runs out, in milliseconds since 1970.
        until_ms: i64,
    },
    /// There is no such thing in the store. The caller's mistake, or it was deleted.
    #[error("no {what} {id}")]
    NotFound {
        /// Which kind of thing.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The state of the thing does not allow this; somebody else may have been faster. Nothing was written. Look again
    /// before anything else is tried.
    #[error("{what} {id}: {reason}")]
    Conflict {
        /// Which kind of thing.
        what: &'static str,
        /// Its name.
        id: String,
        /// What is in the way.
        reason: String,
    },
    /// The caller gave more than fits. Nothing was written; put large things into blobs.
    #[error("{what} has {bytes} bytes, at most {max} fit")]
    TooLarge {
        /// Which kind of thing.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The store was written by a newer version of this program. Nothing was touched; use that version.
    #[error("the store has schema {found}, and this program knows up to {known}")]
    Newer {
        /// The store's schema.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// What the address leads to is no store of ours, or is set up so that the store's promises could not be kept.
    /// Nothing was touched; correct the address, or what `reason` names.
    #[error("cannot be used as a store: {reason}")]
    Unusable {
        /// What is wrong with it.
        reason: String,
    },
    /// The database refused a statement: somebody changed its tables, or it is a mistake of this crate. Nothing was
    /// written.
    #[error("the database refused a statement: {reason}")]
    Refused {
        /// What the database said.
        reason: String,
    },
}

impl StoreError {
    /// Whether the operation may be in the store in spite of the error. False is a promise: it is not, and never will
    /// be unless it is tried again.
    #[must_use]
    pub fn may_have_been_written(&self) -> bool {
        matches!(self, Self::Io { may_have_been_written: true, .. })
    }

    /// Whether the same operation may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Held { .. } | Self::Full { .. })
    }

    /// A stable word for programs, as `STORE_FENCED`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "STORE_FULL",
            Self::Busy { .. } => "STORE_BUSY",
            Self::Io { .. } => "STORE_IO",
            Self::Poisoned => "STORE_POISONED",
            Self::Closed => "STORE_CLOSED",
            Self::Corrupt { .. } => "STORE_CORRUPT",
            Self::Fenced { .. } => "STORE_FENCED",
            Self::Held { .. } => "STORE_HELD",
            Self::NotFound { .. } => "STORE_NOT_FOUND",
            Self::Conflict { .. } => "STORE_CONFLICT",
            Self::TooLarge { .. } => "STORE_TOO_LARGE",
            Self::Newer { .. } => "STORE_NEWER",
            Self::Unusable { .. } => "STORE_UNUSABLE",
            Self::Refused { .. } => "STORE_REFUSED",
        }
    }

    pub(crate) fn not_found(what: &'static str, id: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub(crate) fn conflict(
        what: &'static str,
        id: &(impl ToString + ?Sized),
        reason: impl Into<String>,
    ) -> Self {
        Self::Conflict { what, id: id.to_string(), reason: reason.into() }
    }

    pub(crate) fn corrupt(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Corrupt { what, run: None, seq: None, reason: reason.into() }
    }

    /// Damage that was found while something of `run` was read.
    pub(crate) fn in_run(self, id: &RunId) -> Self {
        match self {
            Self::Corrupt { what, run: None, seq, reason } => {
                Self::Corrupt { what, run: Some(id.clone()), seq, reason }
            }
            other => other,
        }
    }

    pub(crate) fn unwritten_io(reason: &(impl ToString + ?Sized)) -> Self {
        Self::Io { reason: reason.to_string(), may_have_been_written: false }
    }
}

fn of_run(run: Option<&RunId>) -> String {
    run.map_or_else(String::new, |run| format!(" of run {run}"))
}

fn at_seq(seq: Option<u64>) -> String {
    seq.map_or_else(String::new, |seq| format!(" at {seq}"))
}

fn held_by_whom(held_by: Option<&Name>) -> String {
    held_by.map_or_else(String::new, |by| format!(", held by {by}"))
}
