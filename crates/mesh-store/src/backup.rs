//! Backups: a file with everything, made while the store is in use, that any store can be filled from.
//!
//! The file has the same form for every backend, so that a store can be moved from one to the other.

mod file;
mod read;
mod write;

/// What a backup or a restore moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BackupReport {
    /// How many rows.
    pub rows: u64,
    /// How many bytes the file has.
    pub bytes: u64,
}
