//! A connection to the file, as the transaction that it is in.

use std::collections::HashMap;
use std::future::{Future, ready};

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::cause::cause;
use crate::StoreError;
use crate::tx::Tx;
use crate::value::{Row, Value};

/// How many prepared statements a connection keeps; all of ours are fewer.
const STATEMENTS: usize = 128;

#[derive(Debug)]
pub(super) struct SqliteTx {
    pub(super) connection: Connection,
    /// How statements are spelled here.
    spelled: HashMap<&'static str, String>,
    /// About how many bytes were written since the log was last copied into the file.
    pub(super) written: usize,
}

impl SqliteTx {
    pub(super) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Self { connection, spelled: HashMap::new(), written: 0 }
    }

    /// A statement about the transaction itself.
    pub(super) fn control(&self, sql: &str) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(sql)?.raw_execute().map(|_| ())
    }

    fn execute_now(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, rusqlite::Error> {
        // A row costs its page, and a page or two of its indices.
        self.written += 8192 + values.iter().map(Value::weight).sum::<usize>();
        let sql = self.spelled.entry(sql).or_insert_with(|| spell(sql));
        let changed = self.connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
        Ok(changed as u64)
    }

    fn query_now(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, rusqlite::Error> {
        let sql = self.spelled.entry(sql).or_insert_with(|| spell(sql));
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut found = statement.query(params_from_iter(values))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values =
                (0..columns).map(|column| row.get_ref(column).map(read)).collect::<Result<_, _>>()?;
            rows.push(Row::new(values));
        }
        Ok(rows)
    }
}

impl Tx for SqliteTx {
    const IS_POSTGRES: bool = false;

    fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        ready(self.execute_now(sql, values).map_err(|error| cause(&error)))
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        ready(self.query_now(sql, values).map_err(|error| cause(&error)))
    }
}

/// Parameters are `?1`, and there is one writer, so that nothing is locked by rows.
fn spell(sql: &str) -> String {
    let sql = sql.split(" FOR UPDATE").next().expect("a split has a first part");
    sql.replace('$', "?")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A damaged file can hold anything anywhere. What is not text or a number is given as bytes, and refused by who wanted
/// something else.
fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(Bytes::copy_from_slice(text)),
        },
        ValueRef::Blob(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
        ValueRef::Null => Value::Bytes(Bytes::new()),
        ValueRef::Real(number) => Value::Bytes(Bytes::copy_from_slice(&number.to_le_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_spelled_for_sqlite() {
        assert_eq!(
            spell("SELECT a FROM b WHERE c = $1 AND d = $12"),
            "SELECT a FROM b WHERE c = ?1 AND d = ?12"
        );
        assert_eq!(spell("SELECT a FROM b LIMIT $1 FOR UPDATE OF b SKIP LOCKED"), "SELECT a FROM b LIMIT ?1");
    }
}
