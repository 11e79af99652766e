use std::collections::BTreeSet;

use futures::future::join_all;
use mesh_store::{Changes, Lease, NewRun, Resource, StoreError};

use crate::place::Place;
use crate::words::{NOW, TTL, append, entry, id, leased, name, payloads};

const LATER: i64 = NOW + TTL as i64;

pub(super) async fn one_of_many_who_ask_at_once_gets_the_lease(place: &Place) {
    let store = place.open().await;
    let resource = Resource::Named(name("scheduler"));
    for round in 1..=5 {
        let at = NOW + round * i64::from(TTL);
        let asking = (0..10).map(|number| {
            let (store, resource) = (store.clone(), resource.clone());
            tokio::spawn(
                async move { store.acquire(resource, name(&format!("node-{number}")), TTL, at).await },
            )
        });
        let answers: Vec<_> = join_all(asking).await.into_iter().map(Result::unwrap).collect();
        let given: Vec<&Lease> = answers.iter().flatten().collect();
        assert_eq!(given.len(), 1, "{answers:?}");
        assert_eq!(given[0].epoch, u64::try_from(round).unwrap());
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(refused, StoreError::Held { by, .. } if *by == given[0].holder), "{refused}");
        }
    }
}

pub(super) async fn a_late_write_is_fenced(place: &Place) {
    let store = place.open().await;
    let (_, old) = leased(&store, "r").await;
    append(&store, &old, "old").await.unwrap();
    let new = store.acquire(old.resource.clone(), name("beta@1"), TTL, LATER).await.unwrap();
    let fenced = Err(StoreError::Fenced {
        resource: old.resource.clone(),
        epoch: old.epoch,
        current: new.epoch,
        held_by: Some(name("beta@1")),
    });
    assert_eq!(append(&store, &old, "late").await, fenced);
    assert!(matches!(store.renew(&old, TTL, LATER).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.release(&old).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.retain_checkpoints(&old, 1).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.delete_run(&old).await, Err(StoreError::Fenced { .. })));
    // A forged one, with the epoch of another.
    let forged = Lease { epoch: new.epoch, ..old };
    assert!(matches!(append(&store, &forged, "forged").await, Err(StoreError::Fenced { .. })));
    append(&store, &new, "new").await.unwrap();
    assert_eq!(payloads(&store, &id("r")).await, ["old", "new"]);
}

pub(super) async fn an_epoch_only_ever_grows(place: &Place) {
    let store = place.open().await;
    let resource = Resource::Named(name("n"));
    for epoch in 1..=5 {
        let lease = store.acquire(resource.clone(), name("a"), TTL, NOW).await.unwrap();
        assert_eq!(lease.epoch, epoch);
        assert_eq!(store.holder(resource.clone()).await.unwrap(), Some(lease.clone()));
        store.release(&lease).await.unwrap();
        assert_eq!(store.holder(resource.clone()).await.unwrap(), None);
        assert!(matches!(store.release(&lease).await, Err(StoreError::Fenced { held_by: None, .. })));
    }
    let nobody = store.acquire(Resource::Run(id("nobody")), name("a"), TTL, NOW).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
}

pub(super) async fn a_lease_that_ran_out_is_good_until_somebody_else_has_it(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let early = store.acquire(lease.resource.clone(), name("b"), TTL, LATER - 1).await;
    assert!(matches!(early, Err(StoreError::Held { until_ms: LATER, .. })));
    append(&store, &lease, "long after").await.unwrap();
    let renewed = store.renew(&lease, TTL, LATER + 5).await.unwrap();
    assert_eq!((renewed.epoch, renewed.until_ms), (lease.epoch, LATER + 5 + i64::from(TTL)));
    assert_eq!(store.renew(&renewed, 1, NOW).await.unwrap().until_ms, renewed.until_ms, "never shorter");
    assert!(matches!(
        store.acquire(lease.resource.clone(), name("b"), TTL, LATER + 6).await,
        Err(StoreError::Held { .. })
    ));
}

pub(super) async fn claims_at_once_are_of_different_runs(place: &Place) {
    let store = place.open().await;
    for number in 10..30 {
        let new = NewRun::new(name("test"), NOW).id(id(&number.to_string())).status(name("executing"));
        store.create_run(new).await.unwrap();
    }
    store.create_run(NewRun::new(name("test"), NOW).id(id("99")).status(name("paused"))).await.unwrap();
    // Of these, one is held by somebody who is alive and one by somebody who is not.
    store.acquire(Resource::Run(id("10")), name("alive"), TTL, LATER).await.unwrap();
    store.acquire(Resource::Run(id("11")), name("dead"), TTL, NOW).await.unwrap();
    let claims = (0..25).map(|number| {
        let store = store.clone();
        let holder = name(&format!("node-{number}"));
        tokio::spawn(async move { store.claim(name("executing"), holder, TTL, LATER).await.unwrap() })
    });
    let claimed: Vec<Lease> = join_all(claims).await.into_iter().filter_map(Result::unwrap).collect();
    let runs: BTreeSet<_> = claimed.iter().map(|lease| lease.resource.clone()).collect();
    assert_eq!((claimed.len(), runs.len()), (19, 19));
    assert!(!runs.contains(&Resource::Run(id("10"))) && !runs.contains(&Resource::Run(id("99"))));
    let taken = claimed.iter().find(|lease| lease.resource == Resource::Run(id("11"))).unwrap();
    assert_eq!(taken.epoch, 2);
}

/// Ten holders take the run from each other while all write: what each wrote is one piece of the journal.
pub(super) async fn a_writer_never_overlaps_its_successor(place: &Place) {
    let store = place.open().await;
    leased(&store, "r").await;
    let writers = (0..10_i64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let at = NOW + (number + 1) * i64::from(TTL);
            let taken = store.acquire(Resource::Run(id("r")), name(&format!("w-{number}")), TTL, at).await;
            let Ok(lease) = taken else { return };
            for _ in 0..20 {
                let epoch = lease.epoch.to_string();
                if store.write(&lease, Changes::at(at).append(entry(epoch))).await.is_err() {
                    return;
                }
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let epochs: Vec<u64> =
        payloads(&store, &id("r")).await.iter().map(|epoch| epoch.parse().unwrap()).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    assert!(epochs.len() >= 20);
}
