//! A UDP socket that speaks QUIC.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Incoming, TokioRuntime, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::failure::connect_error;
use super::{settings, tls};
use crate::close::CloseCode;
use crate::config::TransportConfig;
use crate::connection::{Connection, Link};
use crate::endpoint::{BindError, ConnectError, Expect, canonical};
use crate::identity::{Identity, PeerIdentity, Role, any_node_host, node_host, peer_identity};
use crate::name::check_name;

pub(crate) struct QuicEndpoint {
    endpoint: quinn::Endpoint,
    local_addr: SocketAddr,
    connections_max: usize,
    handshakes_max: usize,
    handshaker: Handshaker,
    /// Accepted handshakes in progress or done but not yet asked for. Aborted with the endpoint.
    accepting: tokio::sync::Mutex<JoinSet<Result<Connection, ConnectError>>>,
}

/// What turns QUIC handshakes into connections of known peers.
#[derive(Clone)]
struct Handshaker {
    cluster: Arc<str>,
    connect_timeout: Duration,
    open_timeout: Duration,
}

impl QuicEndpoint {
    pub(crate) fn bind(
        addr: SocketAddr,
        identity: &Identity,
        config: &TransportConfig,
    ) -> Result<Self, BindError> {
        let crypto = tls::server_config(identity).map_err(unusable)?;
        let crypto = QuicServerConfig::try_from(crypto).map_err(unusable)?;
        Self::open(addr, identity, config, Some(settings::server(Arc::new(crypto), config)))
    }

    pub(crate) fn client(identity: &Identity, config: &TransportConfig) -> Result<Self, BindError> {
        let both_families = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        Self::open(both_families, identity, config, None).or_else(|error| match error {
            // A machine without IPv6.
            BindError::Socket { .. } => {
                Self::open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), identity, config, None)
            }
            other => Err(other),
        })
    }

    fn open(
        addr: SocketAddr,
        identity: &Identity,
        config: &TransportConfig,
        server: Option<quinn::ServerConfig>,
    ) -> Result<Self, BindError> {
        config.validate()?;
        let crypto = tls::client_config(identity).map_err(unusable)?;
        let crypto = QuicClientConfig::try_from(crypto).map_err(unusable)?;
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(settings::transport(config)));

        let failed = |source| BindError::from_io(addr, source);
        let socket = settings::socket(addr, config.socket_buffer_bytes)?;
        let local_addr = socket.local_addr().map_err(failed)?;
        let endpoint_config = settings::endpoint(identity, local_addr.port(), config);
        let mut endpoint =
            quinn::Endpoint::new(endpoint_config, server, socket, Arc::new(TokioRuntime)).map_err(failed)?;
        endpoint.set_default_client_config(client);
        Ok(Self {
            endpoint,
            local_addr,
            connections_max: config.connections_max.into(),
            handshakes_max: config.handshakes_max.into(),
            handshaker: Handshaker {
                cluster: identity.peer_id().cluster.as_str().into(),
                connect_timeout: config.connect_timeout,
                open_timeout: config.open_timeout,
            },
            accepting: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) async fn accept(&self) -> Option<Result<Connection, ConnectError>> {
        let mut accepting = self.accepting.lock().await;
        loop {
            let has_room = accepting.len() < self.handshakes_max;
            tokio::select! {
                Some(done) = accepting.join_next() => match done {
                    Ok(result) => return Some(result),
                    Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                    Err(_aborted) => {}
                },
                incoming = self.endpoint.accept(), if has_room => match incoming {
                    Some(incoming) => self.admit(incoming, &mut accepting),
                    None => {
                        accepting.shutdown().await;
                        return None;
                    }
                },
            }
        }
    }

    /// Starts a handshake, or refuses when there are connections enough, or asks for a proof of the address first when many are in progress: forged first packets
    /// then cost us one stateless answer instead of a place.
    fn admit(&self, incoming: Incoming, accepting: &mut JoinSet<Result<Connection, ConnectError>>) {
        if self.endpoint.open_connections() >= self.connections_max {
            incoming.refuse();
            return;
        }
        let is_busy = accepting.len() >= self.handshakes_max / 2;
        if is_busy && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "caller can't be asked for an address proof");
            }
            return;
        }
        let handshaker = self.handshaker.clone();
        accepting.spawn(async move { handshaker.accept(incoming).await });
    }

    pub(crate) async fn connect(
        &self,
        addr: SocketAddr,
        expect: Expect<'_>,
    ) -> Result<Connection, ConnectError> {
        let cluster = &self.handshaker.cluster;
        let host = match expect {
            Expect::AnyNode => any_node_host(cluster),
            Expect::Node(name) => {
                check_name(name)?;
                node_host(cluster, name)
            }
        };
        let connecting = self.endpoint.connect(addr, &host).map_err(|error| match error {
            quinn::ConnectError::EndpointStopping => ConnectError::EndpointClosed,
            other => ConnectError::Address { addr, reason: other.to_string() },
        })?;
        let connection = self.handshaker.finish(addr, connecting).await?;
        if connection.peer().role != Role::Node {
            // The host name in the certificate already says so; this holds even if an authority were careless.
            let reason = format!("{} is no node", connection.peer());
            connection.close(CloseCode::Denied, &reason);
            return Err(ConnectError::Certificate { addr, reason });
        }
        Ok(connection)
    }

    pub(crate) fn close(&self) {
        self.endpoint.close(VarInt::from(u32::from(CloseCode::Shutdown)), b"endpoint closed");
    }

    pub(crate) async fn wait_idle(&self, limit: Duration) -> bool {
        timeout(limit, self.endpoint.wait_idle()).await.is_ok()
    }
}

impl Drop for QuicEndpoint {
    fn drop(&mut self) {
        // Connections keep the socket alive: callers shall not fill it while nobody accepts.
        self.endpoint.set_server_config(None);
    }
}

impl Handshaker {
    async fn accept(&self, incoming: Incoming) -> Result<Connection, ConnectError> {
        let addr = canonical(incoming.remote_address());
        let connecting = incoming.accept().map_err(|error| connect_error(addr, error))?;
        self.finish(addr, connecting).await
    }

    async fn finish(
        &self,
        addr: SocketAddr,
        connecting: quinn::Connecting,
    ) -> Result<Connection, ConnectError> {
        let connection = timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_elapsed| ConnectError::TimedOut { addr })?
            .map_err(|error| connect_error(addr, error))?;
        match self.identify(&connection) {
            Ok(peer) => Ok(Connection::new(peer, self.open_timeout, Link::Quic(connection))),
            Err(reason) => {
                connection.close(VarInt::from(u32::from(CloseCode::Denied)), reason.as_bytes());
                Err(ConnectError::Certificate { addr, reason })
            }
        }
    }

    /// Reads the peer's identity from the chain that TLS has verified.
    fn identify(&self, connection: &quinn::Connection) -> Result<PeerIdentity, String> {
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("the peer presented no certificate")?;
        let leaf = chain.first().ok_or("the peer presented no certificate")?;
        let peer = peer_identity(leaf).map_err(|error| error.to_string())?;
        if *peer.cluster != *self.cluster {
            return Err(format!("{peer} is of another cluster"));
        }
        Ok(peer)
    }
}

fn unusable(error: impl std::error::Error) -> BindError {
    BindError::Identity { reason: error.to_string() }
}
