//! Opening the file: what it is, what it is set to, and what may be believed of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use super::cause::cause;
use super::transaction::SqliteTx;
use crate::schema::{self, Dialect};
use crate::{StoreError, Value};

/// Marks the file as ours, for `file(1)` and for us: "mesh".
const APPLICATION_ID: i32 = 0x6d65_7368;

const DIALECT: Dialect = Dialect { name: "sqlite", bytes: "BLOB", int: "INTEGER", kept: "WITHOUT ROWID" };

/// Opens the file for writing, after making it where it is missing and bringing it up to date.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<SqliteTx, StoreError> {
    make(path).map_err(|error| unusable(path, &error))?;
    let connection = connect(path, options)?;
    let sqlite = |error: rusqlite::Error| cause(&error);
    check_owner(&connection)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        return Err(StoreError::Unusable {
            reason: format!("its file system allows no log beside it ({mode})"),
        });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    // By ourselves, when those who wait have their answers.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(sqlite)?;
    migrate(&connection)?;
    believe(&connection)?;
    Ok(SqliteTx::new(connection))
}

/// Opens the file, which a writer has made ready, for reading.
pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<SqliteTx, StoreError> {
    let connection = connect(path, options)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| cause(&error))?;
    Ok(SqliteTx::new(connection))
}

fn connect(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let sqlite = |error: rusqlite::Error| cause(&error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_millis(options.busy_ms.into())).map_err(sqlite)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sqlite)?;
    // A damaged or a prepared file must neither be believed nor run functions.
    connection.pragma_update(None, "cell_size_check", true).map_err(sqlite)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(sqlite)?;
    Ok(connection)
}

/// Makes an empty file that only its owner can read. SQLite gives the log beside it the same mode.
fn make(path: &Path) -> io::Result<()> {
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    match how.open(path) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return only_a_file(path),
        Err(error) => return Err(error),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn only_a_file(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"))
    }
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    let reason = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { reason },
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::InvalidInput => StoreError::Unusable { reason },
        _ => StoreError::unwritten_io(&reason),
    }
}

/// Somebody else's database is not touched.
fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0)).map_err(|e| cause(&e));
    let id = ask("PRAGMA application_id")?;
    if id == APPLICATION_ID || id == 0 && ask("SELECT COUNT(*) FROM sqlite_schema")? == 0 {
        return Ok(());
    }
    Err(StoreError::Unusable { reason: "the file is a database of some other program".to_owned() })
}

/// Takes the missing steps in one transaction. A second process that opens a new file waits for the first.
fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let sqlite = |error: rusqlite::Error| cause(&error);
    let run = |sql: &str| connection.execute_batch(sql).map_err(sqlite);
    run("BEGIN IMMEDIATE")?;
    let migrated = (|| {
        run(schema::VERSIONS)?;
        let found = connection.query_row(schema::NEWEST, [], |row| row.get::<_, u32>(0)).map_err(sqlite)?;
        for (version, statements) in schema::steps(found, DIALECT)? {
            statements.iter().try_for_each(|statement| run(statement))?;
            let values = [Value::Int(version.into()), Value::from(env!("CARGO_PKG_VERSION"))];
            connection.execute(&schema::RECORD.replace('$', "?"), values.each_ref()).map_err(sqlite)?;
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)
    })();
    if migrated.is_err() {
        // The first error is the one to tell.
        let _ = run("ROLLBACK");
        return migrated;
    }
    run("COMMIT")
}

/// Writes all that the log says into the file, and waits for the disk.
///
/// What was read just now may be in the kernel's memory alone: written by a process that was killed before its `fsync`,
/// or that saw one fail. Another `fsync` of the same pages would not write them again; writing them elsewhere does. If
/// another process has the file open it is alive and sees to that itself.
fn believe(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| cause(&error))
}
