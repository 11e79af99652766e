//! Durable writes per second, each an entry of 1 KiB that is on the disk when its future resolves.
//!
//! Run with `cargo run --release -p mesh-store --example commit_rates [FOLDER | postgres://…]`. The folder (the current
//! one by default) decides whose disk is measured. Each writer has a run of its own and waits for one write before the
//! next.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_store::{Changes, NewEntry, NewRun, PostgresOptions, Resource, SqliteOptions, Store};
use tokio::task::JoinSet;

const NOW: i64 = 1_800_000_000_000;
const WINDOW: Duration = Duration::from_secs(4);
const WRITERS: [usize; 4] = [1, 16, 128, 1024];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(if place.contains("://") { "." } else { &place })?;
    let store = if place.contains("://") {
        let schema = format!("rates_{}", std::process::id());
        let options = PostgresOptions { schema, connections: 32, ..PostgresOptions::default() };
        Store::open_postgres(&place, options).await?
    } else {
        let file: PathBuf = folder.path().join("store.db");
        Store::open_sqlite(file, SqliteOptions::default()).await?
    };
    for writers in WRITERS {
        measure(&store, writers).await?;
    }
    store.close().await;
    Ok(())
}

async fn measure(store: &Store, writers: usize) -> Result<(), Box<dyn Error>> {
    let mut leases = Vec::new();
    for _ in 0..writers {
        let run = store.create_run(NewRun::new("rates".parse()?, NOW)).await?;
        leases.push(store.acquire(Resource::Run(run.id), "rates".parse()?, u32::MAX, NOW).await?);
    }
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for lease in leases {
        let store = store.clone();
        tasks.spawn(async move {
            let kind = "entry".parse().expect("it is a name");
            let entry = NewEntry::new(kind, vec![7; 1024]);
            let mut times = Vec::new();
            while started.elapsed() < WINDOW {
                let before = Instant::now();
                let changes = Changes::at(NOW).append(entry.clone());
                store.write(&lease, changes).await.expect("the store works");
                times.push(before.elapsed());
            }
            times
        });
    }
    let mut times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{writers:>5} writers: {rate:>8.0} commits/s, p50 {p50:>9.2?}, p99 {p99:>9.2?}");
    Ok(())
}
