//! An actor's reach from a process that is no member.

use crate::{
    mesh::Mesh,
    parking::Parking,
    pending::Pending,
    registry::Registry,
    shared::{Me, Reclaimer, Role, Shared},
    tasks::Tasks,
    trust::Trust,
    uplink::{self, Uplink},
};
use mesh_actor::{Runtimes, System};
use mesh_net::{BindError, Endpoint, Identity, PeerIdentity, TransportConfig};
use mesh_proto::NodeId;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinError;

/// A client: it needs no open port, and reaches every actor through any one node.
///
/// When that node is lost, or leaves, the client goes on through another: one of the addresses that it was given, or of
/// the members that it was told of, for which it needs the grant `read:*/mesh`. Asks in flight through a node that is lost
/// fail as [`AskError::Unreachable`](crate::AskError::Unreachable); those in flight through one that leaves are answered.
/// What is sent meanwhile waits a second for the other node.
#[derive(Debug)]
pub struct Client;

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Limits and timers of the connection. Default [`TransportConfig::lan`].
    pub transport: TransportConfig,
    /// How long one address may take to answer: default 3 s.
    pub connect_timeout: Duration,
    /// Whether it goes on through another node when its own is lost or leaves: default true. Otherwise it ends with
    /// that node, as one does that watches it.
    pub moves: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { transport: TransportConfig::lan(), connect_timeout: Duration::from_secs(3), moves: true }
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
    let (loss_probe, moves) = (config.transport.loss_probe, config.moves);
    let uplink = Arc::new(Uplink::new(endpoint, addrs, config));
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
        followers: Default::default(),
        placement: Default::default(),
        role: Role::Client(Arc::clone(&uplink)),
        leave_asked: Default::default(),
        loss_probe,
    });
    uplink.connect(&shared).await?;
    if moves {
        shared.tasks.spawn(uplink::keep(Arc::clone(&shared)));
    }
    Ok(Mesh::of_client(shared, uplink))
}
