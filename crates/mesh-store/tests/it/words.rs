//! Short ways to say what the tests are not about.

use bytes::Bytes;
use mesh_store::{
    Changes, ContentHash, Lease, Name, NewCall, NewEntry, NewRun, Resource, Run, RunId, Store, StoreError,
};

/// Some time in 2027.
pub(crate) const NOW: i64 = 1_800_000_000_000;
/// How long leases last here.
pub(crate) const TTL: u32 = 30_000;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn id(text: &str) -> RunId {
    text.parse().unwrap()
}

pub(crate) fn entry(payload: impl Into<Bytes>) -> NewEntry {
    NewEntry::new(name("step.done"), payload)
}

pub(crate) fn call(key: &str, args: &str) -> NewCall {
    NewCall {
        key: name(key),
        tool: name("mail.send"),
        args_hash: ContentHash::of(args.as_bytes()),
        policy: mesh_store::CallPolicy::Manual,
    }
}

/// A new run with a lease.
pub(crate) async fn leased(store: &Store, run: &str) -> (Run, Lease) {
    let run = store.create_run(NewRun::new(name("test"), NOW).id(id(run))).await.unwrap();
    let lease = store.acquire(Resource::Run(run.id.clone()), name("alpha@1"), TTL, NOW).await.unwrap();
    (run, lease)
}

pub(crate) async fn append(store: &Store, lease: &Lease, payload: &str) -> Result<u64, StoreError> {
    let entry = entry(payload.to_owned());
    store.write(lease, Changes::at(NOW).append(entry)).await.map(|written| written.last)
}

/// All payloads of a run's journal, which must be whole.
pub(crate) async fn payloads(store: &Store, run: &RunId) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = store.journal(run, all.len() as u64 + 1, 100).await.unwrap();
        assert_eq!(page.damage, None);
        all.extend(page.entries.iter().map(|entry| String::from_utf8(entry.payload.to_vec()).unwrap()));
        if all.len() as u64 == page.last {
            return all;
        }
    }
}
