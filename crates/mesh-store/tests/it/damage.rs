//! Bits that flip and files that are cut: what is told is what was written, or that something is wrong.

use std::fs;
use std::path::Path;

use mesh_store::{Changes, JournalPage, NewCheckpoint, SqliteOptions, Store, StoreError};

use crate::place::Place;
use crate::words::{NOW, append, call, id, leased};

/// What the file says when it is whole.
struct Original {
    journal: JournalPage,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// A small store, copied while it is open: `in_log` leaves all of it in the log, otherwise it is all in the file.
async fn original(in_log: bool) -> Original {
    let place = Place::sqlite();
    place.open().await.close().await;
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for number in 1..=6 {
        append(&store, &lease, &format!("entry {number} {}", "x".repeat(40))).await.unwrap();
    }
    store.intend(&lease, call("c1", "x"), NOW).await.unwrap();
    store.write(&lease, Changes::at(NOW).checkpoint(NewCheckpoint::new(1, "state"))).await.unwrap();
    let journal = store.journal(&id("r"), 1, 100).await.unwrap();
    if !in_log {
        store.close().await;
    }
    let suffixes: &[&str] = if in_log { &["", "-wal"] } else { &[""] };
    let read = |suffix: &&'static str| (*suffix, fs::read(beside(&place.file(), suffix)).unwrap());
    Original { journal, files: suffixes.iter().map(read).collect() }
}

fn beside(file: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// In memory, where there is such a folder: thousands of files are made.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Original {
    /// Opens a copy of which one file is changed, and looks at all of it.
    async fn look(&self, folder: &Path, suffix: &str, changed: &[u8], what: &str) -> Seen {
        let file = folder.join("copy.db");
        for old in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&file, old));
        }
        for (name, bytes) in &self.files {
            fs::write(beside(&file, name), if *name == suffix { changed } else { bytes }).unwrap();
        }
        let options = SqliteOptions { readers: 1, busy_ms: 100, ..SqliteOptions::default() };
        let store = match Store::open_sqlite(&file, options).await {
            Ok(store) => store,
            Err(error) => return refused(what, &error),
        };
        let seen = self.read(&store, what).await;
        store.close().await;
        seen
    }

    async fn read(&self, store: &Store, what: &str) -> Seen {
        let whole = &self.journal.entries;
        let page = match store.journal(&id("r"), 1, 100).await {
            Ok(page) => page,
            Err(error) => return refused(what, &error),
        };
        assert!(whole.starts_with(&page.entries), "{what}: {page:?}");
        assert_eq!(page.entries.len() as u64 == page.last, page.damage.is_none(), "{what}: {page:?}");
        if let Ok(latest) = store.latest_checkpoint(&id("r")).await {
            let payload = latest.checkpoint.map(|checkpoint| checkpoint.payload);
            assert!(payload.is_none_or(|payload| payload == "state"), "{what}");
        }
        match store.calls(&id("r")).await {
            Ok(calls) => assert!(calls.iter().all(|call| call.key.as_str() == "c1"), "{what}: {calls:?}"),
            Err(error) => assert!(!matches!(error, StoreError::NotFound { .. }), "{what}: {error}"),
        }
        if page.damage.is_some() {
            Seen::Prefix
        } else if page.entries.len() == whole.len() {
            Seen::Whole
        } else {
            Seen::Earlier
        }
    }
}

fn refused(what: &str, error: &StoreError) -> Seen {
    assert_ne!(what, UNCHANGED, "{error:?}");
    Seen::Refused
}

const UNCHANGED: &str = "unchanged";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Whole,
    /// An earlier state of the run, whole: the log ends where it is damaged.
    Earlier,
    /// The good entries before the damage.
    Prefix,
    Refused,
}

/// How many bytes are passed over between two flips; 1 for all of them.
fn stride() -> usize {
    std::env::var("MESH_FLIPS").map_or(101, |stride| stride.parse().unwrap())
}

async fn flip_everywhere(in_log: bool) -> std::collections::BTreeMap<Seen, usize> {
    let original = original(in_log).await;
    let folder = folder();
    let (suffix, bytes) = original.files.last().unwrap();
    assert_eq!(original.look(folder.path(), suffix, bytes, UNCHANGED).await, Seen::Whole);
    let mut count = std::collections::BTreeMap::new();
    for at in (0..bytes.len()).step_by(stride()) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let seen = original.look(folder.path(), suffix, &changed, &format!("a bit of byte {at}")).await;
        *count.entry(seen).or_default() += 1;
    }
    for length in (0..bytes.len()).step_by(stride() * 7) {
        let seen = original.look(folder.path(), suffix, &bytes[..length], &format!("cut at {length}")).await;
        *count.entry(seen).or_default() += 1;
    }
    println!("of {} bytes, every {}th: {count:?}", bytes.len(), stride());
    count
}

#[tokio::test]
async fn no_flipped_bit_of_the_file_is_believed() {
    let count = flip_everywhere(false).await;
    assert!(!count.contains_key(&Seen::Earlier), "the file has one state: {count:?}");
    assert!(count.contains_key(&Seen::Refused), "{count:?}");
}

#[tokio::test]
async fn no_flipped_bit_of_the_log_is_believed() {
    let count = flip_everywhere(true).await;
    assert!(!count.contains_key(&Seen::Prefix), "SQLite's own checksums end the log: {count:?}");
    assert!(count.contains_key(&Seen::Earlier), "{count:?}");
}
