//! TLS 1.3: mutual, but for who has no certificate yet and asks for one.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};

use super::protocol;
use crate::enroll;
use crate::identity::Identity;

/// The one cryptography provider, passed explicitly: a process-wide default depends on which crates are linked.
pub(crate) fn provider() -> CryptoProvider {
    use ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..ring::default_provider()
    }
}

/// The certificate that this endpoint shows: it can be replaced while the endpoint lives.
pub(crate) struct Shown {
    leaf: RwLock<Arc<CertifiedKey>>,
}

impl Shown {
    pub(crate) fn new(identity: &Identity) -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self { leaf: RwLock::new(certified(identity)?) }))
    }

    /// Handshakes from now on show this one; connections that are open stay as they are.
    pub(crate) fn replace(&self, identity: &Identity) -> Result<(), rustls::Error> {
        *self.leaf.write() = certified(identity)?;
        Ok(())
    }

    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.leaf.read())
    }
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, rustls::Error> {
    Ok(Arc::new(CertifiedKey::from_der(identity.chain(), identity.key(), &provider())?))
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        protocol::look_at(&hello);
        Some(self.now())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// As [`Shown`], with the roots behind the leaf: a joiner knows its root by a hash only.
#[derive(Debug)]
struct ShownWithRoots {
    shown: Arc<Shown>,
    roots: Vec<CertificateDer<'static>>,
}

impl ResolvesServerCert for ShownWithRoots {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let leaf = self.shown.now();
        let chain = [leaf.cert.as_slice(), &self.roots].concat();
        Some(Arc::new(CertifiedKey::new(chain, Arc::clone(&leaf.key))))
    }
}

fn client_verifier(roots: RootCertStore) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// Whether a certificate that somebody else has passed on is signed by our authority, and counts now for a caller.
pub(crate) fn verify_client(roots: RootCertStore, certificate: &[u8]) -> Result<(), rustls::Error> {
    let certificate = CertificateDer::from(certificate);
    client_verifier(roots)?.verify_client_cert(&certificate, &[], UnixTime::now()).map(drop)
}

/// How connections are accepted: the caller must present a certificate of our authority.
pub(crate) fn server_config(
    identity: &Identity,
    shown: &Arc<Shown>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(client_verifier(identity.root_store()?)?)
        .with_cert_resolver(Arc::clone(shown) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = protocol::offered();
    without_resumption(&mut config);
    Ok(config)
}

/// How enrolments are accepted: the caller has no certificate, and can speak no other protocol than that.
pub(crate) fn enroll_server_config(
    identity: &Identity,
    shown: &Arc<Shown>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let shown = ShownWithRoots { shown: Arc::clone(shown), roots: identity.roots().to_vec() };
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![enroll::ALPN.to_vec()];
    without_resumption(&mut config);
    Ok(config)
}

fn without_resumption(config: &mut rustls::ServerConfig) {
    // A resumed session skips the certificate check, so an expired or revoked peer could come back by its ticket.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
}

/// How connections are dialled: the peer must prove the host name that we expect.
pub(crate) fn client_config(
    identity: &Identity,
    shown: &Arc<Shown>,
) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(identity.root_store()?)
        .with_client_cert_resolver(Arc::clone(shown) as Arc<dyn ResolvesClientCert>);
    config.alpn_protocols = protocol::offered();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}
