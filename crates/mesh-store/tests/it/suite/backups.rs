use std::fs;

use mesh_store::{Changes, NewCheckpoint, RunFilter, Store, StoreError};

use crate::place::Place;
use crate::words::{NOW, append, call, entry, id, leased, payloads};

/// Something in every table.
async fn fill(store: &Store) {
    let (_, lease) = leased(store, "r").await;
    let hash = store.put_blob(vec![5; 100_000], NOW).await.unwrap();
    for number in 0..150 {
        append(store, &lease, &format!("entry {number}")).await.unwrap();
    }
    store.intend(&lease, call("c1", "x"), NOW).await.unwrap();
    let changes =
        Changes::at(NOW).append(entry("b").with_blob(hash)).checkpoint(NewCheckpoint::new(1, "state"));
    store.write(&lease, changes).await.unwrap();
}

pub(super) async fn a_backup_while_in_use_is_of_one_moment(place: &Place) {
    let store = place.open().await;
    fill(&store).await;
    // Two runs that are always written to in the same order: a backup that saw two moments could have more of the
    // second than of the first.
    let (_, first) = leased(&store, "first").await;
    let (_, second) = leased(&store, "second").await;
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..200 {
                append(&store, &first, &number.to_string()).await.unwrap();
                append(&store, &second, &number.to_string()).await.unwrap();
            }
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    while !writing.is_finished() {
        let file = folder.path().join(format!("{}.backup", files.len()));
        let report = store.backup(&file).await.unwrap();
        assert_eq!(report.bytes, fs::metadata(&file).unwrap().len());
        files.push(file);
    }
    writing.await.unwrap();
    assert!(matches!(store.backup(&files[0]).await, Err(StoreError::Conflict { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files.len(), "nothing else is left");

    for file in [&files[0], &files[files.len() / 2], &files[files.len() - 1]] {
        let elsewhere = place.another();
        let copy = elsewhere.open().await;
        copy.restore(file).await.unwrap();
        assert_eq!(payloads(&copy, &id("r")).await, payloads(&store, &id("r")).await);
        assert_eq!(copy.calls(&id("r")).await, store.calls(&id("r")).await);
        assert_eq!(copy.latest_checkpoint(&id("r")).await, store.latest_checkpoint(&id("r")).await);
        let (first, second) = (payloads(&copy, &id("first")).await, payloads(&copy, &id("second")).await);
        assert!(first.len() - second.len() <= 1, "{} and {}", first.len(), second.len());
    }
}

pub(super) async fn a_damaged_backup_restores_nothing(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    append(&store, &lease, "x").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("good");
    store.backup(&file).await.unwrap();
    let good = fs::read(&file).unwrap();
    let elsewhere = place.another();
    let copy = elsewhere.open().await;
    let restored = async |bytes: &[u8], what: &str| {
        fs::write(folder.path().join("bad"), bytes).unwrap();
        let error = copy.restore(folder.path().join("bad")).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{what}: {error}");
        assert_eq!(copy.runs(RunFilter::default()).await.unwrap(), []);
    };
    for at in (0..good.len()).step_by(31) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        restored(&bad, &format!("a bit of byte {at}")).await;
        restored(&good[..at], &format!("cut at {at}")).await;
    }
    restored(&[&good[..], b"x"].concat(), "something behind it").await;
    assert!(matches!(copy.restore(folder.path().join("none")).await, Err(StoreError::Io { .. })));
    copy.restore(&file).await.unwrap();
    assert_eq!(payloads(&copy, &id("r")).await, ["x"]);
}

pub(super) async fn a_store_that_is_not_empty_is_not_filled(place: &Place) {
    let store = place.open().await;
    fill(&store).await;
    let folder = tempfile::tempdir().unwrap();
    store.backup(folder.path().join("b")).await.unwrap();
    let refused = store.restore(folder.path().join("b")).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(payloads(&store, &id("r")).await.len(), 151);
}
