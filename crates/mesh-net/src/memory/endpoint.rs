//! An address in a memory network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};

use mesh_proto::GrantSet;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::end::MemoryEnd;
use super::link::{Link as MemoryLink, Side};
use super::network::Shared;
use crate::close::CloseCode;
use crate::config::TransportConfig;
use crate::connection::{Connection, Link};
use crate::endpoint::{ConnectError, Expect};
use crate::identity::{Credential, PeerIdentity, Role};
use crate::name::check_name;

pub(crate) struct MemoryEndpoint {
    network: Arc<Shared>,
    listener: Arc<Listener>,
    addr: SocketAddr,
}

/// What stands at an address.
pub(super) struct Listener {
    pub(super) identity: PeerIdentity,
    grants: GrantSet,
    incoming_max: usize,
    connections_max: usize,
    state: Mutex<ListenerState>,
    changed: Notify,
}

#[derive(Default)]
struct ListenerState {
    is_closed: bool,
    incoming: VecDeque<Connection>,
    /// This endpoint's ends of links, to close with it.
    links: Vec<(Weak<MemoryLink>, Side)>,
}

impl MemoryEndpoint {
    pub(super) fn new(network: Arc<Shared>, listener: Arc<Listener>, addr: SocketAddr) -> Self {
        Self { network, listener, addr }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) async fn accept(&self) -> Option<Connection> {
        loop {
            let mut changed = pin!(self.listener.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.listener.state.lock();
                if let Some(connection) = state.incoming.pop_front() {
                    return Some(connection);
                }
                if state.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    pub(crate) async fn connect(
        &self,
        addr: SocketAddr,
        expect: Expect<'_>,
    ) -> Result<Connection, ConnectError> {
        if let Expect::Node(name) = expect {
            check_name(name)?;
        }
        if self.listener.state.lock().is_closed {
            return Err(ConnectError::EndpointClosed);
        }
        let limit = self.network.config.connect_timeout;
        let listener =
            timeout(limit, self.reach(addr)).await.map_err(|_elapsed| ConnectError::TimedOut { addr })?;
        check_peer(&self.listener.identity, &listener.identity, expect)
            .map_err(|reason| ConnectError::Certificate { addr, reason })?;
        self.link_to(&listener, addr)
    }

    /// Waits until an endpoint is at `addr` and can be reached, as a dialler that repeats its first packet.
    async fn reach(&self, addr: SocketAddr) -> Arc<Listener> {
        loop {
            let mut changed = pin!(self.network.changed.notified());
            changed.as_mut().enable();
            let reached = self.network.lock().reach(&self.listener.identity.name, addr);
            // A client has no door: packets to it are lost.
            if let Some(listener) = reached.filter(|listener| listener.identity.role == Role::Node) {
                return listener;
            }
            changed.await;
        }
    }

    fn link_to(&self, listener: &Arc<Listener>, addr: SocketAddr) -> Result<Connection, ConnectError> {
        let config = &self.network.config;
        let link = Arc::new(MemoryLink::new(config));
        let end = |side, remote_addr| Link::Memory(MemoryEnd::new(link.clone(), side, remote_addr));
        let ours = Connection::new(listener.credential(), config.open_timeout, end(Side::Dialer, addr));
        let theirs =
            Connection::new(self.listener.credential(), config.open_timeout, end(Side::Acceptor, self.addr));
        // The network first, so that neither a cut nor a kill can miss the link.
        self.network.lock().add_link(&link, &self.listener.identity.name, &listener.identity.name);
        if !self.listener.keep(&link, Side::Dialer) {
            return Err(ConnectError::EndpointClosed);
        }
        if !listener.keep(&link, Side::Acceptor) || !listener.push(theirs) {
            return Err(ConnectError::Refused { addr });
        }
        Ok(ours)
    }

    pub(crate) fn connections(&self) -> usize {
        self.listener.state.lock().links.iter().filter(|(link, _)| link.strong_count() > 0).count()
    }

    pub(crate) fn close(&self) {
        self.network.lock().remove_listener(self.addr, &self.listener);
        let links = self.listener.close();
        for (link, side) in links {
            if let Some(link) = link.upgrade() {
                MemoryEnd::close_side(&link, side, CloseCode::Shutdown, "endpoint closed");
            }
        }
    }
}

impl Drop for MemoryEndpoint {
    fn drop(&mut self) {
        // Nobody will accept here any more. Connections live on.
        self.network.lock().remove_listener(self.addr, &self.listener);
        self.listener.close();
    }
}

impl Listener {
    pub(super) fn new(identity: PeerIdentity, grants: GrantSet, config: &TransportConfig) -> Self {
        let (incoming_max, connections_max) = (config.max_incoming.into(), config.connections_max.into());
        Self {
            identity,
            grants,
            incoming_max,
            connections_max,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// What peers are told of it.
    fn credential(&self) -> Credential {
        Credential::in_memory(self.identity.clone(), self.grants.clone())
    }

    /// Accepts and dials no more; gives the links that were made here.
    pub(super) fn close(&self) -> Vec<(Weak<MemoryLink>, Side)> {
        let (links, dropped) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            (std::mem::take(&mut state.links), std::mem::take(&mut state.incoming))
        };
        // Outside of the lock: the drop of a connection reaches far.
        drop(dropped);
        self.changed.notify_waiters();
        links
    }

    /// Remembers a link made here, unless the endpoint is closed.
    fn keep(&self, link: &Arc<MemoryLink>, side: Side) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            state.links.retain(|(link, _)| link.strong_count() > 0);
            state.links.push((Arc::downgrade(link), side));
        }
        !state.is_closed
    }

    fn push(&self, connection: Connection) -> bool {
        let mut state = self.state.lock();
        let has_room = !state.is_closed
            && state.incoming.len() < self.incoming_max
            && state.links.len() <= self.connections_max;
        if has_room {
            state.incoming.push_back(connection);
        }
        drop(state);
        self.changed.notify_waiters();
        has_room
    }
}

/// What the certificates would say.
fn check_peer(own: &PeerIdentity, peer: &PeerIdentity, expect: Expect<'_>) -> Result<(), String> {
    if own.cluster != peer.cluster {
        return Err(format!("{peer} is of another cluster"));
    }
    match expect {
        Expect::Node(name) if name != peer.name => Err(format!("{peer} is not the expected \"{name}\"")),
        Expect::Node(_) | Expect::AnyNode => Ok(()),
    }
}
