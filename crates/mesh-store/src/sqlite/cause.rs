//! What an error of SQLite means to us.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::StoreError;

/// The error of a statement that was not a commit.
pub(super) fn cause(error: &rusqlite::Error) -> StoreError {
    let reason = error.to_string();
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return StoreError::Refused { reason };
    };
    if failure.extended_code == SQLITE_IOERR_SHMSIZE {
        // The index of the log could not be made larger: the same full disk, met elsewhere.
        return StoreError::Full { reason };
    }
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full { reason },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            StoreError::Busy { reason }
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::corrupt("database file", reason),
        ErrorCode::ConstraintViolation => StoreError::conflict("row", "of the store", reason),
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory => StoreError::unwritten_io(&reason),
        _ => StoreError::Refused { reason },
    }
}

/// The error of a commit: with a failed `fsync` all of it may lie in the log, for the next who opens the file to find.
pub(super) fn cause_at_commit(error: &rusqlite::Error) -> StoreError {
    match cause(error) {
        StoreError::Io { reason, .. } => StoreError::Io { reason, may_have_been_written: true },
        other => other,
    }
}

/// Whether the disk itself failed, so that it can no longer be trusted to have what it was given.
pub(super) fn is_failure_of_the_disk(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        failure.code == ErrorCode::SystemIoFailure && failure.extended_code != SQLITE_IOERR_SHMSIZE
    })
}
