use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::join_all;
use mesh_store::{CallOutcome, Changes, ENTRY_BYTES_MAX, NewCheckpoint, StoreError};

use crate::place::Place;
use crate::words::{NOW, append, entry, id, leased, name, payloads};

pub(super) async fn entries_are_numbered_without_gaps_however_many_write_at_once(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let writes = (0..60).map(|number| {
        let (store, lease) = (store.clone(), lease.clone());
        tokio::spawn(async move { append(&store, &lease, &number.to_string()).await.unwrap() })
    });
    let numbers: BTreeSet<u64> = join_all(writes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (1..=60).collect());
    let written: BTreeSet<_> = payloads(&store, &id("r")).await.into_iter().collect();
    assert_eq!(written.len(), 60);
}

pub(super) async fn a_write_is_done_entirely_or_not_at_all(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let before = store.run(&id("r")).await.unwrap();
    let unknown = CallOutcome { is_ok: true, payload: "x".into(), at_ms: NOW };
    let missing_blob = mesh_store::ContentHash::of(b"never stored");
    for changes in [
        Changes::at(NOW).append(entry("a")).outcome(name("never"), unknown),
        Changes::at(NOW).append(entry("a")).append(entry("b").with_blob(missing_blob)),
        Changes::at(NOW).append(entry("a")).checkpoint(NewCheckpoint::new(1, "s").needs_parent()),
    ] {
        store.write(&lease, changes.status(name("completed"))).await.unwrap_err();
        assert_eq!(store.run(&id("r")).await.unwrap(), before);
        assert_eq!(payloads(&store, &id("r")).await.len(), 0);
    }
    let changes =
        Changes::at(NOW).append(entry("a")).append(entry("b")).checkpoint(NewCheckpoint::new(1, "s"));
    assert_eq!(store.write(&lease, changes).await.unwrap().last, 2);
    assert_eq!(payloads(&store, &id("r")).await, ["a", "b"]);
}

pub(super) async fn what_does_not_fit_is_refused(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let largest = vec![7; ENTRY_BYTES_MAX];
    store.write(&lease, Changes::at(NOW).append(entry(largest.clone()))).await.unwrap();
    let read = store.journal(&id("r"), 1, 10).await.unwrap();
    assert_eq!(read.entries[0].payload, largest);
    let too_large = Changes::at(NOW).append(entry(vec![7; ENTRY_BYTES_MAX + 1]));
    assert!(matches!(store.write(&lease, too_large).await, Err(StoreError::TooLarge { .. })));
    let too_large = mesh_store::BLOB_BYTES_MAX + 1;
    assert!(matches!(store.put_blob(vec![0; too_large], NOW).await, Err(StoreError::TooLarge { .. })));
}

pub(super) async fn a_journal_is_read_from_any_entry(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for number in 1..=10 {
        append(&store, &lease, &number.to_string()).await.unwrap();
    }
    for (from, limit, expected) in [(0, 3, 1..4), (4, 100, 4..11), (10, 1, 10..11), (11, 5, 11..11)] {
        let page = store.journal(&id("r"), from, limit).await.unwrap();
        assert_eq!((page.last, page.damage), (10, None));
        assert!(page.entries.iter().map(|entry| entry.seq).eq(expected), "from {from}");
    }
}

pub(super) async fn a_dropped_write_is_whole_or_absent(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for number in 0..40 {
        let two = Changes::at(NOW).append(entry(format!("{number}a"))).append(entry(format!("{number}b")));
        let write = store.write(&lease, two);
        // Polled once, then dropped: it may be under way by now.
        assert!(write.now_or_never().is_none_or(|written| written.is_ok()));
    }
    append(&store, &lease, "last").await.unwrap();
    let there = payloads(&store, &id("r")).await;
    let (pairs, last) = there.split_at(there.len() - 1);
    assert_eq!(last, ["last"]);
    for pair in pairs.chunks(2) {
        assert_eq!(pair[0].trim_end_matches('a'), pair[1].trim_end_matches('b'));
    }
}
