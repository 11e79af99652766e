//! This very program as another process, that can be killed or robbed of its disk.
//!
//! A child says on its standard output what it was told: `ack …` for what was acknowledged, `failed CODE` for what was
//! not.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use mesh_store::{
    CallOutcome, Changes, Lease, NewCheckpoint, NewRun, Resource, SqliteOptions, Store, StoreError,
};

use crate::words::{NOW, TTL, call, entry, id, name, payloads};

const ROLE: &str = "MESH_STORE_ROLE";
const FILE: &str = "MESH_STORE_FILE";
const LIFE: &str = "MESH_STORE_LIFE";

/// How many write at once in a child.
pub(crate) const WRITERS: usize = 4;

/// The arguments that make this program the child below, and nothing else.
pub(crate) fn arguments() -> [&'static str; 3] {
    ["child::a_child_does_as_it_is_told", "--exact", "--nocapture"]
}

/// A command that becomes a child: itself, or under another program that is given its path and arguments.
pub(crate) fn command(under: &[&str], role: &str, file: &Path, life: u64) -> Command {
    let own = env::current_exe().unwrap();
    let mut command = match under {
        [] => Command::new(own),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(own);
            command
        }
    };
    command.args(arguments()).env(ROLE, role).env(FILE, file).env(LIFE, life.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_does_as_it_is_told() {
    let (Ok(role), Ok(file), Ok(life)) = (env::var(ROLE), env::var(FILE), env::var(LIFE)) else { return };
    let life: i64 = life.parse().unwrap();
    // Each life is later than the leases of the one before.
    let now = NOW + life * i64::from(TTL);
    let file = Path::new(&file);
    match role.as_str() {
        "write" => write(file, now, u64::MAX).await,
        "write until it fails" => write_until_it_fails(file, now).await,
        "fill the disk" => fill_the_disk(file, now).await,
        other => panic!("no role {other}"),
    }
}

async fn write(file: &Path, now: i64, steps: u64) {
    let store = Store::open_sqlite(file, SqliteOptions::default()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let lease = lease(&store, &format!("run-{number}"), now).await.unwrap();
            for step in 0..steps {
                one_step(&store, &lease, now, step).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}

async fn lease(store: &Store, run: &str, now: i64) -> Result<Lease, StoreError> {
    match store.create_run(NewRun::new(name("test"), now).id(id(run))).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error),
    }
    store.acquire(Resource::Run(id(run)), name("child"), TTL, now).await
}

/// An intent, its outcome with an entry and sometimes a checkpoint. What is acknowledged is told at once.
async fn one_step(store: &Store, lease: &Lease, now: i64, step: u64) -> Result<(), StoreError> {
    let Resource::Run(run) = &lease.resource else { panic!("it is of a run") };
    let key = format!("call-{}-{step}", lease.epoch);
    store.intend(lease, call(&key, "x"), now).await?;
    println!("ack intent {run} {key}");
    let outcome = CallOutcome { is_ok: true, payload: key.clone().into(), at_ms: now };
    let payload = format!("{key}:{}", "x".repeat(usize::try_from(step % 5).unwrap() * 500));
    let mut changes = Changes::at(now).outcome(name(&key), outcome).append(entry(payload.clone()));
    if step.is_multiple_of(3) {
        changes = changes.checkpoint(NewCheckpoint::new(step, payload.clone()));
    }
    let written = store.write(lease, changes).await?;
    println!("ack entry {run} {} {payload}", written.last);
    println!("ack outcome {run} {key}");
    if let Some(checkpoint) = written.checkpoint {
        println!("ack checkpoint {run} {checkpoint}");
    }
    Ok(())
}

/// Goes on trying for a while after the first failure: nothing may be acknowledged then.
async fn write_until_it_fails(file: &Path, now: i64) {
    let failed = |error: &StoreError| println!("failed {} {}", error.code(), error.may_have_been_written());
    let store = match Store::open_sqlite(file, SqliteOptions::default()).await {
        Ok(store) => store,
        Err(error) => return failed(&error),
    };
    let mut lease = lease(&store, "run-0", now).await;
    let mut failures = 0;
    // A disk that is never asked to sync would let it go on for ever.
    for step in 0..2_000 {
        let done = match &lease {
            Ok(lease) => one_step(&store, lease, now, step).await,
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = done {
            failed(&error);
            failures += 1;
            if lease.is_err() {
                lease = self::lease(&store, "run-0", now).await;
            }
        }
        if failures == 5 {
            return;
        }
    }
}

/// On a disk of its own: what was acknowledged stays, and with room again the store goes on.
async fn fill_the_disk(file: &Path, now: i64) {
    let ballast = file.with_extension("ballast");
    std::fs::write(&ballast, vec![1; 7 << 19]).unwrap();
    let store = Store::open_sqlite(file, SqliteOptions::default()).await.unwrap();
    let lease = lease(&store, "run-0", now).await.unwrap();
    let mut acknowledged = 0;
    let large = || Changes::at(now).append(entry("x".repeat(50_000)));
    let error = loop {
        match store.write(&lease, large()).await {
            Ok(written) => acknowledged = written.last,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(!error.may_have_been_written() && acknowledged > 3, "{acknowledged}");
    assert!(store.write(&lease, large()).await.is_err(), "it is still full");
    assert_eq!(payloads(&store, &id("run-0")).await.len() as u64, acknowledged, "it can be read");

    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(store.write(&lease, large()).await.unwrap().last, acknowledged + 1);
    store.close().await;
    let store = Store::open_sqlite(file, SqliteOptions::default()).await.unwrap();
    assert_eq!(payloads(&store, &id("run-0")).await.len() as u64, acknowledged + 1);
    println!("ack room again");
}
