//! A provider that counts strictly, and nodes that call it as often as they may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mesh::{Authority, MemoryNetwork, Node, NodeConfig, Runtimes};
use mesh_agents::limits::{Before, LimitGrantor, MeshLimiter};
use mesh_resilience::{Cost, Deadline, LeaseConfig, LimitConfig, Priority, Rate};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const TERM: Duration = Duration::from_secs(10);

/// What the provider allows in any minute, wherever that begins.
pub(crate) const ALLOWED: usize = 600;

/// Answers 429 to whatever is too much in the last minute.
#[derive(Default)]
pub(crate) struct Provider {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_minute: VecDeque<Instant>,
    answered: Vec<(Instant, String)>,
    refused: usize,
}

impl Provider {
    fn call(&self, node: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut state = self.state.lock();
        while state.last_minute.front().is_some_and(|at| now - *at >= MINUTE) {
            state.last_minute.pop_front();
        }
        if state.last_minute.len() >= ALLOWED {
            state.refused += 1;
            let first = state.last_minute[0];
            return Err(MINUTE - (now - first));
        }
        state.last_minute.push_back(now);
        state.answered.push((now, node.to_owned()));
        Ok(())
    }

    pub(crate) fn refused(&self) -> usize {
        self.state.lock().refused
    }

    /// Calls answered from `from` on, for `during`, by node.
    pub(crate) fn answered(&self, from: Instant, during: Duration) -> BTreeMap<String, usize> {
        let mut by_node = BTreeMap::new();
        let state = self.state.lock();
        for (_, node) in state.answered.iter().filter(|(at, _)| *at >= from && *at < from + during) {
            *by_node.entry(node.clone()).or_default() += 1;
        }
        by_node
    }
}

/// Ten nodes of which each calls the provider as often as it may. The first one has the grantor.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) provider: Arc<Provider>,
    pub(crate) nodes: Vec<Node>,
    callers: BTreeMap<String, (Arc<MeshLimiter>, JoinSet<()>)>,
}

/// Ten at once are all bursts together, and the rate fills the rest of a minute.
fn limit() -> LimitConfig {
    LimitConfig { requests: Some(Rate::new(588, MINUTE, 10)), ..LimitConfig::default() }
}

impl World {
    pub(crate) async fn of(count: usize) -> Self {
        let (network, authority) = (MemoryNetwork::new(), Authority::create("test").unwrap());
        let mut nodes: Vec<Node> = Vec::new();
        for number in 0..count {
            let peer_id = authority.issue_node(&name(number)).unwrap().peer_id().clone();
            let endpoint = network.endpoint(peer_id.clone());
            let seeds = nodes.iter().take(1).map(|node| node.local_addr().to_string()).collect();
            let config = NodeConfig { seeds, ..NodeConfig::default() };
            nodes.push(Node::builder(config).start_on(endpoint, peer_id, Runtimes::current()).await.unwrap());
        }
        let leases = LeaseConfig { term: TERM, ..LeaseConfig::default() };
        LimitGrantor::publish(nodes[0].mesh(), "provider", &limit(), leases, Before::Nobody).unwrap();
        let mut world = Self { network, provider: Arc::default(), nodes, callers: BTreeMap::new() };
        for number in 0..count {
            world.call_from(number);
        }
        world
    }

    fn call_from(&mut self, number: usize) {
        let mesh = self.nodes[number].mesh();
        let limiter = MeshLimiter::open(mesh, "node-0/limits/provider", limit()).unwrap();
        let (limiter, mut callers) = (Arc::new(limiter), JoinSet::new());
        for _ in 0..5 {
            let (limiter, provider, node) = (Arc::clone(&limiter), Arc::clone(&self.provider), name(number));
            callers.spawn(async move {
                loop {
                    let deadline = Deadline::after(10 * MINUTE);
                    let turn =
                        limiter.limiter().reserve(Cost::request(), Priority::NORMAL, deadline).await.unwrap();
                    if let Err(retry_after) = provider.call(&node) {
                        limiter.penalize(retry_after).await;
                    }
                    turn.settle(Cost::request());
                }
            });
        }
        self.callers.insert(name(number), (limiter, callers));
    }

    /// Ends a node with its callers, as `kill -9` does.
    pub(crate) fn kill(&mut self, number: usize) {
        let name = name(number);
        self.callers.remove(&name);
        self.network.kill(&name);
        self.nodes.retain(|node| node.name() != name);
    }

    pub(crate) fn limiter(&self, number: usize) -> &MeshLimiter {
        &self.callers[&name(number)].0
    }

    /// Ends the callers of a node in order.
    pub(crate) async fn give_back(&mut self, number: usize) {
        let (limiter, mut callers) = self.callers.remove(&name(number)).unwrap();
        callers.shutdown().await;
        Arc::into_inner(limiter).unwrap().close().await;
    }

    /// Lets so much time pass.
    pub(crate) async fn pass(&self, time: Duration) -> Instant {
        let end = Instant::now() + time;
        sleep_until(end).await;
        end
    }
}

pub(crate) fn name(number: usize) -> String {
    format!("node-{number}")
}
