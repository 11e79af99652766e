//! Nodes in memory that run agents, and a workflow on them from its text to its end.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Authority, MemoryNetwork, Mesh, Node, NodeConfig, ReplyStream, Runtimes};
use mesh_agents::workflow::Outcome;
use mesh_agents::workflows::{CreateRun, Created, Ended, Refused, RunEvent, RunWorkflow, Workflows};
use mesh_agents::{Agent, Models};
use tokio::time::{Instant, timeout};

use crate::script::Script;

/// Every wait of a test ends. The clock is paused, so this costs nothing.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) struct Cluster {
    pub(crate) network: MemoryNetwork,
    authority: Authority,
    pub(crate) nodes: Vec<Node>,
}

/// A run that has ended, with all that its reader was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<RunEvent>,
    pub(crate) ended: Ended,
}

impl Cluster {
    pub(crate) async fn empty() -> Self {
        let authority = Authority::create("test").unwrap();
        Self { network: MemoryNetwork::new(), authority, nodes: Vec::new() }
    }

    /// alpha, beta and gamma, each with the script's model.
    pub(crate) async fn three(script: &Script) -> Self {
        let mut cluster = Self::empty().await;
        for name in ["alpha", "beta", "gamma"] {
            cluster.add(name, &[], Some(script)).await;
        }
        cluster
    }

    /// A node with labels; without a script it has no model.
    pub(crate) async fn add(&mut self, name: &str, labels: &[(&str, &str)], script: Option<&Script>) {
        let models = script.map(|script| Models::new(Arc::new(script.on(name))));
        self.add_with(name, labels, models).await;
    }

    pub(crate) async fn add_with(&mut self, name: &str, labels: &[(&str, &str)], models: Option<Models>) {
        let peer_id = self.authority.issue_node(name).unwrap().peer_id().clone();
        let endpoint = self.network.endpoint(peer_id.clone());
        let seeds = self.nodes.iter().map(|node| node.local_addr().to_string()).collect();
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let config = NodeConfig { seeds, labels, ..NodeConfig::default() };
        let mut builder = Node::builder(config).register::<Agent>(Agent::KIND);
        if let Some(models) = models {
            builder = builder.extension(Arc::new(models));
        }
        let node = builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
        Workflows::publish(node.mesh()).unwrap();
        self.nodes.push(node);
        let count = self.nodes.len();
        for node in &self.nodes {
            eventually("every member", || alive(node.mesh()) == count).await;
        }
    }

    pub(crate) fn alpha(&self) -> &Mesh {
        self.nodes[0].mesh()
    }

    /// Ends a node as `kill -9` does.
    pub(crate) fn kill(&mut self, name: &str) {
        self.network.kill(name);
        self.nodes.retain(|node| node.name() != name);
    }

    pub(crate) async fn create(&self, text: &str, task: &str) -> Result<Created, Refused> {
        let workflows = self.alpha().recipient::<CreateRun>("alpha/workflows").unwrap();
        let (name, text, task) = ("test.yaml".to_owned(), text.to_owned(), task.to_owned());
        workflows.ask(CreateRun { name, text, task, strict: false }).await.unwrap()
    }

    pub(crate) async fn start(&self, text: &str, task: &str) -> ReplyStream<RunWorkflow> {
        let created = self.create(text, task).await.unwrap();
        let run = self.alpha().stream_recipient::<RunWorkflow>(&created.path).unwrap();
        run.stream(RunWorkflow {}).timeout(LIMIT)
    }

    /// Runs a workflow to its end.
    pub(crate) async fn run(&self, text: &str, task: &str) -> Told {
        read(self.start(text, task).await).await
    }

    /// The published actors of all nodes that belong to runs.
    pub(crate) async fn actors_of_runs(&self) -> Vec<String> {
        let mut found = Vec::new();
        for node in &self.nodes {
            let own = node.mesh().recipient::<mesh::ListActors>(&format!("{}/mesh", node.name())).unwrap();
            let actors = own.ask(mesh::ListActors {}).await.unwrap().actors;
            found.extend(actors.into_iter().map(|row| row.path).filter(|path| path.contains("/runs/")));
        }
        found
    }

    /// Waits until no actor of any run is left.
    pub(crate) async fn quiet(&self) {
        let end = Instant::now() + LIMIT;
        loop {
            let left = self.actors_of_runs().await;
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "still there: {left:?}");
            a_moment().await;
        }
    }
}

/// Reads a run to its end.
pub(crate) async fn read(mut stream: ReplyStream<RunWorkflow>) -> Told {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    Told { events, ended: stream.finish().await.unwrap() }
}

impl Told {
    pub(crate) fn result(&self) -> &str {
        match &self.ended.outcome {
            Outcome::Completed { result } => result,
            other => panic!("{other:?}"),
        }
    }

    /// Where the items of a stage were worked on, as `(index, attempt, node)`, in the order of their starts.
    pub(crate) fn starts(&self, of: &str) -> Vec<(u64, u32, &str)> {
        let start = |event| match event {
            &RunEvent::ItemStarted { ref stage, index, ref node, attempt, .. } if stage == of => {
                Some((index, attempt, node.as_str()))
            }
            _ => None,
        };
        self.events.iter().filter_map(start).collect()
    }
}

pub(crate) async fn eventually(what: &str, ready: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready() {
        assert!(Instant::now() < end, "{what} did not come");
        a_moment().await;
    }
}

/// The clock is paused: this ends when nothing else can go on.
async fn a_moment() {
    let _ = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
}

fn alive(mesh: &Mesh) -> usize {
    mesh.members().iter().filter(|member| member.state == "alive").count()
}
