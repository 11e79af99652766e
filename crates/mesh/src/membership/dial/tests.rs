//! Two nodes that dial each other in the same moment.

use crate::{
    Actor, ActorSpec, Authority, Context, Endpoint, Handler, Kinds, MemoryNetwork, Message, Node, NodeConfig,
    PeerIdentity, Role, Runtimes, TransportConfig, WireActor, WireMessage, session::Session,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::yield_now, time::timeout};

const LIMIT: Duration = Duration::from_secs(20);

/// Told by each side while the two connections meet.
const TOLD: u64 = 20;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Add {}
impl Message for Add {
    type Reply = ();
}
impl WireMessage for Add {
    const KIND: &'static str = "test.add.v1";
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);
impl Actor for Counter {}
impl Handler<Add> for Counter {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
impl WireActor for Counter {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Add>()
    }
}

struct Side {
    node: Node,
    count: Arc<AtomicU64>,
}

async fn start(endpoint: Endpoint, peer_id: PeerIdentity, seed: String) -> Side {
    let config = NodeConfig { seeds: vec![seed], ..NodeConfig::default() };
    let node = Node::builder(config).start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
    let counter = Counter::default();
    let count = Arc::clone(&counter.0);
    let actor = node.mesh().spawn(ActorSpec::new("counter"), move || counter.clone());
    node.mesh().publish("counter", &actor).unwrap();
    Side { node, count }
}

impl Side {
    fn connections(&self) -> usize {
        self.node.mesh().shared().membership().unwrap().endpoint.connections()
    }

    fn session(&self, to: &Self) -> Arc<Session> {
        let peer = to.node.mesh().shared().me.id;
        self.node.mesh().shared().membership().unwrap().session_of(peer).unwrap()
    }

    async fn tells(&self, to: &str) {
        let counter = self.node.mesh().recipient::<Add>(&format!("{to}/counter")).unwrap();
        for _ in 0..TOLD {
            // That the name is not published yet is no matter of connections.
            while counter.tell(Add {}).timeout(LIMIT).await.is_err() {
                yield_now().await;
            }
        }
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waits = async {
        while !holds() {
            yield_now().await;
        }
    };
    assert!(timeout(LIMIT, waits).await.is_ok(), "{what}");
}

async fn meet(alpha: (Endpoint, PeerIdentity), beta: (Endpoint, PeerIdentity)) {
    let (to_alpha, to_beta) = (alpha.0.local_addr().to_string(), beta.0.local_addr().to_string());
    let (alpha, beta) = tokio::join!(start(alpha.0, alpha.1, to_beta), start(beta.0, beta.1, to_alpha));
    tokio::join!(alpha.tells("beta"), beta.tells("alpha"));
    until("one connection", || alpha.connections() == 1 && beta.connections() == 1).await;
    let told = || (alpha.count.load(Ordering::Acquire), beta.count.load(Ordering::Acquire));
    until("every message", || told() == (TOLD, TOLD)).await;
    let (ours, theirs) = (alpha.session(&beta), beta.session(&alpha));
    assert!(!ours.is_closed() && !theirs.is_closed());
    assert_ne!(ours.is_dialled(), theirs.is_dialled(), "both keep the same one");
}

/// How often they meet: 20 times, or as the environment says.
fn rounds() -> u128 {
    std::env::var("MESH_DIALS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_dial_at_once_keep_one_connection_in_memory() {
    for round in 0..rounds() {
        let network = MemoryNetwork::default();
        // Either of the two has the larger id.
        let side = |name: &str, id| {
            let peer_id =
                PeerIdentity { cluster: "test".to_owned(), role: Role::Node, name: name.to_owned(), id };
            (network.endpoint(peer_id.clone()), peer_id)
        };
        meet(side("alpha", 1 + round % 2), side("beta", 2 - round % 2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_dial_at_once_keep_one_connection_over_quic() {
    let authority = Authority::create("test").unwrap();
    let sides = ["alpha", "beta"].map(|name| authority.issue_node(name).unwrap());
    for _ in 0..rounds() {
        let [alpha, beta] = sides.each_ref().map(|identity| {
            let addr = "127.0.0.1:0".parse().unwrap();
            let endpoint = Endpoint::bind(addr, identity, &TransportConfig::lan()).unwrap();
            (endpoint, identity.peer_id().clone())
        });
        meet(alpha, beta).await;
    }
}
