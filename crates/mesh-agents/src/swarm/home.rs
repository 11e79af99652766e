//! Where a swarm is kept: a run of the store, and the lease of it.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use mesh::{SpawnContext, StartError};
use mesh_store::{ContentHash, Lease, Name, NewRun, Resource, RunId, Store, StoreError};
use tokio::time::sleep;

use super::record::{Line, lines};
use super::{Fact, SwarmOrder};
use crate::durable::Clock;

/// Before the name of a swarm in that of its coordinator, which is found from all nodes: a slash would name one of them.
pub(super) const PREFIX: &str = "swarm-";
/// Before the name of a swarm in that of its topic.
pub(super) const TOPICS: &str = "swarm/";
/// How long a name is at most: so that it is a run's, too.
const NAME_BYTES_MAX: usize = 80;
/// Entries that are read at once: 256 KiB each, and a little more.
const PAGE: u32 = 32;
/// A lease that somebody has is waited for so many times as long as it lasts.
const PATIENCE: i64 = 3;

/// Another process of the same name is somebody else.
static BOOT: LazyLock<String> = LazyLock::new(|| uuid::Uuid::new_v4().simple().to_string()[..12].to_owned());

/// The place of one swarm in a store, which one life of its coordinator has for itself.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) store: Store,
    pub(super) lease: Lease,
    pub(super) lease_ms: u32,
    pub(super) clock: Clock,
}

/// All that is known of a swarm.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) facts: Vec<Fact>,
    pub(super) inputs: HashMap<String, ContentHash>,
    pub(super) results: HashMap<String, ContentHash>,
    pub(super) is_draining: bool,
    pub(super) is_stopped: bool,
}

/// The name of a swarm by that of its coordinator: 1 to 80 bytes of `a-z A-Z 0-9 . _ -`.
pub(super) fn swarm_of(actor: &str) -> Result<&str, StartError> {
    let fits = |name: &&str| !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('/');
    let wrong = || {
        StartError::new(format!(
            "a coordinator is called {PREFIX}NAME, with a NAME of 1 to {NAME_BYTES_MAX} bytes, not {actor}"
        ))
    };
    actor.strip_prefix(PREFIX).filter(fits).ok_or_else(wrong)
}

impl Home {
    /// Takes the swarm up, once nobody else has it.
    pub(super) async fn open(
        store: Store,
        name: &str,
        lease_ms: u32,
        cx: &SpawnContext,
    ) -> Result<Self, StartError> {
        let clock = Clock::system();
        let run: RunId = format!("swarm.{name}").parse()?;
        match store.run(&run).await {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => create(&store, &run, &clock, cx).await?,
            Err(error) => return Err(error.into()),
        }
        let holder =
            Holder { process: format!("{}@{}", cx.mesh.node_name(), *BOOT), life: cx.epoch.unwrap_or(0) };
        let lease = take(&store, &run, &holder, lease_ms, &clock).await?;
        Ok(Self { store, lease, lease_ms, clock })
    }

    pub(super) fn run(&self) -> &RunId {
        let Resource::Run(run) = &self.lease.resource else { unreachable!("the lease is of a run") };
        run
    }

    /// Reads all that was written.
    pub(super) async fn read(&self) -> Result<Kept, StartError> {
        let (mut kept, mut from) = (Kept::default(), 1);
        loop {
            let page = self.store.journal(self.run(), from, PAGE).await?;
            for entry in &page.entries {
                for line in lines(entry).map_err(StartError::new)? {
                    kept.take(line);
                }
                from = entry.seq + 1;
            }
            if let Some(damage) = page.damage {
                return Err(damage.into());
            }
            if page.entries.is_empty() || from > page.last {
                return Ok(kept);
            }
        }
    }
}

impl Kept {
    fn take(&mut self, line: Line) {
        match line {
            Line::Fact(fact) => self.facts.push(fact),
            Line::Input { task, hash } => keep(&mut self.inputs, task, &hash),
            Line::Result { task, hash } => keep(&mut self.results, task, &hash),
            Line::Order(SwarmOrder::Drain) => self.is_draining = true,
            Line::Order(SwarmOrder::Stop) => self.is_stopped = true,
            Line::Order(SwarmOrder::Resume) => self.is_stopped = false,
            Line::Life { .. } => {}
        }
    }
}

fn keep(hashes: &mut HashMap<String, ContentHash>, task: String, hash: &str) {
    if let Ok(hash) = hash.parse() {
        hashes.insert(task, hash);
    }
}

/// A first life may begin with nothing. A later one that finds nothing looks in the wrong store, and would have lost all
/// tasks without a word.
async fn create(store: &Store, run: &RunId, clock: &Clock, cx: &SpawnContext) -> Result<(), StartError> {
    if let Some(life) = cx.epoch.filter(|life| *life > 1) {
        return Err(StartError::new(format!(
            "{} is in its life {life}, and the store of node {} knows nothing of it: give the nodes one store, or run it on \
             the node that has its store",
            cx.name,
            cx.mesh.node_name()
        )));
    }
    let new = NewRun::new("swarm".parse()?, clock.now_ms()).id(run.clone()).status("open".parse()?);
    match store.create_run(new).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A life of a coordinator: its process, and which of the lives of a placed actor it is.
struct Holder {
    process: String,
    life: u64,
}

impl Holder {
    fn name(&self) -> Result<Name, StartError> {
        Ok(format!("{}:{}", self.process, self.life).parse()?)
    }

    /// Whether who holds the lease is over: a former life in this process, or an earlier one of the same placed actor, which
    /// may be on the other side of a cut and not know that it is over. It is refused from then on.
    fn is_after(&self, by: &Name) -> bool {
        let Some((process, life)) = by.as_str().rsplit_once(':') else { return false };
        process == self.process || life.parse().is_ok_and(|life: u64| life < self.life)
    }
}

/// Takes the lease: at once from a life that is over, else when its time is over.
async fn take(
    store: &Store,
    run: &RunId,
    holder: &Holder,
    lease_ms: u32,
    clock: &Clock,
) -> Result<Lease, StartError> {
    let resource = || Resource::Run(run.clone());
    let end_ms = clock.now_ms() + PATIENCE * i64::from(lease_ms);
    loop {
        let now_ms = clock.now_ms();
        match store.acquire(resource(), holder.name()?, lease_ms, now_ms).await {
            Ok(lease) => return Ok(lease),
            Err(StoreError::Held { by, epoch, until_ms, .. }) if holder.is_after(&by) => {
                let former = Lease { resource: resource(), holder: by, epoch, until_ms };
                match store.release(&former).await {
                    Ok(()) | Err(StoreError::Fenced { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(StoreError::Held { until_ms, .. }) if now_ms < end_ms => {
                let pause_ms = u64::try_from(until_ms - now_ms).unwrap_or(0).clamp(10, 1000);
                sleep(Duration::from_millis(pause_ms)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
