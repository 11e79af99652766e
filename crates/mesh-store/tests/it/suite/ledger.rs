use futures::future::join_all;
use mesh_store::{CallOutcome, Changes, Intent, Resource, StoreError};

use crate::place::Place;
use crate::words::{NOW, TTL, call, entry, id, leased, name};

fn outcome(payload: &'static str) -> CallOutcome {
    CallOutcome { is_ok: true, payload: payload.into(), at_ms: NOW + 1 }
}

pub(super) async fn a_finished_call_is_not_made_again(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let first = store.intend(&lease, call("c1", "to bob"), NOW).await.unwrap();
    assert!(matches!(first, Intent::Fresh(ref call) if call.number == 1 && call.outcome.is_none()));
    let done = Changes::at(NOW).outcome(name("c1"), outcome("sent")).append(entry("sent"));
    store.write(&lease, done).await.unwrap();

    let again = store.intend(&lease, call("c1", "to bob"), NOW).await.unwrap();
    assert!(matches!(again, Intent::Finished(ref call) if call.outcome == Some(outcome("sent"))));
    let other = store.intend(&lease, call("c1", "to eve"), NOW).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })));

    // Told twice is told once; told otherwise is a mistake.
    store.write(&lease, Changes::at(NOW).outcome(name("c1"), outcome("sent"))).await.unwrap();
    let otherwise = store.write(&lease, Changes::at(NOW).outcome(name("c1"), outcome("lost"))).await;
    assert!(matches!(otherwise, Err(StoreError::Conflict { .. })));
    // The same key in another run is another call.
    let (_, other) = leased(&store, "r2").await;
    assert!(matches!(store.intend(&other, call("c1", "x"), NOW).await, Ok(Intent::Fresh(_))));
}

pub(super) async fn a_call_without_an_outcome_is_in_doubt(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    for key in ["c1", "c2", "c3"] {
        store.intend(&lease, call(key, key), NOW).await.unwrap();
    }
    let failed = CallOutcome { is_ok: false, ..outcome("no such address") };
    store.write(&lease, Changes::at(NOW).outcome(name("c2"), failed.clone())).await.unwrap();
    store.close().await;

    let store = place.open().await;
    let later = NOW + i64::from(TTL);
    let next = store.acquire(Resource::Run(id("r")), name("beta"), TTL, later).await.unwrap();
    let in_doubt = store.calls_in_doubt(&id("r")).await.unwrap();
    assert!(in_doubt.iter().map(|call| call.key.as_str()).eq(["c1", "c3"]));
    assert_eq!(store.calls(&id("r")).await.unwrap()[1].outcome, Some(failed));
    assert!(matches!(store.intend(&next, call("c1", "c1"), NOW).await, Ok(Intent::InDoubt(_))));
    // Who had it before cannot even say how it ended.
    let late = store.write(&lease, Changes::at(NOW).outcome(name("c1"), outcome("sent"))).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })));
}

pub(super) async fn one_of_many_who_intend_the_same_call_may_make_it(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    let intents = (0..10).map(|_| {
        let (store, lease) = (store.clone(), lease.clone());
        tokio::spawn(async move { store.intend(&lease, call("c1", "x"), NOW).await.unwrap() })
    });
    let intents: Vec<_> = join_all(intents).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(intents.iter().filter(|intent| matches!(intent, Intent::Fresh(_))).count(), 1);
    assert_eq!(store.run(&id("r")).await.unwrap().calls, 1);
}
