//! A UDP socket that speaks QUIC.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AsyncUdpSocket, ConnectionError, Incoming, TokioRuntime, VarInt};
use quinn_proto::NoneTokenStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::enrolling::{ENROLMENTS_MAX, Enrolling};
use super::failure::connect_error;
use super::tls::Shown;
use super::{protocol, settings, tls};
use crate::close::CloseCode;
use crate::config::TransportConfig;
use crate::connection::{Connection, Link};
use crate::endpoint::{BindError, ConnectError, Expect, canonical};
use crate::enroll::Registrar;
use crate::identity::{Credential, Identity, Role, any_node_host, credential, node_host};
use crate::name::check_name;

pub(crate) struct QuicEndpoint {
    endpoint: quinn::Endpoint,
    local_addr: SocketAddr,
    connections_max: usize,
    handshakes_max: usize,
    handshaker: Handshaker,
    /// Accepted handshakes in progress or done but not yet asked for. Aborted with the endpoint.
    accepting: tokio::sync::Mutex<Accepting>,
    /// Absent where nobody is accepted.
    enrolling: Option<Enrolling>,
    shown: Arc<Shown>,
    roots: RootCertStore,
}

#[derive(Default)]
struct Accepting {
    handshakes: JoinSet<Result<Connection, ConnectError>>,
    enrolments: JoinSet<()>,
}

/// What turns QUIC handshakes into connections of known peers.
#[derive(Clone)]
struct Handshaker {
    cluster: Arc<str>,
    connect_timeout: Duration,
    open_timeout: Duration,
    is_simulated: bool,
}

impl QuicEndpoint {
    pub(crate) fn bind(
        addr: SocketAddr,
        identity: &Identity,
        config: &TransportConfig,
    ) -> Result<Self, BindError> {
        let shown = Shown::new(identity).map_err(unusable)?;
        let server = server(identity, &shown, config)?;
        let mut endpoint = Self::open(addr, identity, config, Some(server), Arc::clone(&shown))?;
        let crypto = tls::enroll_server_config(identity, &shown).map_err(unusable)?;
        let crypto = QuicServerConfig::try_from(crypto).map_err(unusable)?;
        endpoint.enrolling = Some(Enrolling::new(settings::enroll_server(Arc::new(crypto))));
        Ok(endpoint)
    }

    /// Over a socket of the caller's. Nobody is enrolled there.
    pub(crate) fn over(
        socket: Arc<dyn AsyncUdpSocket>,
        seed: Option<[u8; 32]>,
        identity: &Identity,
        config: &TransportConfig,
    ) -> Result<Self, BindError> {
        config.validate()?;
        let shown = Shown::new(identity).map_err(unusable)?;
        let server = server(identity, &shown, config)?;
        let failed = |source| BindError::from_io(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), source);
        let local_addr = socket.local_addr().map_err(failed)?;
        let mut endpoint_config = settings::endpoint(identity, local_addr.port(), config);
        endpoint_config.rng_seed(seed);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            endpoint_config,
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        );
        let mut endpoint = Self::around(endpoint.map_err(failed)?, local_addr, identity, config, shown)?;
        endpoint.handshaker.is_simulated = true;
        Ok(endpoint)
    }

    pub(crate) fn client(identity: &Identity, config: &TransportConfig) -> Result<Self, BindError> {
        let both_families = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let shown = Shown::new(identity).map_err(unusable)?;
        Self::open(both_families, identity, config, None, Arc::clone(&shown)).or_else(|error| match error {
            // A machine without IPv6.
            BindError::Socket { .. } => {
                Self::open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), identity, config, None, shown)
            }
            other => Err(other),
        })
    }

    fn open(
        addr: SocketAddr,
        identity: &Identity,
        config: &TransportConfig,
        server: Option<quinn::ServerConfig>,
        shown: Arc<Shown>,
    ) -> Result<Self, BindError> {
        config.validate()?;
        let failed = |source| BindError::from_io(addr, source);
        let socket = settings::socket(addr, config.socket_buffer_bytes)?;
        let local_addr = socket.local_addr().map_err(failed)?;
        let endpoint_config = settings::endpoint(identity, local_addr.port(), config);
        let endpoint =
            quinn::Endpoint::new(endpoint_config, server, socket, Arc::new(TokioRuntime)).map_err(failed)?;
        Self::around(endpoint, local_addr, identity, config, shown)
    }

    fn around(
        mut endpoint: quinn::Endpoint,
        local_addr: SocketAddr,
        identity: &Identity,
        config: &TransportConfig,
        shown: Arc<Shown>,
    ) -> Result<Self, BindError> {
        let crypto = tls::client_config(identity, &shown).map_err(unusable)?;
        let crypto = QuicClientConfig::try_from(crypto).map_err(unusable)?;
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        // Servers of ours give out no tokens for later: nothing is kept of each that was dialled.
        client.transport_config(Arc::new(settings::transport(config))).token_store(Arc::new(NoneTokenStore));
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
                is_simulated: false,
            },
            accepting: tokio::sync::Mutex::default(),
            enrolling: None,
            shown,
            roots: identity.root_store().map_err(unusable)?,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) async fn accept(&self) -> Option<Result<Connection, ConnectError>> {
        let mut accepting = self.accepting.lock().await;
        loop {
            let has_room = accepting.handshakes.len() < self.handshakes_max;
            let Accepting { handshakes, enrolments } = &mut *accepting;
            tokio::select! {
                Some(_served) = enrolments.join_next() => {}
                Some(done) = handshakes.join_next() => match done {
                    Ok(result) => return Some(result),
                    Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                    Err(_aborted) => {}
                },
                incoming = self.endpoint.accept(), if has_room => match incoming {
                    Some(incoming) => self.admit(incoming, &mut accepting),
                    None => {
                        handshakes.shutdown().await;
                        enrolments.shutdown().await;
                        return None;
                    }
                },
            }
        }
    }

    /// Starts a handshake, or refuses when there are connections enough, or asks for a proof of the address first when many are in progress: forged first packets
    /// then cost us one stateless answer instead of a place.
    fn admit(&self, incoming: Incoming, accepting: &mut Accepting) {
        let enrolling = self.enrolling.as_ref().filter(|_| Enrolling::is_meant(&incoming));
        if enrolling.is_some() && accepting.enrolments.len() >= ENROLMENTS_MAX {
            incoming.refuse();
            return;
        }
        if self.endpoint.open_connections() >= self.connections_max {
            incoming.refuse();
            return;
        }
        let is_busy = accepting.handshakes.len() >= self.handshakes_max / 2
            || (enrolling.is_some() && accepting.enrolments.len() >= ENROLMENTS_MAX / 2);
        if is_busy && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "caller can't be asked for an address proof");
            }
            return;
        }
        if let Some(enrolling) = enrolling.cloned() {
            accepting.enrolments.spawn(enrolling.serve(incoming));
            return;
        }
        let handshaker = self.handshaker.clone();
        accepting.handshakes.spawn(async move { handshaker.accept(incoming).await });
    }

    /// Handshakes from now on show this identity.
    pub(crate) fn show(&self, identity: &Identity) -> Result<(), rustls::Error> {
        self.shown.replace(identity)
    }

    pub(crate) fn set_registrar(&self, registrar: Arc<dyn Registrar>) {
        if let Some(enrolling) = &self.enrolling {
            enrolling.set(registrar);
        }
    }

    /// Reads a client's certificate that another node has passed on, if our authority has signed it and it counts now.
    pub(crate) fn verify_client(&self, certificate: &[u8]) -> Result<Credential, String> {
        tls::verify_client(self.roots.clone(), certificate).map_err(|error| error.to_string())?;
        self.handshaker.read(&CertificateDer::from(certificate))
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

    pub(crate) fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    pub(crate) fn close(&self) {
        self.endpoint.close(VarInt::from(u32::from(CloseCode::Shutdown)), b"endpoint closed");
    }

    pub(crate) async fn wait_idle(&self, limit: Duration) -> bool {
        timeout(limit, self.endpoint.wait_idle()).await.is_ok()
    }
}

