//! Where connections come from.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::close::CloseReason;
use crate::config::{TransportConfig, TransportConfigError};
use crate::connection::Connection;
use crate::identity::Identity;
use crate::memory::MemoryEndpoint;
use crate::name::NameError;
use crate::quic::endpoint::QuicEndpoint;

mod door;

use door::Door;

/// A place on the network from which peers are dialled and at which they are accepted. Clones are handles on the same
/// endpoint; when the last is dropped, callers get no answer any more, and connections live on.
///
/// Made by [`bind`](Self::bind) or [`client`](Self::client) over QUIC, by a [`MemoryNetwork`](crate::MemoryNetwork) for
/// tests. The rest of the API is the same for both.
#[derive(Clone)]
pub struct Endpoint {
    kind: Kind,
    door: Arc<Door>,
}

#[derive(Clone)]
enum Kind {
    Quic(Arc<QuicEndpoint>),
    Memory(Arc<MemoryEndpoint>),
}

/// Whom a dialler expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect<'a> {
    /// Any node of our cluster, as when joining by an address only.
    AnyNode,
    /// The node of this name, and nobody else.
    Node(&'a str),
}

impl Endpoint {
    /// Opens a UDP socket on `addr` (port 0: one that is free) and listens there for peers, and dials from there.
    ///
    /// # Errors
    /// [`BindError::InUse`] when another process has the port; the other kinds of [`BindError`] otherwise.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its I/O and time drivers on.
    pub fn bind(addr: SocketAddr, identity: &Identity, config: &TransportConfig) -> Result<Self, BindError> {
        Ok(Self::of(Kind::Quic(Arc::new(QuicEndpoint::bind(addr, identity, config)?))))
    }

    /// Opens a UDP socket that only dials: nobody can connect to it.
    ///
    /// # Errors
    /// [`BindError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with its I/O and time drivers on.
    pub fn client(identity: &Identity, config: &TransportConfig) -> Result<Self, BindError> {
        Ok(Self::of(Kind::Quic(Arc::new(QuicEndpoint::client(identity, config)?))))
    }

    /// Speaks QUIC over a socket that the caller made: a simulated network's, mostly. It listens and dials there.
    ///
    /// With a `seed` its choices are the same in each run, apart from keys and connection ids, so that the same packets
    /// at the same times have the same lengths. Nobody is enrolled over such a socket, and its peers' ports are not
    /// watched by [`Connection::probe`].
    ///
    /// # Errors
    /// [`BindError`] when the settings or the identity can't be used, or the socket has no address.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its time driver on.
    pub fn over(
        socket: Arc<dyn quinn::AsyncUdpSocket>,
        seed: Option<[u8; 32]>,
        identity: &Identity,
        config: &TransportConfig,
    ) -> Result<Self, BindError> {
        Ok(Self::of(Kind::Quic(Arc::new(QuicEndpoint::over(socket, seed, identity, config)?))))
    }

    pub(crate) fn memory(endpoint: MemoryEndpoint) -> Self {
        Self::of(Kind::Memory(Arc::new(endpoint)))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, door: Arc::default() }
    }

    /// The local address, with the port that was really given.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Quic(endpoint) => endpoint.local_addr(),
            Kind::Memory(endpoint) => endpoint.local_addr(),
        }
    }

    /// Waits for the next peer that finished its handshake, or failed to; `None` once the endpoint is closed.
    ///
    /// Handshakes run beside each other: a slow one delays nobody, and is given up after `connect_timeout`. They make
    /// progress only up to `handshakes_max` while nobody calls this.
    ///
    /// # Errors
    /// [`ConnectError`] for the one caller that failed; go on accepting.
    ///
    /// # Cancel safety
    /// Cancel safe: a handshake in progress goes on, and the next call gives its connection.
    pub async fn accept(&self) -> Option<Result<Connection, ConnectError>> {
        let accepted = match &self.kind {
            Kind::Quic(endpoint) => endpoint.accept().await,
            Kind::Memory(endpoint) => endpoint.accept().await.map(Ok),
        };
        accepted.map(|accepted| accepted.and_then(|connection| self.door.admit(connection)))
    }

    /// Dials `addr` and checks that the certificate found there is the expected node's, of our own cluster.
    ///
    /// Success means that *we* accept the peer. Its verdict on our certificate comes later, as a connection that
    /// closes before the peer has sent anything.
    ///
    /// # Errors
    /// [`ConnectError`], at the latest after `connect_timeout`.
    ///
    /// # Cancel safety
    /// Cancel safe: the attempt is given up.
    pub async fn connect(&self, addr: SocketAddr, expect: Expect<'_>) -> Result<Connection, ConnectError> {
        let connection = match &self.kind {
            Kind::Quic(endpoint) => endpoint.connect(addr, expect).await?,
            Kind::Memory(endpoint) => endpoint.connect(addr, expect).await?,
        };
        self.door.admit(connection)
    }

    /// How many connections it has, those included that shake hands, or were closed a moment ago.
    pub fn connections(&self) -> usize {
        match &self.kind {
            Kind::Quic(endpoint) => endpoint.connections(),
            Kind::Memory(endpoint) => endpoint.connections(),
        }
    }

    /// Closes every connection with [`CloseCode::Shutdown`](crate::CloseCode::Shutdown), and accepts and dials no more.
    pub fn close(&self) {
        match &self.kind {
            Kind::Quic(endpoint) => endpoint.close(),
            Kind::Memory(endpoint) => endpoint.close(),
        }
    }

    /// Waits until the peers of closed connections were told so, at most for `limit`; false when that was too short.
    ///
    /// Call it before the process ends, or peers learn of the end by their idle timeout only.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait_idle(&self, limit: Duration) -> bool {
        match &self.kind {
            Kind::Quic(endpoint) => endpoint.wait_idle(limit).await,
            // In memory a close arrives as it is sent.
            Kind::Memory(_) => true,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match &self.kind {
            Kind::Quic(_) => "quic",
            Kind::Memory(_) => "memory",
        };
        f.debug_struct("Endpoint")
            .field("transport", &transport)
            .field("local_addr", &self.local_addr())
            .finish()
    }
}

