//! Endpoints that reach each other without sockets.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use mesh_proto::GrantSet;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::endpoint::{Listener, MemoryEndpoint};
use super::link::{Link, Side};
use crate::config::TransportConfig;
use crate::endpoint::{BindError, Endpoint};
use crate::identity::{PeerIdentity, Role, key_id};
use crate::name::{NameError, check_name};

/// The cluster of endpoints made by [`MemoryNetwork::node`] and [`MemoryNetwork::client`].
const CLUSTER: &str = "memory";
const PORT: u16 = 4433;

/// A network within this process, for tests: endpoints connect by the same API as over QUIC, and the test cuts, heals
/// and kills.
///
/// Clones are handles on the same network. Identities are believed, not proved: what a certificate would refuse can't be
/// tested here. Time is tokio's: with a paused clock, idle timeouts take no time at all.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use mesh_net::{CloseReason, Expect, MemoryNetwork};
///
/// let network = MemoryNetwork::new();
/// let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
/// let dialled = alpha.connect(beta.local_addr(), Expect::Node("beta")).await.unwrap();
/// let accepted = beta.accept().await.unwrap().unwrap();
/// assert_eq!(accepted.peer().name, "alpha");
///
/// network.partition("alpha", "beta");
/// assert_eq!(dialled.closed().await, CloseReason::TimedOut);
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) config: TransportConfig,
    state: Mutex<NetworkState>,
    /// Rings when endpoints or cuts change, for those who dial.
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct NetworkState {
    hosts: u16,
    listeners: HashMap<SocketAddr, Arc<Listener>>,
    cuts: HashSet<[String; 2]>,
    links: Vec<Wire>,
}

/// A link and whose it is: names by side.
struct Wire {
    link: Weak<Link>,
    names: [String; 2],
}

impl MemoryNetwork {
    /// A network without endpoints whose limits and clocks are those of [`TransportConfig::lan`].
    pub fn new() -> Self {
        Self::with_config(&TransportConfig::lan())
    }

