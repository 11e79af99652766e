//! Opening the database: whether it can keep our promises, and bringing its tables up to date.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::PostgresOptions;
use super::cause::cause;
use crate::StoreError;
use crate::schema::{self, Dialect};

const DIALECT: Dialect = Dialect { name: "postgres", bytes: "BYTEA", int: "BIGINT", kept: "" };

/// Whoever brings the tables up to date holds this, so that of several nodes that start at once one does. Any number
/// does; this is "mesh".
const LOCK: i64 = 0x6d65_7368;

pub(super) async fn pool(url: &str, options: &PostgresOptions) -> Result<PgPool, StoreError> {
    check_schema(&options.schema)?;
    let connect = trusted(url)?;
    let limit = options.timeout_ms.to_string();
    let connect = connect.application_name("mesh-store").options([
        ("search_path", options.schema.as_str()),
        // Said by ourselves, since a server or a role may be set to answer before its disk has.
        ("synchronous_commit", "on"),
        ("statement_timeout", &limit),
        ("idle_in_transaction_session_timeout", &limit),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(Duration::from_millis(options.timeout_ms.into()))
        .connect_with(connect)
        .await
        .map_err(|error| cause(&error))?;
    let mut connection = pool.acquire().await.map_err(|error| cause(&error))?;
    check_server(&mut connection).await?;
    migrate(&mut connection, &options.schema).await?;
    Ok(pool)
}

/// Another machine must prove that it is the one in the URL, unless the URL says otherwise (`sslmode=`). What is taken
/// without a word would be a server that any machine on the way can play.
fn trusted(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| cause(&error))?;
    let host = options.get_host();
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_here =
        options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || is_loopback;
    let is_said = url.contains("sslmode=") || url.contains("ssl-mode=");
    Ok(if is_here || is_said { options } else { options.ssl_mode(PgSslMode::VerifyFull) })
}

/// It becomes a part of statements, so it is looked at.
fn check_schema(schema: &str) -> Result<(), StoreError> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = schema.starts_with(|first: char| first.is_ascii_lowercase()) && schema.bytes().all(letters);
    if is_name && schema.len() <= 60 && !schema.starts_with("pg_") {
        return Ok(());
    }
    Err(StoreError::Unusable { reason: format!("{schema:?} is no name for a schema (a-z 0-9 _)") })
}

async fn check_server(connection: &mut PgConnection) -> Result<(), StoreError> {
    let settings = sqlx::query("SELECT current_setting('fsync'), current_setting('full_page_writes')");
    let row = settings.fetch_one(connection).await.map_err(|error| cause(&error))?;
    for (at, name) in ["fsync", "full_page_writes"].into_iter().enumerate() {
        if row.get::<String, _>(at) != "on" {
            return Err(StoreError::Unusable { reason: format!("the server runs with {name} = off") });
        }
    }
    Ok(())
}

async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    use sqlx::Connection;
    let mut transaction = connection.begin().await.map_err(|error| cause(&error))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(|error| cause(&error))?;
    run(&mut transaction, format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    run(&mut transaction, schema::VERSIONS.to_owned()).await?;
    let newest = sqlx::query(schema::NEWEST).fetch_one(&mut *transaction).await.map_err(|e| cause(&e))?;
    let found = u32::try_from(newest.get::<i64, _>(0))
        .map_err(|_| StoreError::corrupt("schema", "its version is no version"))?;
    for (version, statements) in schema::steps(found, DIALECT)? {
        for statement in statements {
            run(&mut transaction, statement).await?;
        }
        let record = sqlx::query(schema::RECORD).bind(i64::from(version)).bind(env!("CARGO_PKG_VERSION"));
        record.execute(&mut *transaction).await.map_err(|error| cause(&error))?;
    }
    transaction.commit().await.map_err(|error| cause(&error))
}

/// A statement of ours, or with a name in it that was checked.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    let done = sqlx::query(AssertSqlSafe(statement)).execute(connection).await;
    done.map(|_| ()).map_err(|error| cause(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is() {
        let verifies = |url: &str| matches!(trusted(url).unwrap().get_ssl_mode(), PgSslMode::VerifyFull);
        assert!(verifies("postgres://mesh@db.example.org/mesh"));
        assert!(verifies("postgres://mesh@10.1.2.3:5433/mesh?application_name=x"));
        for here in
            ["postgres://m@localhost/m", "postgres://m@127.0.0.1/m", "postgres://m@localhost/m?host=/run/pg"]
        {
            assert!(!verifies(here), "{here}");
        }
        assert!(!verifies("postgres://mesh@db.example.org/mesh?sslmode=require"), "the URL says so");
    }

    #[test]
    fn a_schema_s_name_cannot_be_anything_but_a_name() {
        for bad in ["", "a b", "a;b", "a\"", "A", "1a", "pg_x", "a-b"] {
            assert!(check_schema(bad).is_err(), "{bad:?}");
        }
        check_schema("mesh_2").unwrap();
    }
}
