//! The handle: which database it is, and how an operation gets there.

use std::path::Path;
use std::sync::Arc;

use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::tx::Operation;
use crate::{PostgresOptions, SqliteOptions, StoreError};

/// A store. Cheap to clone; all clones are the same one.
///
/// # Cancel safety
/// A future of any operation may be dropped. What was not begun by then is not done; what was begun is done entirely, or
/// not at all.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<Backend>,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens a store in one file, or makes it (mode 0600) where there is none. Beside it lies its log, with the suffixes
    /// `-wal` and `-shm`.
    ///
    /// Several processes may open the same file, on one machine.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Unusable`] when the file is not for us; [`StoreError::Corrupt`] when it
    /// is damaged; [`StoreError::Busy`], [`StoreError::Full`] and [`StoreError::Io`] as for an operation.
    pub async fn open_sqlite(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let sqlite = Sqlite::open(path.as_ref(), options).await?;
        Ok(Self { backend: Arc::new(Backend::Sqlite(sqlite)) })
    }

    /// Opens a store in a Postgres database (12 or newer), by `postgres://user:password@host/database`, in tables of its
    /// own schema, which is made where there is none. A server on another machine must prove by its certificate that it is
    /// the one in the URL, unless that says otherwise (`sslmode=`).
    ///
    /// # Errors
    /// As for [`Store::open_sqlite`]; [`StoreError::Unusable`] also when the server runs without `fsync`.
    pub async fn open_postgres(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let postgres = Postgres::open(url, options).await?;
        Ok(Self { backend: Arc::new(Backend::Postgres(postgres)) })
    }

    /// Takes no more operations, finishes those that wait, and lets go of the file or the connections. Later operations
    /// fail as [`StoreError::Closed`], on all clones. Dropping the last clone does the same, and blocks its thread for
    /// the commit that is being made.
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }

    pub(crate) async fn change<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(operation).await,
            Backend::Postgres(postgres) => postgres.write(operation).await,
        }
    }

    /// The operation must only read. All that it reads is of one moment.
    pub(crate) async fn look<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(operation).await,
            Backend::Postgres(postgres) => postgres.read(operation).await,
        }
    }
}
