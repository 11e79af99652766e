use mesh_store::{Changes, CheckpointId, Lease, NewCheckpoint, NewRun, Resource, Store, StoreError};

use crate::place::Place;
use crate::words::{NOW, TTL, append, id, leased, name};

async fn save(store: &Store, lease: &Lease, checkpoint: NewCheckpoint, at_ms: i64) -> CheckpointId {
    store.write(lease, Changes::at(at_ms).checkpoint(checkpoint)).await.unwrap().checkpoint.unwrap()
}

async fn ids(store: &Store, run: &str) -> Vec<CheckpointId> {
    store.checkpoints(&id(run), None, 1000).await.unwrap().into_iter().map(|saved| saved.id).collect()
}

pub(super) async fn the_latest_is_the_last_that_was_saved_whatever_the_clock_says(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    assert_eq!(store.latest_checkpoint(&id("r")).await.unwrap().checkpoint, None);
    let mut saved = Vec::new();
    // The same step twice, twice in a millisecond, and a clock that goes back by an hour.
    for (step, at_ms) in [(1, NOW), (1, NOW), (2, NOW + 1), (2, NOW - 3_600_000), (1, NOW)] {
        let payload = format!("state {}", saved.len());
        saved.push(save(&store, &lease, NewCheckpoint::new(step, payload), at_ms).await);
    }
    let latest = store.latest_checkpoint(&id("r")).await.unwrap().checkpoint.unwrap();
    assert_eq!((latest.id, &latest.payload[..]), (saved[4], &b"state 4"[..]));
    assert_eq!((latest.parent, latest.at_ms), (Some(saved[3]), NOW));
    let newest_first: Vec<_> = saved.iter().rev().copied().collect();
    assert_eq!(ids(&store, "r").await, newest_first);
    let page = store.checkpoints(&id("r"), Some(saved[3]), 2).await.unwrap();
    assert_eq!(page.iter().map(|saved| saved.id).collect::<Vec<_>>(), newest_first[2..4]);
    assert_eq!(store.checkpoint(saved[0]).await.unwrap().parent, None);
}

pub(super) async fn retention_keeps_the_newest_and_what_they_need(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let mut saved = Vec::new();
    for step in 0..8 {
        let mut new = NewCheckpoint::new(step, "s");
        if step == 1 {
            new = new.tag(name("pin"));
        }
        if step == 5 || step == 6 {
            new = new.needs_parent();
        }
        saved.push(save(&store, &lease, new, NOW).await);
    }
    // 7 and 6 are the newest; 6 needs 5, which needs 4; 1 is pinned.
    assert_eq!(store.retain_checkpoints(&lease, 2).await, Ok(3));
    assert_eq!(ids(&store, "r").await, [saved[7], saved[6], saved[5], saved[4], saved[1]]);
    assert_eq!(store.retain_checkpoints(&lease, 0).await, Ok(3), "the newest stays");
    assert_eq!(ids(&store, "r").await, [saved[7], saved[1]]);
    store.delete_checkpoint(&lease, saved[1]).await.unwrap();
    assert_eq!(store.run(&id("r")).await.unwrap().checkpoints, 1);
}

pub(super) async fn retention_never_touches_another_run(place: &Place) {
    let store = place.open().await;
    let (_, a) = leased(&store, "a").await;
    let (_, b) = leased(&store, "a_b").await;
    for step in 0..5 {
        save(&store, &a, NewCheckpoint::new(step, "a"), NOW).await;
        save(&store, &b, NewCheckpoint::new(step, "b"), NOW).await;
    }
    assert_eq!(store.retain_checkpoints(&a, 1).await, Ok(4));
    assert_eq!(ids(&store, "a_b").await.len(), 5);
    assert!(matches!(
        store.delete_checkpoint(&a, ids(&store, "a_b").await[0]).await,
        Err(StoreError::NotFound { .. })
    ));
}

pub(super) async fn a_fork_goes_on_from_its_origin(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "trunk").await;
    let origin = save(&store, &lease, NewCheckpoint::new(1, "then"), NOW).await;
    save(&store, &lease, NewCheckpoint::new(2, "now"), NOW).await;
    let fork = NewRun::new(name("test"), NOW).id(id("fork")).forked_from(origin);
    assert_eq!(store.create_run(fork).await.unwrap().origin, Some(origin));
    let latest = store.latest_checkpoint(&id("fork")).await.unwrap().checkpoint.unwrap();
    assert_eq!((&latest.payload[..], latest.run), (&b"then"[..], id("trunk")));

    let branch = store.acquire(Resource::Run(id("fork")), name("b"), TTL, NOW).await.unwrap();
    let first = save(&store, &branch, NewCheckpoint::new(2, "otherwise").needs_parent(), NOW).await;
    assert_eq!(store.checkpoint(first).await.unwrap().parent, Some(origin));
    let trunk = store.latest_checkpoint(&id("trunk")).await.unwrap().checkpoint.unwrap();
    assert_eq!(trunk.payload, "now");

    // The origin outlives what would delete it, until the fork is gone.
    assert_eq!(store.retain_checkpoints(&lease, 1).await, Ok(0));
    assert!(matches!(store.delete_checkpoint(&lease, origin).await, Err(StoreError::Conflict { .. })));
    assert!(matches!(store.delete_run(&lease).await, Err(StoreError::Conflict { .. })));
    store.delete_run(&branch).await.unwrap();
    assert_eq!(store.retain_checkpoints(&lease, 1).await, Ok(1));
    let nothing = NewRun::new(name("test"), NOW).forked_from(origin);
    assert!(matches!(store.create_run(nothing).await, Err(StoreError::NotFound { .. })));
    store.delete_run(&lease).await.unwrap();
}

pub(super) async fn a_checkpoint_that_is_needed_is_not_deleted(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    append(&store, &lease, "x").await.unwrap();
    let whole = save(&store, &lease, NewCheckpoint::new(1, "whole"), NOW).await;
    let difference = save(&store, &lease, NewCheckpoint::new(2, "difference").needs_parent(), NOW).await;
    assert!(matches!(store.delete_checkpoint(&lease, whole).await, Err(StoreError::Conflict { .. })));
    store.delete_checkpoint(&lease, difference).await.unwrap();
    let latest = store.latest_checkpoint(&id("r")).await.unwrap().checkpoint.unwrap();
    assert_eq!(latest.id, whole, "the one before is the latest again");
    store.delete_checkpoint(&lease, whole).await.unwrap();
    assert_eq!(store.latest_checkpoint(&id("r")).await.unwrap().checkpoint, None);
}
