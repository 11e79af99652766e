//! A Postgres database, for several machines: any node can go on with any run.
//!
//! Each operation is a transaction of its own. What two of them both want is locked row by row; the server commits those
//! that wait together as one.

mod cause;
mod open;
mod transaction;

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::StoreError;
use crate::tx::Operation;
use cause::{cause, cause_at_commit, is_worth_another};
use transaction::PostgresTx;

/// How a store uses its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The schema that holds the tables: `a-z 0-9 _`, at most 60 bytes; `mesh` by default.
    pub schema: String,
    /// How many connections at most; 8 by default. Operations beyond that wait for one.
    pub connections: u32,
    /// How long an operation may take in all, the wait for a connection included; 30,000 ms by default.
    pub timeout_ms: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { schema: "mesh".to_owned(), connections: 8, timeout_ms: 30_000 }
    }
}

/// How often an operation is run again that the database gave up in favour of another.
const ATTEMPTS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    timeout: Duration,
}

/// What becomes of a transaction.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Write,
    Read,
}

impl Postgres {
    pub(crate) async fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let timeout = Duration::from_millis(options.timeout_ms.into());
        let pool = open::pool(url, &options).await?;
        Ok(Self { pool, timeout })
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.run(&operation, Mode::Write).await
    }

    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.run(&operation, Mode::Read).await
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn run<O: Operation>(&self, operation: &O, mode: Mode) -> Result<O::Output, StoreError> {
        let mut attempt = 1;
        loop {
            match self.attempt(operation, mode).await {
                Err(Broken::GivenUp(_)) if O::REPEATABLE && attempt < ATTEMPTS => attempt += 1,
                Err(Broken::GivenUp(error) | Broken::Failed(error)) => return Err(error),
                Ok(output) => return Ok(output),
            }
        }
    }

    async fn attempt<O: Operation>(&self, operation: &O, mode: Mode) -> Result<O::Output, Broken> {
        let late = |_| StoreError::Busy { reason: "the database did not answer in time".to_owned() };
        let mut connection = match timeout(self.timeout, self.pool.acquire()).await {
            Ok(connection) => connection.map_err(|error| Broken::Failed(cause(&error)))?,
            Err(elapsed) => return Err(Broken::Failed(late(elapsed))),
        };
        // A backup reads for as long as it takes; its statements have limits of their own.
        let limit = if O::REPEATABLE { self.timeout } else { Duration::from_secs(24 * 3600) };
        let mut is_committing = false;
        let worked = timeout(limit, transact(&mut connection, operation, mode, &mut is_committing)).await;
        match worked {
            Ok(result) => result,
            Err(_) if is_committing && mode == Mode::Write => {
                let reason = "the database did not say in time that it committed".to_owned();
                Err(Broken::Failed(StoreError::Io { reason, may_have_been_written: true }))
            }
            Err(elapsed) => {
                // In the middle of a statement: nobody can use this connection any more.
                connection.close_on_drop();
                Err(Broken::Failed(late(elapsed)))
            }
        }
    }
}

/// Why a transaction was not committed.
enum Broken {
    /// The database gave it up in favour of another; it may be run again.
    GivenUp(StoreError),
    Failed(StoreError),
}

async fn transact<O: Operation>(
    connection: &mut PgConnection,
    operation: &O,
    mode: Mode,
    is_committing: &mut bool,
) -> Result<O::Output, Broken> {
    let begin = match mode {
        Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    let failed = |error: &sqlx::Error| match is_worth_another(error) {
        true => Broken::GivenUp(cause(error)),
        false => Broken::Failed(cause(error)),
    };
    // Dropped before the commit, it rolls back.
    let transaction = connection.begin_with(begin).await.map_err(|error| failed(&error))?;
    let mut tx = PostgresTx::new(transaction);
    match operation.run(&mut tx).await {
        Ok(output) => {
            *is_committing = true;
            tx.commit().await.map_err(|error| match is_worth_another(&error) {
                true => Broken::GivenUp(cause(&error)),
                false => Broken::Failed(cause_at_commit(&error)),
            })?;
            Ok(output)
        }
        Err(error) if tx.was_given_up() => Err(Broken::GivenUp(error)),
        Err(error) => Err(Broken::Failed(error)),
    }
}
