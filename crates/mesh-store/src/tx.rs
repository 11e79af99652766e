//! The seam between what the store means and the database that keeps it: two statements' worth.

use crate::StoreError;
use crate::value::{Row, Value};

/// A transaction of some database. All that a backend has to offer.
///
/// Statements are Postgres': parameters are `$1`, `$2`…, and rows are locked by a final `FOR UPDATE`. A database that
/// has one writer at a time takes that for granted.
pub(crate) trait Tx: Send {
    /// Whether it is of Postgres, for the few things that databases have no common word for.
    const IS_POSTGRES: bool;

    /// How many rows it changed.
    fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// All rows that it gives. Who asks limits their number.
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

/// Something that is done in one transaction: all of it, or nothing.
///
/// It is written once and runs on every backend. It may run several times before one run is committed, so it keeps
/// nothing from one run to the next.
pub(crate) trait Operation: Send + Sync + 'static {
    type Output: Send + 'static;

    /// Whether it can be run again after a transaction that the database gave up.
    const REPEATABLE: bool = true;

    fn run<T: Tx>(&self, tx: &mut T) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// The one row of an answer, if there is one.
pub(crate) async fn query_one<T: Tx>(
    tx: &mut T,
    sql: &'static str,
    values: &[Value],
) -> Result<Option<Row>, StoreError> {
    Ok(tx.query(sql, values).await?.into_iter().next())
}
