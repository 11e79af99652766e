//! The durable ground of agents: what they did, what they were about to do, and who may go on.
//!
//! ```text
//!  run ──┬── journal       entries without gaps, each holding the one before by its checksum
//!        ├── checkpoints   states to go on from; lineage, forks, retention
//!        ├── calls         the tool ledger: intent before, outcome after
//!        └── lease         one writer: who has an old epoch is refused
//!  blobs                   bytes by their hash, once      approvals   what humans decided, once
//!  memories                what agents keep, by scope, found by their words
//! ```
//!
//! A [`Store`] is one SQLite file ([`Store::open_sqlite`]) or a Postgres database ([`Store::open_postgres`]), and behaves
//! the same on both. An operation's future resolves when the operation is on the disk; it is done entirely, or not at
//! all, and each error says whether it may have been ([`StoreError::may_have_been_written`]).
//!
//! ```
//! # use mesh_store::{Changes, NewEntry, NewRun, Resource, Store, SqliteOptions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let now_ms = 1_800_000_000_000;
//! let store = Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await?;
//! let run = store.create_run(NewRun::new("report".parse()?, now_ms)).await?;
//! let lease = store.acquire(Resource::Run(run.id.clone()), "alpha@1".parse()?, 30_000, now_ms).await?;
//!
//! let entry = NewEntry::new("step.done".parse()?, "found 3 sources");
//! store.write(&lease, Changes::at(now_ms).status("executing".parse()?).append(entry)).await?;
//!
//! assert_eq!(store.journal(&run.id, 1, 100).await?.entries[0].payload, "found 3 sources");
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Times are given by the caller, in milliseconds since 1970; the order of things never depends on them. This crate
//! knows no actor and no network but the one to its database. Nothing of a payload is looked at.

mod approvals;
mod backup;
mod blobs;
mod changes;
mod checkpoints;
mod error;
mod id;
mod journal;
mod leases;
mod ledger;
mod memories;
mod name;
mod postgres;
mod retention;
mod run;
mod runs;
mod schema;
mod scope;
mod sqlite;
mod store;
mod sum;
mod tx;
mod value;

pub use approvals::{
    Answer, Answered, Approval, ApprovalEvent, ApprovalFilter, ApprovalState, NewApproval, Verdict,
};
pub use backup::BackupReport;
pub use blobs::BLOB_BYTES_MAX;
pub use changes::{Changes, Written};
pub use checkpoints::{CHECKPOINT_BYTES_MAX, Checkpoint, LatestCheckpoint, NewCheckpoint};
pub use error::StoreError;
pub use id::{ApprovalId, CheckpointId, InvalidId, MemoryId};
pub use journal::{ENTRY_BYTES_MAX, Entry, JournalPage, NewEntry};
pub use leases::{Lease, Resource};
pub use ledger::{Call, CallOutcome, CallPolicy, Intent, NewCall};
pub use memories::{FoundMemory, MEMORY_BYTES_MAX, Memory, MemoryChanges, MemoryEvent, MemoryState};
pub use name::{InvalidName, Name, RunId};
pub use postgres::PostgresOptions;
pub use run::Run;
pub use runs::{NewRun, RunFilter};
pub use scope::MemoryScope;
pub use sqlite::SqliteOptions;
pub use store::Store;
pub use sum::{ContentHash, InvalidHash};

use value::Value;
