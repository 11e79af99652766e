//! A node in memory with the runs of a store, and what one says to it.

use std::time::Duration;

use mesh::{Authority, MemoryNetwork, Message, Node, NodeConfig, Runtimes, WireMessage};
use mesh_agents::durable::{
    PauseRun, RunRefused, RunRow, RunSettings, RunShown, Runs, RunsActor, ShowRun, StartRun,
};
use tokio::time::Instant;

use crate::script::{LIMIT, Place};

pub(crate) struct Member {
    pub(crate) node: Node,
}

impl Member {
    /// A node of this name, alone in its mesh, on the store of the place.
    pub(crate) async fn start(name: &str, runs: Runs) -> Self {
        let authority = Authority::create("test").unwrap();
        let peer_id = authority.issue_node(name).unwrap().peer_id().clone();
        let endpoint = MemoryNetwork::new().endpoint(peer_id.clone());
        let builder = Node::builder(NodeConfig::default());
        let node = builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
        RunsActor::publish(node.mesh(), runs).unwrap();
        Self { node }
    }

    pub(crate) async fn ask<M, T>(&self, message: M) -> Result<T, RunRefused>
    where
        M: WireMessage + Message<Reply = Result<T, RunRefused>>,
    {
        let path = format!("{}/{}", self.node.name(), RunsActor::NAME);
        self.node.mesh().recipient::<M>(&path).unwrap().ask(message).timeout(LIMIT).await.unwrap()
    }

    pub(crate) async fn begin(&self, task: &str) -> RunRow {
        let (agent, task) = ("scripted".to_owned(), task.to_owned());
        self.ask(StartRun { agent, task, run: None, tags: Vec::new(), afresh: false }).await.unwrap()
    }

    pub(crate) async fn pause(&self, run: &str) -> RunRow {
        self.ask(PauseRun { run: run.to_owned() }).await.unwrap()
    }

    pub(crate) async fn show(&self, run: &str) -> RunShown {
        self.ask(ShowRun { run: run.to_owned(), at: None }).await.unwrap()
    }

    /// Waits until the run stands there, and nobody works on it if that is an end.
    pub(crate) async fn until(&self, run: &str, status: &str) -> RunShown {
        let end = Instant::now() + LIMIT;
        loop {
            let shown = self.show(run).await;
            let is_working = shown.row.is_here && !["executing", "waiting_human"].contains(&status);
            if shown.row.status == status && !is_working {
                return shown;
            }
            assert!(Instant::now() < end, "not {status}: {:?}", shown.row);
            look_again().await;
        }
    }
}

/// Between two looks at what another task does.
pub(crate) async fn look_again() {
    let _ = tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
}

impl Place {
    pub(crate) async fn member(&self, name: &str) -> Member {
        let lease = Duration::from_millis(300);
        let store = self.open().await;
        let settings = RunSettings { lease, ..self.settings() };
        Member::start(name, self.runs_of(&store, "1").settings(settings)).await
    }
}
