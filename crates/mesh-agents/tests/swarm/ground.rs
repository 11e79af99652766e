//! Nodes in memory that share one store, with a swarm on them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh::{AskError, Authority, MemoryNetwork, Mesh, Node, NodeConfig, Runtimes, Stop};
use mesh_agents::swarm::{Coordinator, ListTasks, Swarm, SwarmArgs, SwarmError, TaskRow, Worker, WorkerArgs};
use mesh_store::{SqliteOptions, Store};
use tokio::time::{Instant, timeout};

use crate::acts::{Acts, Stage};

/// Every wait of a test ends.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// The kind of the workers.
pub(crate) const ACTS: &str = "acts";

pub(crate) struct Ground {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) network: MemoryNetwork,
    authority: Authority,
    pub(crate) nodes: Vec<Node>,
    pub(crate) stage: Arc<Stage>,
}

/// A coordinator that is heard of soon.
pub(crate) fn args() -> SwarmArgs {
    SwarmArgs { takeover_ms: Some(300), ..SwarmArgs::default() }
}

impl Ground {
    pub(crate) async fn of(names: &[&str]) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::create("test").unwrap());
        let (network, stage) = (MemoryNetwork::new(), Arc::default());
        let mut ground = Self { folder, network, authority, nodes: Vec::new(), stage };
        for name in names {
            ground.add(name, "store.db").await;
        }
        ground
    }

    /// A node with a store in this file.
    pub(crate) async fn add(&mut self, name: &str, file: &str) {
        let peer_id = self.authority.issue_node(name).unwrap().peer_id().clone();
        let endpoint = self.network.endpoint(peer_id.clone());
        let seeds = self.nodes.iter().map(|node| node.local_addr().to_string()).collect();
        let store = open(&self.folder.path().join(file)).await;
        let builder = Node::builder(NodeConfig { seeds, ..NodeConfig::default() })
            .register::<Coordinator>(Coordinator::KIND)
            .register::<Worker<Acts>>(ACTS)
            .extension(Arc::new(store))
            .extension(Arc::clone(&self.stage));
        self.nodes.push(builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap());
        let count = self.nodes.len();
        for node in &self.nodes {
            eventually("every member", || {
                let alive =
                    node.mesh().members().into_iter().filter(|member| member.state == "alive").count();
                if alive == count { Ok(()) } else { Err(format!("{alive}")) }
            })
            .await;
        }
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        self.nodes[0].mesh()
    }

    /// The swarm `s` with its coordinator on the first node.
    pub(crate) async fn swarm(&self, args: &SwarmArgs) -> Swarm {
        self.swarm_on("alpha", args).await
    }

    pub(crate) async fn swarm_on(&self, node: &str, args: &SwarmArgs) -> Swarm {
        let starts = async {
            loop {
                match Swarm::start_on(self.mesh(), node, "s", args).await {
                    // A former one is still ending.
                    Err(SwarmError::Mesh(AskError::NameTaken { .. })) => a_moment().await,
                    started => return started.unwrap(),
                }
            }
        };
        let swarm = timeout(LIMIT, starts).await.unwrap();
        timeout(LIMIT, async {
            while swarm.status().await.is_err() {
                a_moment().await;
            }
        })
        .await
        .unwrap();
        swarm
    }

    /// A worker of `s` called `name` on a node.
    pub(crate) async fn worker(&self, node: &str, name: &str, can: &[&str]) {
        let args = can.iter().fold(WorkerArgs::<()>::of("s"), |args, can| args.can(*can));
        let args = serde_json::to_string(&args).unwrap();
        self.mesh().spawn_kind(node, ACTS, name, &args).await.unwrap();
    }

    pub(crate) async fn stop(&self, node: &str, name: &str) {
        let own = self.mesh().recipient::<Stop>(&format!("{node}/mesh")).unwrap();
        own.ask(Stop { name: name.to_owned() }).timeout(LIMIT).await.unwrap().unwrap();
    }
}

pub(crate) async fn open(file: &Path) -> Store {
    Store::open_sqlite(file, SqliteOptions::default()).await.unwrap()
}

pub(crate) async fn rows(swarm: &Swarm) -> Vec<TaskRow> {
    swarm.list(ListTasks::default()).await.unwrap().tasks
}

pub(crate) async fn row(swarm: &Swarm, task: &str) -> TaskRow {
    rows(swarm).await.into_iter().find(|row| row.task == task).unwrap()
}

/// Task and state of each, in the order of their submission.
pub(crate) async fn states(swarm: &Swarm) -> Vec<(String, String)> {
    rows(swarm).await.into_iter().map(|row| (row.task, row.state)).collect()
}

pub(crate) fn code(error: &SwarmError) -> &str {
    match error {
        SwarmError::Refused(failure) => &failure.code,
        other => panic!("no refusal: {other}"),
    }
}

/// Looks again and again until it is as it should be.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(Instant::now() < end, "{what}: {seen}"),
        }
        a_moment().await;
    }
}

/// Between two looks.
pub(crate) async fn a_moment() {
    let _ = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
}
