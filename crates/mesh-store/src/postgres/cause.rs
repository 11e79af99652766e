//! What an error of Postgres means to us. The codes are those of its manual, Appendix A.

use sqlx::Error;

use crate::StoreError;

/// The error of anything that was not a commit.
pub(super) fn cause(error: &Error) -> StoreError {
    let reason = error.to_string();
    let Error::Database(failure) = error else {
        return match error {
            Error::PoolTimedOut => StoreError::Busy { reason },
            Error::PoolClosed => StoreError::Closed,
            Error::Configuration(_) => StoreError::Unusable { reason },
            _ => StoreError::unwritten_io(&reason),
        };
    };
    let code = failure.code().unwrap_or_default();
    match &*code {
        // deadlock, serialization, lock timeout, statement timeout, too many connections
        "40P01" | "40001" | "55P03" | "57014" | "53300" => StoreError::Busy { reason },
        "53100" => StoreError::Full { reason },
        "XX001" | "XX002" => StoreError::corrupt("database", reason),
        // the password, the role, the database, or a server that only reads
        "28000" | "28P01" | "3D000" | "42501" | "25006" => StoreError::Unusable { reason },
        _ => match code.get(..2) {
            Some("23") => StoreError::conflict("row", "of the store", reason),
            // the connection, the disk of the server, and a server that is starting or ending
            Some("08" | "57" | "58") => StoreError::unwritten_io(&reason),
            _ => StoreError::Refused { reason },
        },
    }
}

/// The error of a commit: where the connection broke, nobody knows.
pub(super) fn cause_at_commit(error: &Error) -> StoreError {
    match cause(error) {
        StoreError::Io { reason, .. } => StoreError::Io { reason, may_have_been_written: true },
        other => other,
    }
}

/// Whether the transaction lost against another, so that it may win when it is run again: a deadlock, a conflict of
/// snapshots, or a row that came or went between two statements.
pub(super) fn is_worth_another(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|failure| failure.code());
    code.is_some_and(|code| ["40P01", "40001", "23503"].contains(&&*code))
}