fn server(
    identity: &Identity,
    shown: &Arc<Shown>,
    config: &TransportConfig,
) -> Result<quinn::ServerConfig, BindError> {
    let crypto = tls::server_config(identity, shown).map_err(unusable)?;
    let crypto = QuicServerConfig::try_from(crypto).map_err(unusable)?;
    Ok(settings::server(Arc::new(crypto), config))
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
        if protocol::agreed(&connection).is_none() {
            return Err(self.disagree(addr, &connection).await);
        }
        match self.identify(&connection) {
            Ok(credential) => {
                let make = if self.is_simulated { Connection::simulated } else { Connection::new };
                Ok(make(credential, self.open_timeout, Link::Quic(connection)))
            }
            Err(reason) => {
                connection.close(VarInt::from(u32::from(CloseCode::Denied)), reason.as_bytes());
                Err(ConnectError::Certificate { addr, reason })
            }
        }
    }

    /// No version is common: the accepting side says what it speaks, and the dialling side hears it.
    async fn disagree(&self, addr: SocketAddr, connection: &quinn::Connection) -> ConnectError {
        let ours = protocol::spoken();
        let mut theirs = String::new();
        if connection.side().is_server() {
            connection.close(VarInt::from(u32::from(CloseCode::VersionMismatch)), ours.as_bytes());
        } else if let Ok(ConnectionError::ApplicationClosed(close)) =
            timeout(self.connect_timeout, connection.closed()).await
        {
            theirs = protocol::shown(&close.reason);
        }
        if theirs.is_empty() {
            "another".clone_into(&mut theirs);
        }
        ConnectError::Version { addr, ours, theirs }
    }

    /// Reads the peer's identity from the chain that TLS has verified.
    fn identify(&self, connection: &quinn::Connection) -> Result<Credential, String> {
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("the peer presented no certificate")?;
        self.read(chain.first().ok_or("the peer presented no certificate")?)
    }

    fn read(&self, leaf: &CertificateDer<'_>) -> Result<Credential, String> {
        let credential = credential(leaf).map_err(|error| error.to_string())?;
        if *credential.peer.cluster != *self.cluster {
            return Err(format!("{} is of another cluster", credential.peer));
        }
        Ok(credential)
    }
}

fn unusable(error: impl std::error::Error) -> BindError {
    BindError::Identity { reason: error.to_string() }
}
