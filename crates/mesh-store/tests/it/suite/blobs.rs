use futures::future::join_all;
use mesh_store::{Changes, ContentHash, NewCheckpoint, StoreError};

use crate::place::Place;
use crate::words::{NOW, entry, leased};

pub(super) async fn equal_bytes_are_stored_once(place: &Place) {
    let store = place.open().await;
    let large = vec![9_u8; 300_000];
    let puts = (0..8).map(|_| {
        let (store, large) = (store.clone(), large.clone());
        tokio::spawn(async move { store.put_blob(large, NOW).await.unwrap() })
    });
    for hash in join_all(puts).await {
        assert_eq!(hash.unwrap(), ContentHash::of(&large));
    }
    assert_eq!(store.blob(ContentHash::of(&large)).await.unwrap(), large);
    assert_eq!(store.collect_blobs(NOW + 1).await, Ok(1), "there was one");
    assert!(matches!(store.blob(ContentHash::of(&large)).await, Err(StoreError::NotFound { .. })));
}

pub(super) async fn a_blob_goes_when_nobody_holds_on_to_it(place: &Place) {
    let store = place.open().await;
    let (_, a) = leased(&store, "a").await;
    let (_, b) = leased(&store, "b").await;
    let put = async |text: &'static str, at_ms| store.put_blob(text, at_ms).await.unwrap();
    let (shared, old, lately) = (put("shared", NOW).await, put("old", NOW).await, put("lately", NOW).await);
    put("lately", NOW + 1000).await;
    let held = NewCheckpoint::new(1, "s").with_blob(shared).with_blob(old);
    store.write(&a, Changes::at(NOW).checkpoint(held)).await.unwrap();
    store.write(&a, Changes::at(NOW).checkpoint(NewCheckpoint::new(2, "s").with_blob(shared))).await.unwrap();
    store.write(&b, Changes::at(NOW).append(entry("e").with_blob(shared))).await.unwrap();

    assert_eq!(store.collect_blobs(NOW + 500).await, Ok(0));
    store.retain_checkpoints(&a, 1).await.unwrap();
    assert_eq!(store.collect_blobs(NOW + 500).await, Ok(1), "the old one's checkpoint is gone");
    assert!(store.blob(old).await.is_err());
    store.delete_run(&a).await.unwrap();
    assert_eq!(store.collect_blobs(NOW + 500).await, Ok(0), "the other run's entry holds on to it");
    store.delete_run(&b).await.unwrap();
    assert_eq!(store.collect_blobs(NOW + 500).await, Ok(1));
    assert_eq!(store.blob(lately).await.unwrap(), "lately");
}
