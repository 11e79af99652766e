//! An actor's reach from a process that is no member.

use crate::{
    mesh::Mesh,
    parking::Parking,
    pending::Pending,
    registry::Registry,
    session::Session,
    shared::{Me, Reclaimer, Role, Shared},
    tasks::Tasks,
    trust::Trust,
};
use mesh_actor::{Runtimes, System};
use mesh_net::{BindError, ConnectError, Endpoint, Expect, Identity, PeerIdentity, TransportConfig};
use mesh_proto::NodeId;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{task::JoinError, time::timeout};

/// A client: it needs no open port, and reaches every actor through any one node.
#[derive(Debug)]
pub struct Client;

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Limits and timers of the connection. Default [`TransportConfig::lan`].
    pub transport: TransportConfig,
    /// How long one address may take to answer: default 3 s.
    pub connect_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { transport: TransportConfig::lan(), connect_timeout: Duration::from_secs(3) }
    }
}

/// Why no node was reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// This machine gave no socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No address was given.
    #[error("no node's address was given")]
    NoAddress,
    /// A node answers at an address, and one side does not trust the other's certificate: it is a node of another mesh.
    /// The last address that was tried.
    #[error("{addr}: {reason}")]
    Untrusted {
        /// The address as it was given.
        addr: String,
        /// Why there is no trust.
        reason: String,
    },
    /// An address did not become a connection; the last that was tried.
    #[error("{addr}: {reason}")]
    Unreached {
        /// The address as it was given.
        addr: String,
        /// Why not.
        reason: String,
    },
}

impl Client {
    /// Connects to the first of `addrs` (`HOST:PORT`) that answers.
    ///
    /// # Errors
    /// [`ClientError`] with the reason of the last address.
    ///
    /// # Cancel safety
    /// Dropped before it has ended, it leaves no connection behind.
    pub async fn connect(
        addrs: &[String],
        identity: &Identity,
        config: ClientConfig,
        runtimes: Runtimes,
    ) -> Result<Mesh, ClientError> {
        let network = runtimes.network.clone();
        let (addrs, identity) = (addrs.to_vec(), identity.clone());
        let connects = network.spawn(async move {
            let endpoint = Endpoint::client(&identity, &config.transport)?;
            connect(endpoint, identity.peer_id().clone(), addrs, config, runtimes).await
        });
        connects.await.unwrap_or_else(|error| Err(ended(&error)))
    }

    /// Connects from an endpoint that was made elsewhere: in memory, for tests.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_on(
        endpoint: Endpoint,
        peer_id: PeerIdentity,
        addrs: &[String],
        config: ClientConfig,
        runtimes: Runtimes,
    ) -> Result<Mesh, ClientError> {
        let network = runtimes.network.clone();
        let addrs = addrs.to_vec();
        let connects = network.spawn(connect(endpoint, peer_id, addrs, config, runtimes));
        connects.await.unwrap_or_else(|error| Err(ended(&error)))
    }
}

fn ended(error: &JoinError) -> ClientError {
    ClientError::Unreached { addr: String::new(), reason: error.to_string() }
}

async fn connect(
    endpoint: Endpoint,
    peer_id: PeerIdentity,
    addrs: Vec<String>,
    config: ClientConfig,
    runtimes: Runtimes,
) -> Result<Mesh, ClientError> {
    let me = Me {
        id: NodeId(peer_id.id),
        name: peer_id.name.as_str().into(),
        boot: crate::shared::boot_now(),
        cluster: peer_id.cluster.as_str().into(),
    };
    let network = runtimes.network.clone();
    let shared = Arc::new(Shared {
        me,
        network: network.clone(),
        system: System::new(runtimes),
        ports: Default::default(),
        registry: Registry::default(),
        pending: Pending::default(),
        running: Default::default(),
        parking: Parking::new(Duration::ZERO),
        tasks: Tasks::new(network),
        reclaimer: Reclaimer::default(),
        trust: Trust::default(),
        role: Role::Client { uplink: OnceLock::new() },
        leave_asked: Default::default(),
        loss_probe: config.transport.loss_probe,
    });
    let mut last = ClientError::NoAddress;
    for addr in &addrs {
        match reach(&shared, &endpoint, addr, config.connect_timeout).await {
            Ok(session) => {
                if let Role::Client { uplink } = &shared.role {
                    let _ = uplink.set(Arc::clone(&session));
                }
                shared.watch(session);
                return Ok(Mesh::of_client(shared, endpoint));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn reach(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    addr: &str,
    limit: Duration,
) -> Result<Arc<Session>, ClientError> {
    let unreached = |reason| ClientError::Unreached { addr: addr.to_owned(), reason };
    let addrs = tokio::net::lookup_host(addr)
        .await
        .map_err(|error| unreached(format!("the name has no address: {error}")))?;
    let mut last = unreached("the name resolves to nothing".to_owned());
    for socket_addr in addrs {
        last = match timeout(limit, endpoint.connect(socket_addr, Expect::AnyNode)).await {
            Ok(Ok(connection)) => match Session::establish(shared, connection, true).await {
                Ok(session) => return Ok(session),
                Err(error) => unreached(error.to_string()),
            },
            Ok(Err(error @ ConnectError::Certificate { .. })) => {
                ClientError::Untrusted { addr: addr.to_owned(), reason: error.to_string() }
            }
            Ok(Err(error)) => unreached(error.to_string()),
            Err(_elapsed) => unreached(format!("no answer in {} s", limit.as_secs_f32())),
        };
    }
    Err(last)
}