    /// A network without endpoints, whose windows, stream limit and timeouts are taken from `config`.
    pub fn with_config(config: &TransportConfig) -> Self {
        let shared = Shared { config: config.clone(), state: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// A node's endpoint in the cluster `memory`, at an address of its own. Its id depends on its name alone, as if it
    /// kept its key over restarts.
    ///
    /// # Errors
    /// [`NameError`] when `name` is no name.
    pub fn node(&self, name: &str) -> Result<Endpoint, NameError> {
        Ok(self.endpoint(identity(Role::Node, name)?))
    }

    /// A client's endpoint in the cluster `memory`: it dials, and nobody can dial it.
    ///
    /// # Errors
    /// [`NameError`] when `name` is no name.
    pub fn client(&self, name: &str) -> Result<Endpoint, NameError> {
        Ok(self.endpoint(identity(Role::Client, name)?))
    }

    /// An endpoint that peers will know by `identity`, at an address of its own. If it is a client's, it may do all.
    pub fn endpoint(&self, identity: PeerIdentity) -> Endpoint {
        self.endpoint_with_grants(identity, GrantSet::all())
    }

    /// Like [`endpoint`](Self::endpoint), for a client that may do what is granted and no more.
    pub fn endpoint_with_grants(&self, identity: PeerIdentity, grants: GrantSet) -> Endpoint {
        let mut state = self.shared.lock();
        let addr = loop {
            let [high, low] = state.hosts.to_be_bytes();
            state.hosts = state.hosts.wrapping_add(1);
            // 198.18.0.0/15 is set aside for tests of networks (RFC 2544): never somebody's real address.
            let addr = SocketAddr::from((Ipv4Addr::new(198, 18, high, low), PORT));
            if !state.listeners.contains_key(&addr) {
                break addr;
            }
        };
        self.open(&mut state, identity, grants, addr)
    }

    /// Like [`endpoint`](Self::endpoint), at a given address: a killed node that comes back where it was.
    ///
    /// # Errors
    /// [`BindError::InUse`] when a living endpoint is there.
    pub fn endpoint_at(&self, identity: PeerIdentity, addr: SocketAddr) -> Result<Endpoint, BindError> {
        let mut state = self.shared.lock();
        if state.listeners.contains_key(&addr) {
            return Err(BindError::InUse { addr });
        }
        Ok(self.open(&mut state, identity, GrantSet::all(), addr))
    }

    /// Cuts whatever goes between endpoints named `a` and `b`, now and later, until [`heal`](Self::heal).
    ///
    /// What was written and not read yet arrives after the heal. A connection that stays cut for the idle timeout ends at
    /// both sides as [`TimedOut`](crate::CloseReason::TimedOut). Dialling waits for the heal, up to its deadline.
    pub fn partition(&self, a: &str, b: &str) {
        let mut state = self.shared.lock();
        state.cuts.insert(pair(a, b));
        state.each_link(|link, names| {
            if pair(&names[0], &names[1]) == pair(a, b) {
                link.cut();
            }
        });
    }

    /// Takes away every cut.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.cuts.clear();
        state.each_link(|link, _| link.heal());
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Kills every endpoint named `name`, as `kill -9` does: peers hear nothing and find out by their idle timeout.
    ///
    /// Its own connections are over at once, `accept` gives `None`, and its address is free.
    pub fn kill(&self, name: &str) {
        let mut state = self.shared.lock();
        // The links first: what dies with a process says no goodbye.
        state.each_link(|link, names| {
            for side in [Side::Dialer, Side::Acceptor] {
                if names[side as usize] == name {
                    link.sever(side);
                }
            }
        });
        state.listeners.retain(|_, listener| {
            let is_killed = listener.identity.name == name;
            if is_killed {
                listener.close();
            }
            !is_killed
        });
    }

    fn open(
        &self,
        state: &mut NetworkState,
        identity: PeerIdentity,
        grants: GrantSet,
        addr: SocketAddr,
    ) -> Endpoint {
        let listener = Arc::new(Listener::new(identity, grants, &self.shared.config));
        state.listeners.insert(addr, listener.clone());
        self.shared.changed.notify_waiters();
        Endpoint::memory(MemoryEndpoint::new(self.shared.clone(), listener, addr))
    }
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        let names: Vec<_> = state.listeners.values().map(|listener| &listener.identity.name).collect();
        f.debug_struct("MemoryNetwork").field("endpoints", &names).field("cuts", &state.cuts).finish()
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, NetworkState> {
        self.state.lock()
    }
}

impl NetworkState {
    /// The endpoint at `addr`, if `name` can reach it now.
    pub(super) fn reach(&self, name: &str, addr: SocketAddr) -> Option<Arc<Listener>> {
        let listener = self.listeners.get(&addr)?;
        let is_cut = self.cuts.contains(&pair(name, &listener.identity.name));
        (!is_cut).then(|| listener.clone())
    }

    pub(super) fn add_link(&mut self, link: &Arc<Link>, dialer: &str, acceptor: &str) {
        self.links.retain(|wire| wire.link.strong_count() > 0);
        let names = [dialer.to_owned(), acceptor.to_owned()];
        self.links.push(Wire { link: Arc::downgrade(link), names });
    }

    pub(super) fn remove_listener(&mut self, addr: SocketAddr, listener: &Arc<Listener>) {
        if self.listeners.get(&addr).is_some_and(|found| Arc::ptr_eq(found, listener)) {
            self.listeners.remove(&addr);
        }
    }

    fn each_link(&self, mut each: impl FnMut(&Link, &[String; 2])) {
        for Wire { link, names } in &self.links {
            if let Some(link) = link.upgrade() {
                each(&link, names);
            }
        }
    }
}

/// Two names as a key that doesn't depend on their order.
fn pair(a: &str, b: &str) -> [String; 2] {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    [first.to_owned(), second.to_owned()]
}

fn identity(role: Role, name: &str) -> Result<PeerIdentity, NameError> {
    check_name(name)?;
    let id = key_id(format!("{}/{name}", role.as_str()).as_bytes());
    Ok(PeerIdentity { cluster: CLUSTER.to_owned(), role, name: name.to_owned(), id })
}
