//! A connection of a machine that has no certificate yet.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mesh_proto::{ENROLL_BYTES_MAX, EnrollReply, EnrollRequest, decode_frame, encode_frame};
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionId, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::failure::connect_error;
use super::{settings, tls};
use crate::endpoint::{BindError, ConnectError};
use crate::enroll::{ALPN, EXPORT_LABEL, EnrollError, Exported};
use crate::identity::{any_node_host, authority_cluster, public_key_info, sha256};

/// How the first packet of an enrolment is told from others, before anything of it is decrypted: its destination's id
/// begins with this. It picks the TLS configuration and gives no right: the one that asks for no certificate speaks
/// `mesh-enroll/1` and nothing else.
pub(crate) const MARK: &[u8; 8] = b"mesh-enr";
/// Unpredictable bytes behind the mark (RFC 9000 §7.2 wants eight at least).
const RANDOM_BYTES: usize = 12;
/// The name in the handshake: the joiner does not know the cluster's yet.
const HOST: &str = "node.mesh";

pub(crate) struct Joining {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    /// The authority's certificate, as TLS has shown it and the token's hash has proved it.
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) cluster: String,
    pub(crate) exported: Exported,
}

impl Joining {
    pub(crate) async fn connect(addr: SocketAddr, authority: [u8; 32]) -> Result<Self, EnrollError> {
        let verifier =
            Arc::new(ByHash { authority, provider: Arc::new(tls::provider()), found: Mutex::default() });
        let endpoint = dialler(addr, Arc::clone(&verifier))?;
        let connecting = endpoint
            .connect(addr, HOST)
            .map_err(|error| ConnectError::Address { addr, reason: error.to_string() })?;
        let connection = connecting.await.map_err(|error| connect_error(addr, error))?;
        let mut exported = Exported::default();
        let lost = |reason: &str| EnrollError::Lost { reason: reason.to_owned() };
        connection
            .export_keying_material(&mut exported, EXPORT_LABEL, b"")
            .map_err(|_| lost("TLS exports no key"))?;
        let found = verifier.found.lock().take().ok_or_else(|| lost("TLS showed no certificate"))?;
        let cluster = authority_cluster(&found)?;
        Ok(Self { endpoint, connection, authority: found, cluster, exported })
    }

    pub(crate) async fn ask(&self, request: &EnrollRequest) -> Result<EnrollReply, String> {
        let said = |error: &dyn std::error::Error| error.to_string();
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(|error| said(&error))?;
        let mut frame = Vec::new();
        encode_frame(request, &mut frame);
        send.write_all(&frame).await.map_err(|error| said(&error))?;
        send.finish().map_err(|error| said(&error))?;
        let reply = receive.read_to_end(ENROLL_BYTES_MAX).await.map_err(|error| said(&error))?;
        decode_frame(&reply).map_err(|error| said(&error))
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.connection.close(VarInt::from(0u32), b"done");
        self.endpoint.close(VarInt::from(0u32), b"done");
    }
}

fn dialler(addr: SocketAddr, verifier: Arc<ByHash>) -> Result<quinn::Endpoint, BindError> {
    let unusable = |error: &dyn std::error::Error| BindError::Identity { reason: error.to_string() };
    let mut crypto = rustls::ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    crypto.alpn_protocols = vec![ALPN.to_vec()];
    crypto.resumption = Resumption::disabled();
    let crypto = QuicClientConfig::try_from(crypto).map_err(|error| unusable(&error))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(settings::enrolment()));
    config.initial_dst_cid_provider(Arc::new(marked_id));
    let local = match addr {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let mut endpoint = quinn::Endpoint::client(local).map_err(|source| BindError::from_io(local, source))?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn marked_id() -> ConnectionId {
    let mut id = [0; MARK.len() + RANDOM_BYTES];
    let (mark, random) = id.split_at_mut(MARK.len());
    mark.copy_from_slice(MARK);
    // Without random numbers no handshake succeeds; there is nobody to tell here.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), random);
    ConnectionId::new(&id)
}

/// Believes a node whose chain ends in the authority that has this key hash.
#[derive(Debug)]
struct ByHash {
    authority: [u8; 32],
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for ByHash {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_ours = |other: &&CertificateDer<'_>| {
            public_key_info(other).is_ok_and(|key| sha256(&key) == self.authority)
        };
        let authority = others.iter().find(is_ours).ok_or(CertificateError::UnknownIssuer)?;
        let cluster = authority_cluster(authority).map_err(|_| CertificateError::BadEncoding)?;
        let host =
            ServerName::try_from(any_node_host(&cluster)).map_err(|_| CertificateError::BadEncoding)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified = verifier.verify_server_cert(leaf, &[], &host, ocsp_response, now)?;
        *self.found.lock() = Some(authority.clone().into_owned());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
