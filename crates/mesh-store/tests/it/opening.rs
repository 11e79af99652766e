//! What a file must be before it is used, and what it is afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mesh_store::{Resource, SqliteOptions, Store, StoreError};

use crate::place::Place;
use crate::words::{NOW, TTL, append, id, leased, name, payloads};

async fn open(place: &Place) -> Result<Store, StoreError> {
    Store::open_sqlite(place.file(), SqliteOptions::default()).await
}

#[tokio::test]
async fn only_its_owner_can_read_the_files() {
    let place = Place::sqlite();
    let store = place.open().await;
    leased(&store, "r").await;
    let backup = place.file().with_extension("backup");
    store.backup(&backup).await.unwrap();
    let folder = place.file().parent().unwrap().to_owned();
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["store.backup", "store.db", "store.db-shm", "store.db-wal"]);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_not_touched() {
    let place = Place::sqlite();
    let foreign = rusqlite::Connection::open(place.file()).unwrap();
    foreign.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    drop(foreign);
    let before = fs::read(place.file()).unwrap();
    assert!(matches!(open(&place).await, Err(StoreError::Unusable { .. })));
    assert_eq!(fs::read(place.file()).unwrap(), before);

    fs::write(place.file(), "no database at all, but long enough to be one".repeat(100)).unwrap();
    assert!(matches!(open(&place).await, Err(StoreError::Corrupt { .. })));
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(matches!(open(&place).await, Err(StoreError::Unusable { .. })));
    let nowhere = Store::open_sqlite(place.file().join("no/such"), SqliteOptions::default()).await;
    assert!(matches!(nowhere, Err(StoreError::Unusable { .. })));
}

#[tokio::test]
async fn one_that_waits_too_long_for_another_process_is_told() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let options = SqliteOptions { busy_ms: 10, ..SqliteOptions::default() };
    let store = Store::open_sqlite(place.file(), options).await.unwrap();
    let (_, lease) = leased(&store, "r").await;
    let other = rusqlite::Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = append(&store, &lease, "x").await.unwrap_err();
    assert!(matches!(busy, StoreError::Busy { .. }) && busy.is_transient(), "{busy}");
    assert_eq!(payloads(&store, &id("r")).await.len(), 0, "reading waits for nobody");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append(&store, &lease, "x").await, Ok(1));
}

/// Two handles share nothing but the file, as two processes do.
#[tokio::test]
async fn two_who_have_the_file_open_take_turns_and_fence_each_other() {
    let place = Place::sqlite();
    let (one, two) = (place.open().await, place.open().await);
    let (_, first) = leased(&one, "r").await;
    let (_, other) = leased(&two, "other").await;
    for number in 0..50 {
        let number = number.to_string();
        let (a, b) = tokio::join!(append(&one, &first, &number), append(&two, &other, &number));
        a.and(b).unwrap();
    }
    let later = NOW + i64::from(TTL);
    let second = two.acquire(Resource::Run(id("r")), name("two"), TTL, later).await.unwrap();
    assert!(matches!(append(&one, &first, "late").await, Err(StoreError::Fenced { .. })));
    append(&two, &second, "50").await.unwrap();
    assert_eq!(payloads(&one, &id("r")).await.len(), 51);
    one.close().await;
    append(&two, &second, "51").await.unwrap();
}

/// Connections that closed at the same moment each took another for the last, and left the log beside the file.
#[tokio::test]
async fn a_closed_store_is_one_file() {
    let place = Place::sqlite();
    for _ in 0..30 {
        let options = SqliteOptions { readers: 16, ..SqliteOptions::default() };
        let store = Store::open_sqlite(place.file(), options).await.unwrap();
        store.put_blob(b"x".as_slice(), NOW).await.unwrap();
        store.close().await;
        let names = fs::read_dir(place.file().parent().unwrap()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["store.db"]);
    }
}
