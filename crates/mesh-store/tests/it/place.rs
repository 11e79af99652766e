//! Where a store is: opened again and again, and tampered with behind its back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_store::{PostgresOptions, SqliteOptions, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The home of one test's store.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { url: String, schema: String },
}

static SCHEMAS: AtomicU32 = AtomicU32::new(0);

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A schema of its own in the database.
    pub(crate) fn postgres(url: &str) -> Self {
        let schema = format!("test_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        Self::Postgres { url: url.to_owned(), schema }
    }

    /// Another place of the same kind.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres { url, .. } => Self::postgres(url),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("store.db"),
            Self::Postgres { .. } => panic!("it is no file"),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Sqlite(_) => Store::open_sqlite(self.file(), SqliteOptions::default()).await,
            Self::Postgres { url, schema } => {
                let options = PostgresOptions { schema: schema.clone(), ..PostgresOptions::default() };
                Store::open_postgres(url, options).await
            }
        }
    }

    /// Runs a statement as somebody would who has no business here.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => {
                let file = rusqlite::Connection::open(self.file()).unwrap();
                file.pragma_update(None, "foreign_keys", false).unwrap();
                assert_ne!(file.execute(sql, []).unwrap(), 0, "{sql}");
            }
            Self::Postgres { url, schema } => {
                let mut server = PgConnection::connect(url).await.unwrap();
                let path = format!("SET search_path = {schema}");
                sqlx::query(AssertSqlSafe(path)).execute(&mut server).await.unwrap();
                let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut server).await.unwrap();
                assert_ne!(done.rows_affected(), 0, "{sql}");
            }
        }
    }
}
