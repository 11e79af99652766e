//! Nodes that the scenarios run on, and the actors on them.

use mesh::{
    Actor, ActorSpec, Authority, Client, ClientConfig, Context, Handler, Items, Kinds, MemoryNetwork, Mesh,
    Message, Node, NodeConfig, PeerIdentity, Role, Runtimes, StreamHandler, Streaming, WireActor,
    WireMessage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// What is waited for must come within this.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Say {
    pub(crate) text: String,
}
impl Message for Say {
    type Reply = String;
}
impl WireMessage for Say {
    const KIND: &'static str = "test.say.v1";
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Count {
    pub(crate) to: u32,
}
impl Message for Count {
    type Reply = u64;
}
impl Streaming for Count {
    type Item = u32;
}
impl WireMessage for Count {
    const KIND: &'static str = "test.count.v1";
}

/// Keeps its actor busy until its asker goes away.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Wait {}
impl Message for Wait {
    type Reply = u64;
}
impl WireMessage for Wait {
    const KIND: &'static str = "test.wait.v1";
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Crash {}
impl Message for Crash {
    type Reply = ();
}
impl WireMessage for Crash {
    const KIND: &'static str = "test.crash.v1";
}

#[derive(Default)]
pub(crate) struct Tester {
    pub(crate) handled: u64,
}
impl Actor for Tester {}
impl Handler<Say> for Tester {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.handled += 1;
        say.text
    }
}
impl StreamHandler<Count> for Tester {
    async fn stream(&mut self, count: Count, items: Items<u32>, _: &mut Context<Self>) -> u64 {
        let mut sum = 0;
        for number in 0..count.to {
            if items.send(number).await.is_err() {
                break;
            }
            sum += u64::from(number);
        }
        sum
    }
}
impl Handler<Wait> for Tester {
    async fn handle(&mut self, _: Wait, cx: &mut Context<Self>) -> u64 {
        self.handled += 1;
        cx.cancelled().await;
        self.handled
    }
}
impl Handler<Crash> for Tester {
    async fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}
impl WireActor for Tester {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>().message::<Wait>().message::<Crash>().stream::<Count>()
    }
}

/// Where a scenario's nodes live.
pub(crate) enum Cluster {
    Quic(Box<Authority>),
    Memory(MemoryNetwork),
}

impl Cluster {
    pub(crate) fn quic() -> Self {
        Self::Quic(Box::new(Authority::create("test").unwrap()))
    }

    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryNetwork::new())
    }

    pub(crate) async fn node(&self, name: &str, seeds: &[&Node]) -> Node {
        let seeds = seeds.iter().map(|seed| seed.local_addr().to_string()).collect();
        let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
        let builder = Node::builder(config);
        let node = match self {
            Self::Quic(authority) => {
                let identity = authority.issue_node(name).unwrap();
                builder.start(identity, Runtimes::current()).await.unwrap()
            }
            Self::Memory(network) => {
                let peer_id = memory_id(Role::Node, name);
                let endpoint = network.endpoint(peer_id.clone());
                builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap()
            }
        };
        let tester = node.mesh().spawn(ActorSpec::new("tester").mailbox(64).on_every_node(), Tester::default);
        node.mesh().publish("tester", &tester).unwrap();
        node
    }

    /// Two nodes, alpha and beta, that know each other.
    pub(crate) async fn pair(&self) -> (Node, Node) {
        let alpha = self.node("alpha", &[]).await;
        let beta = self.node("beta", &[&alpha]).await;
        eventually("beta", async || alive(alpha.mesh()) == 2).await;
        (alpha, beta)
    }

    pub(crate) async fn client(&self, node: &Node) -> Mesh {
        let addrs = [node.local_addr().to_string()];
        let config = ClientConfig::default();
        match self {
            Self::Quic(authority) => {
                let identity = authority.issue_client("someone", &mesh::GrantSet::all()).unwrap();
                Client::connect(&addrs, &identity, config, Runtimes::current()).await.unwrap()
            }
            Self::Memory(network) => {
                let peer_id = memory_id(Role::Client, "someone");
                let endpoint = network.endpoint(peer_id.clone());
                Client::connect_on(endpoint, peer_id, &addrs, config, Runtimes::current()).await.unwrap()
            }
        }
    }
}

/// An identity that nobody has to prove: a name is an id of its own.
pub(crate) fn memory_id(role: Role, name: &str) -> PeerIdentity {
    let id = name.bytes().fold(1, |id: u128, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    PeerIdentity { cluster: "test".to_owned(), role, name: name.to_owned(), id }
}

/// Runs each scenario over QUIC on loopback, and in memory.
macro_rules! on_both_transports {
    ($($scenario:ident),+ $(,)?) => {
        mod over_quic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::cluster::Cluster::quic()).await;
            })+
        }

        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::cluster::Cluster::memory()).await;
            })+
        }
    };
}

pub(crate) use on_both_transports;

/// Polls until `ready` says so; what it waits for must come within ten seconds.
pub(crate) async fn eventually(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready().await {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn alive(mesh: &Mesh) -> usize {
    mesh.members().iter().filter(|member| member.state == "alive").count()
}
