use mesh_store::{Changes, NewRun, Resource, RunFilter, StoreError};

use crate::place::Place;
use crate::words::{NOW, TTL, append, call, entry, id, leased, name, payloads};

pub(super) async fn a_run_is_found_by_its_id_status_tag_and_kind(place: &Place) {
    let store = place.open().await;
    let new = |run: &str, kind: &str| NewRun::new(name(kind), NOW).id(id(run));
    store.create_run(new("1", "report").tag(name("b")).tag(name("a"))).await.unwrap();
    store.create_run(new("2", "report").status(name("paused")).tag(name("a"))).await.unwrap();
    store.create_run(new("3", "chat").entry(entry("do it"))).await.unwrap();

    let found = store.run(&id("1")).await.unwrap();
    assert_eq!((found.tags, found.entries), (vec![name("a"), name("b")], 0));
    assert_eq!(payloads(&store, &id("3")).await, ["do it"]);
    for (filter, expected) in [
        (RunFilter::default(), vec!["1", "2", "3"]),
        (RunFilter { status: Some(name("paused")), ..RunFilter::default() }, vec!["2"]),
        (RunFilter { tag: Some(name("a")), ..RunFilter::default() }, vec!["1", "2"]),
        (RunFilter { kind: Some(name("chat")), ..RunFilter::default() }, vec!["3"]),
        (RunFilter { status: Some(name("idle")), tag: Some(name("a")), ..RunFilter::default() }, vec!["1"]),
    ] {
        let ids: Vec<_> = store.runs(filter.clone()).await.unwrap().into_iter().map(|run| run.id).collect();
        assert_eq!(ids, expected.into_iter().map(id).collect::<Vec<_>>(), "{filter:?}");
    }

    let lease = store.acquire(Resource::Run(id("1")), name("alpha"), TTL, NOW).await.unwrap();
    let changes = Changes::at(NOW + 5).status(name("completed")).tags([name("c")]);
    store.write(&lease, changes).await.unwrap();
    let run = store.run(&id("1")).await.unwrap();
    assert_eq!((run.status, run.tags, run.updated_ms), (name("completed"), vec![name("c")], NOW + 5));
    let tagged = |tag: &str| store.runs(RunFilter { tag: Some(name(tag)), ..RunFilter::default() });
    assert_eq!(tagged("c").await.unwrap().len(), 1);
    assert_eq!(tagged("b").await.unwrap().len(), 0);
}

pub(super) async fn an_id_is_neither_a_prefix_nor_a_pattern(place: &Place) {
    let store = place.open().await;
    let mut leases = Vec::new();
    for run in ["a", "a_b", "axb", "A"] {
        let (_, lease) = leased(&store, run).await;
        append(&store, &lease, run).await.unwrap();
        leases.push(lease);
    }
    for run in ["a", "a_b", "axb", "A"] {
        assert_eq!(payloads(&store, &id(run)).await, [run]);
    }
    store.delete_run(&leases[0]).await.unwrap();
    assert_eq!(payloads(&store, &id("a_b")).await, ["a_b"]);
}

pub(super) async fn two_runs_cannot_have_one_id(place: &Place) {
    let store = place.open().await;
    let create = || store.create_run(NewRun::new(name("test"), NOW).id(id("one")));
    let (first, second) = tokio::join!(create(), create());
    let failed = [first.err(), second.err()].into_iter().flatten().collect::<Vec<_>>();
    assert!(matches!(failed[..], [StoreError::Conflict { .. }]), "{failed:?}");
    assert_eq!(store.run(&id("two")).await, Err(StoreError::NotFound { what: "run", id: "two".to_owned() }));
}

pub(super) async fn lists_come_in_pages(place: &Place) {
    let store = place.open().await;
    let mut created = Vec::new();
    for _ in 0..25 {
        created.push(store.create_run(NewRun::new(name("test"), NOW)).await.unwrap().id);
    }
    let mut listed = Vec::new();
    loop {
        let filter = RunFilter { after: listed.last().cloned(), limit: 10, ..RunFilter::default() };
        let page = store.runs(filter).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|run| run.id));
    }
    assert_eq!(listed, created, "the order of generated ids is that of creation");
}

pub(super) async fn a_deleted_run_leaves_nothing_but_its_epoch(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "gone").await;
    append(&store, &lease, "secret").await.unwrap();
    store.intend(&lease, call("c1", "x"), NOW).await.unwrap();
    store.delete_run(&lease).await.unwrap();
    assert!(matches!(store.run(&id("gone")).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(append(&store, &lease, "late").await, Err(StoreError::Fenced { .. })));

    let (_, again) = leased(&store, "gone").await;
    assert_eq!(again.epoch, lease.epoch + 1);
    assert_eq!(payloads(&store, &id("gone")).await, Vec::<String>::new());
    assert!(matches!(append(&store, &lease, "late").await, Err(StoreError::Fenced { .. })));
    assert_eq!(append(&store, &again, "first").await, Ok(1));
}

pub(super) async fn a_closed_store_refuses(place: &Place) {
    let store = place.open().await;
    let (run, lease) = leased(&store, "r").await;
    let clone = store.clone();
    store.close().await;
    store.close().await;
    assert_eq!(append(&clone, &lease, "late").await, Err(StoreError::Closed));
    assert_eq!(clone.run(&run.id).await, Err(StoreError::Closed));
}

pub(super) async fn everything_survives_a_restart(place: &Place) {
    let store = place.open().await;
    let (_, lease) = leased(&store, "r").await;
    append(&store, &lease, "one").await.unwrap();
    let hash = store.put_blob("large", NOW).await.unwrap();
    store.intend(&lease, call("c1", "x"), NOW).await.unwrap();
    let before = (store.run(&id("r")).await.unwrap(), store.calls(&id("r")).await.unwrap());
    store.close().await;

    let store = place.open().await;
    assert_eq!((store.run(&id("r")).await.unwrap(), store.calls(&id("r")).await.unwrap()), before);
    assert_eq!(store.blob(hash).await.unwrap(), "large");
    assert_eq!(store.holder(Resource::Run(id("r"))).await.unwrap(), Some(lease.clone()));
    assert_eq!(append(&store, &lease, "two").await, Ok(2), "the lease goes on");
}

pub(super) async fn a_newer_store_is_not_touched(place: &Place) {
    place.open().await.close().await;
    place.tamper("INSERT INTO mesh_store_schema (version, program) VALUES (99, '9.9')").await;
    assert_eq!(place.try_open().await.err(), Some(StoreError::Newer { found: 99, known: 2 }));
    place.tamper("DELETE FROM mesh_store_schema WHERE version = 99").await;
    place.open().await;
}