/// A socket that takes both families shows IPv4 peers as IPv6; peers and people know them as IPv4.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Why an endpoint could not be opened. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the address: most likely another node runs here. Choose another port or stop the other.
    #[error("{addr} is already in use")]
    InUse {
        /// The wanted address.
        addr: SocketAddr,
    },
    /// The system refused: no such local address, or no permission for the port. The operator's fault.
    #[error("can't open a UDP socket on {addr}")]
    Socket {
        /// The wanted address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The configuration is out of range.
    #[error("the transport configuration is not valid")]
    Config(#[from] TransportConfigError),
    /// The certificate, key or roots can't be used for TLS. Issue the identity again.
    #[error("the identity can't be used for TLS: {reason}")]
    Identity {
        /// The TLS library's words.
        reason: String,
    },
}

impl BindError {
    pub(crate) fn from_io(addr: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            return Self::InUse { addr };
        }
        Self::Socket { addr, source }
    }
}

/// Why a handshake brought no connection. No frame of either side was looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered in time: no node there, a firewall, or a dead machine. Retry later.
    #[error("no answer from {addr} in time")]
    TimedOut {
        /// The peer's address.
        addr: SocketAddr,
    },
    /// The peer's endpoint is closing or has too many callers. Retry later.
    #[error("{addr} refused the connection")]
    Refused {
        /// The peer's address.
        addr: SocketAddr,
    },
    /// One side did not accept the other's certificate: another cluster, expired, another node than expected, a
    /// client where a node was expected, or none at all. Retrying is useless until the operator acts.
    #[error("no trust between us and {addr}: {reason}")]
    Certificate {
        /// The peer's address.
        addr: SocketAddr,
        /// The verdict, by whoever gave it.
        reason: String,
    },
    /// The two sides speak no version in common. Upgrade one of the two.
    #[error("VERSION: this node speaks {ours}, and {addr} speaks {theirs}")]
    Version {
        /// The peer's address.
        addr: SocketAddr,
        /// The versions that this side speaks, the highest first.
        ours: String,
        /// Those that the peer speaks, as it says.
        theirs: String,
    },
    /// The peer speaks no protocol of ours at all. Dial elsewhere, or upgrade it.
    #[error("{addr} does not speak this protocol: {reason}")]
    Protocol {
        /// The peer's address.
        addr: SocketAddr,
        /// What the handshake said.
        reason: String,
    },
    /// The connection ended during its handshake for a reason of its own. Retry.
    #[error("the handshake with {addr} broke off")]
    Lost {
        /// The peer's address.
        addr: SocketAddr,
        /// How it ended.
        #[source]
        reason: CloseReason,
    },
    /// The address can't be dialled: port 0, or IPv6 from an IPv4 socket. The caller's fault.
    #[error("{addr} can't be dialled from here: {reason}")]
    Address {
        /// The address.
        addr: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// The expected node's name is no name. The caller's fault.
    #[error("the expected node has no valid name")]
    Name(#[from] NameError),
    /// This endpoint was closed.
    #[error("the endpoint is closed")]
    EndpointClosed,
}
