//! A transaction of Postgres.

use bytes::Bytes;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Column, Postgres, Row as _, Transaction, TypeInfo};

use super::cause::{cause, is_worth_another};
use crate::StoreError;
use crate::tx::Tx;
use crate::value::{Row, Value};

pub(super) struct PostgresTx<'c> {
    transaction: Transaction<'c, Postgres>,
    /// Whether a statement failed because the database gave the transaction up in favour of another.
    given_up: bool,
}

impl<'c> PostgresTx<'c> {
    pub(super) fn new(transaction: Transaction<'c, Postgres>) -> Self {
        Self { transaction, given_up: false }
    }

    pub(super) fn was_given_up(&self) -> bool {
        self.given_up
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }

    fn note(&mut self, error: &sqlx::Error) -> StoreError {
        self.given_up |= is_worth_another(error);
        cause(error)
    }
}

impl Tx for PostgresTx<'_> {
    const IS_POSTGRES: bool = true;

    async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        let done = bound(sql, values).execute(&mut *self.transaction).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.note(&error))
    }

    async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = bound(sql, values).fetch_all(&mut *self.transaction).await;
        rows.map_err(|error| self.note(&error))?.iter().map(read).collect()
    }
}

fn bound<'q>(sql: &'static str, values: &'q [Value]) -> Query<'q, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(&bytes[..]),
    })
}

fn read(row: &PgRow) -> Result<Row, StoreError> {
    let broken = |error: sqlx::Error| StoreError::corrupt("row", error.to_string());
    let values = row.columns().iter().map(|column| {
        let at = column.ordinal();
        match column.type_info().name() {
            "INT8" => row.try_get(at).map(Value::Int),
            "INT4" => row.try_get::<i32, _>(at).map(|number| Value::Int(number.into())),
            "TEXT" => row.try_get(at).map(Value::Text),
            _ => row.try_get::<Vec<u8>, _>(at).map(|bytes| Value::Bytes(Bytes::from(bytes))),
        }
    });
    Ok(Row::new(values.collect::<Result<_, _>>().map_err(broken)?))
}
