use mesh_store::{Changes, NewCheckpoint, Store, StoreError};

use crate::place::Place;
use crate::words::{NOW, append, call, id, leased};

async fn with_entries(place: &Place, run: &str) -> Store {
    let store = place.open().await;
    let (_, lease) = leased(&store, run).await;
    for number in 1..=5 {
        append(&store, &lease, &number.to_string()).await.unwrap();
    }
    store
}

/// The journal's good prefix, and where the damage is.
async fn prefix(store: &Store, run: &str) -> (usize, Option<u64>) {
    let page = store.journal(&id(run), 1, 100).await.unwrap();
    let damage = page.damage.map(|damage| match damage {
        StoreError::Corrupt { run: Some(of), seq: Some(seq), .. } if of == id(run) => seq,
        other => panic!("{other}"),
    });
    (page.entries.len(), damage)
}

pub(super) async fn a_changed_entry_ends_the_good_prefix(place: &Place) {
    let store = with_entries(place, "r").await;
    assert_eq!(prefix(&store, "r").await, (5, None));
    place.tamper("UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 3").await;
    assert_eq!(prefix(&store, "r").await, (2, Some(3)));
    let page = store.journal(&id("r"), 4, 10).await.unwrap();
    assert_eq!((page.entries.len(), page.damage), (2, None), "those behind it can still be read");
}

pub(super) async fn a_missing_entry_is_noticed(place: &Place) {
    let store = with_entries(place, "r").await;
    place.tamper("DELETE FROM journal WHERE seq = 5").await;
    assert_eq!(prefix(&store, "r").await, (4, Some(5)));
    place.tamper("DELETE FROM journal WHERE seq = 2").await;
    assert_eq!(prefix(&store, "r").await, (1, Some(2)));
}

pub(super) async fn an_entry_of_another_run_is_noticed(place: &Place) {
    let store = with_entries(place, "a").await;
    let (_, lease) = leased(&store, "b").await;
    for number in 1..=5 {
        append(&store, &lease, &number.to_string()).await.unwrap();
    }
    place.tamper("DELETE FROM journal WHERE run = 'a'").await;
    place.tamper("UPDATE journal SET run = 'a' WHERE run = 'b'").await;
    assert_eq!(prefix(&store, "a").await, (0, Some(1)));
}

pub(super) async fn a_damaged_checkpoint_is_passed_over(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for step in 1..=3 {
        let new = NewCheckpoint::new(step, format!("state {step}"));
        store.write(&lease, Changes::at(NOW).checkpoint(new)).await.unwrap();
    }
    place.tamper("UPDATE checkpoints SET at_ms = 1 WHERE step = 3").await;
    let latest = store.latest_checkpoint(&id("r")).await.unwrap();
    assert_eq!((latest.checkpoint.unwrap().step, latest.skipped.len()), (2, 1));
    place.tamper("DELETE FROM checkpoints WHERE step = 3").await;
    let latest = store.latest_checkpoint(&id("r")).await.unwrap();
    assert_eq!((latest.checkpoint.unwrap().step, latest.skipped.len()), (2, 1), "a lost one is told of, too");
    assert!(matches!(store.checkpoints(&id("r"), None, 10).await, Err(StoreError::Corrupt { .. })));
    place.tamper("UPDATE checkpoints SET at_ms = 1").await;
    assert!(matches!(store.latest_checkpoint(&id("r")).await, Err(StoreError::Corrupt { .. })));
}

pub(super) async fn a_lost_call_is_noticed(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for key in ["c1", "c2"] {
        store.intend(&lease, call(key, key), NOW).await.unwrap();
    }
    place.tamper("DELETE FROM calls WHERE key = 'c2'").await;
    assert!(matches!(store.calls_in_doubt(&id("r")).await, Err(StoreError::Corrupt { .. })));
}

pub(super) async fn a_forged_row_is_not_believed(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    store.intend(&lease, call("c1", "x"), NOW).await.unwrap();
    let hash = store.put_blob("abc", NOW).await.unwrap();
    place.tamper("UPDATE calls SET state = 'ok'").await;
    assert!(matches!(store.calls(&id("r")).await, Err(StoreError::Corrupt { .. })));
    place.tamper("UPDATE blobs SET bytes = hash").await;
    assert!(matches!(store.blob(hash).await, Err(StoreError::Corrupt { .. })));
    place.tamper("UPDATE leases SET epoch = epoch + 1").await;
    assert!(matches!(append(&store, &lease, "x").await, Err(StoreError::Corrupt { .. })));
    place.tamper("UPDATE runs SET status = 'completed'").await;
    assert!(matches!(store.run(&id("r")).await, Err(StoreError::Corrupt { .. })));
}
