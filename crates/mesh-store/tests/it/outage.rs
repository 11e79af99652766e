//! Connections that break in the middle of things.

use mesh_store::{Lease, Resource, Store, StoreError};
use sqlx::{Connection, PgConnection};

use crate::place::Place;
use crate::words::{append, id, leased, payloads};

/// Four writers, whose connections the server ends again and again: what was acknowledged is there, once, and what
/// certainly was not written is not.
pub(crate) async fn broken_connections_lose_nothing_acknowledged(place: &Place) {
    let Place::Postgres { url, .. } = place else { panic!("it is about connections") };
    let store = place.open().await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (store, run) = (store.clone(), format!("r{number}"));
        let (_, lease) = leased(&store, &run).await;
        writers.spawn(async move {
            let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
            for entry in 0..150 {
                match append(&store, &lease, &entry.to_string()).await {
                    Ok(_) => acknowledged.push(entry.to_string()),
                    Err(error @ StoreError::Io { .. }) if error.may_have_been_written() => {}
                    Err(StoreError::Io { .. } | StoreError::Busy { .. }) => refused.push(entry.to_string()),
                    Err(error) => panic!("{error}"),
                }
            }
            (run, acknowledged, refused)
        });
    }
    let mut server = PgConnection::connect(url).await.unwrap();
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'mesh-store' AND pid <> pg_backend_pid()";
    let (mut ended, mut finished) = (0, Vec::new());
    while finished.len() < 4 {
        ended += sqlx::query(end_all).fetch_all(&mut server).await.unwrap().len();
        while let Some(writer) = writers.try_join_next() {
            finished.push(writer.unwrap());
        }
    }
    // Those in the pool may be the ones that were ended last.
    store.close().await;
    let store = place.open().await;
    for (run, acknowledged, refused) in finished {
        let there = payloads(&store, &id(&run)).await;
        let times = |entry: &String| there.iter().filter(|other| *other == entry).count();
        assert!(acknowledged.iter().all(|entry| times(entry) == 1), "{run}: {acknowledged:?} {there:?}");
        assert!(refused.iter().all(|entry| times(entry) == 0), "{run}: {refused:?} {there:?}");
        append(&store, &lease_of(&store, &run).await, "it goes on").await.unwrap();
    }
    println!("connections were told to end {ended} times");
    assert!(ended > 3);
}

async fn lease_of(store: &Store, run: &str) -> Lease {
    store.holder(Resource::Run(id(run))).await.unwrap().unwrap()
}
