//! Nodes that can run agents.

use super::quick;
use mesh::{
    Actor, ActorSpec, AskError, Client, ClientConfig, Context, EpochSource, Handler, Kinds, MemoryNetwork,
    Mesh, Message, Node, NodeConfig, OldestMember, PeerIdentity, Role, Runtimes, SpawnContext, Spawnable,
    StartError, WireActor, WireMessage,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// An identity that nobody has to prove: a name is an id of its own.
fn memory_id(role: Role, name: &str) -> PeerIdentity {
    let id = name.bytes().fold(1, |id: u128, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    PeerIdentity { cluster: "test".to_owned(), role, name: name.to_owned(), id }
}

/// Polls until `ready` says so; what it waits for must come within 30 s.
pub(crate) async fn eventually(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + secs(30);
    while !ready().await {
        assert!(Instant::now() < end, "{what} did not come");
        sleep_until(Instant::now() + Duration::from_millis(5)).await;
    }
}

fn alive(mesh: &Mesh) -> usize {
    mesh.members().iter().filter(|member| member.state == "alive").count()
}

/// Who are you?
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Who {}

/// Says who it is after a while.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Linger {
    pub(crate) ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Me {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) epoch: u64,
}

impl Message for Who {
    type Reply = Me;
}
impl WireMessage for Who {
    const KIND: &'static str = "test.who.v1";
}
impl Message for Linger {
    type Reply = Me;
}
impl WireMessage for Linger {
    const KIND: &'static str = "test.linger.v1";
}

/// Names whose actors linger now.
static LINGERING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(crate) fn lingering(name: &str) -> bool {
    LINGERING.lock().contains(name)
}

pub(crate) struct Agent {
    node: String,
}

impl Agent {
    fn me(&self, cx: &Context<Self>) -> Me {
        let epoch = cx.epoch().unwrap_or_default();
        Me { name: cx.me().path().to_owned(), node: self.node.clone(), epoch }
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Args {
    /// Nodes that do not run it.
    refuse: Vec<String>,
}

impl Actor for Agent {}
impl Handler<Who> for Agent {
    async fn handle(&mut self, _: Who, cx: &mut Context<Self>) -> Me {
        self.me(cx)
    }
}
impl Handler<Linger> for Agent {
    async fn handle(&mut self, Linger { ms }: Linger, cx: &mut Context<Self>) -> Me {
        LINGERING.lock().insert(cx.me().path().to_owned());
        sleep_until(Instant::now() + Duration::from_millis(ms)).await;
        self.me(cx)
    }
}
impl WireActor for Agent {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Who>().message::<Linger>()
    }
}
impl Spawnable for Agent {
    type Args = Option<Args>;

    async fn open(_: &Self::Args, cx: &SpawnContext) -> Result<Self, StartError> {
        Ok(Self { node: cx.mesh.node_name().to_string() })
    }

    fn spec(name: &str) -> ActorSpec {
        ActorSpec::new(name).capability("answer:who")
    }

    fn check(args: &Self::Args, cx: &SpawnContext) -> Result<(), StartError> {
        let here = cx.mesh.node_name().to_string();
        let refuses = args.as_ref().is_some_and(|args| args.refuse.contains(&here));
        if refuses { Err(StartError::new("it was told to refuse")) } else { Ok(()) }
    }
}

/// What an actor that moves may be answered with.
pub(crate) fn assert_moving(error: &AskError) {
    let is_typed = matches!(
        error,
        AskError::NoSuchActor { .. }
            | AskError::NotRunning { .. }
            | AskError::Unreachable { .. }
            | AskError::Stopped { .. }
            | AskError::NoSuchNode { .. }
    );
    assert!(is_typed, "{error:?}");
}

pub(crate) struct Fleet {
    pub(crate) network: MemoryNetwork,
    nodes: BTreeMap<String, Node>,
    epochs: Arc<dyn EpochSource>,
}

impl Fleet {
    pub(crate) async fn of(names: &[&str]) -> Self {
        Self::with_epochs(names, Arc::new(OldestMember)).await
    }

    pub(crate) async fn with_epochs(names: &[&str], epochs: Arc<dyn EpochSource>) -> Self {
        let mut fleet = Self { network: MemoryNetwork::new(), nodes: BTreeMap::new(), epochs };
        for name in names {
            fleet.join(name, &[]).await;
        }
        fleet
    }

    pub(crate) async fn with_labels(nodes: &[(&str, &[(&str, &str)])]) -> Self {
        let mut fleet = Self::with_epochs(&[], Arc::new(OldestMember)).await;
        for (name, labels) in nodes {
            fleet.join(name, labels).await;
        }
        fleet
    }

    /// Starts a node, and waits until all know it.
    pub(crate) async fn join(&mut self, name: &str, labels: &[(&str, &str)]) {
        let seeds = self.nodes.values().map(|node| node.local_addr().to_string()).collect();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = NodeConfig { listen, seeds, labels, membership: quick(), ..NodeConfig::default() };
        let peer_id = memory_id(Role::Node, name);
        let endpoint = self.network.endpoint(peer_id.clone());
        let builder = Node::builder(config).register::<Agent>("agent").epochs(Arc::clone(&self.epochs));
        let node = builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
        self.nodes.insert(name.to_owned(), node);
        let count = self.nodes.len();
        for mesh in self.meshes() {
            eventually("all nodes", async || alive(&mesh) == count).await;
        }
    }

    pub(crate) fn mesh(&self, name: &str) -> Mesh {
        self.nodes[name].mesh().clone()
    }

    pub(crate) fn meshes(&self) -> Vec<Mesh> {
        self.nodes.values().map(|node| node.mesh().clone()).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    pub(crate) fn take(&mut self, name: &str) -> Node {
        self.nodes.remove(name).unwrap()
    }

    /// Ends a node without a word.
    pub(crate) fn kill(&mut self, name: &str) {
        let node = self.take(name);
        self.network.kill(name);
        drop(node);
    }

    /// Waits until all others have declared it dead.
    pub(crate) async fn until_down(&self, name: &str) {
        for node in self.names() {
            self.until_down_for(&node, name).await;
        }
    }

    pub(crate) async fn until_down_for(&self, node: &str, dead: &str) {
        let mesh = self.mesh(node);
        let is_down = || mesh.members().iter().any(|member| member.name == dead && member.state == "down");
        eventually("its death", async || is_down()).await;
    }

    pub(crate) async fn client(&self, node: &str) -> Mesh {
        let peer_id = memory_id(Role::Client, "someone");
        let endpoint = self.network.endpoint(peer_id.clone());
        let addrs = [self.nodes[node].local_addr().to_string()];
        let config = ClientConfig::default();
        Client::connect_on(endpoint, peer_id, &addrs, config, Runtimes::current()).await.unwrap()
    }
}
