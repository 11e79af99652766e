//! Peers that break the rules, made of raw quinn and rustls.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_net::{Authority, Identity};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use time::{Duration, OffsetDateTime};
use tokio::net::UdpSocket;

use crate::pair::LOOPBACK;

/// Whom the adversary shows itself as, and which protocol it speaks.
pub(crate) struct Guise<'a> {
    /// Whose certificate it trusts.
    pub(crate) trusts: &'a Identity,
    /// What it shows; nothing if `None`.
    pub(crate) shows: Option<&'a Identity>,
    /// The protocols that it offers, in order of its preference.
    pub(crate) alpn: &'a [&'a [u8]],
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(identity: &Identity) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(identity.to_pem().ca.as_bytes()).unwrap()).unwrap();
    roots
}

fn chain_and_key(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let pem = identity.to_pem();
    let leaf = CertificateDer::from_pem_slice(pem.cert.as_bytes()).unwrap();
    (vec![leaf], PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap())
}

/// A client endpoint of raw quinn.
pub(crate) fn dialler(guise: &Guise<'_>) -> quinn::Endpoint {
    endpoint_of(client_config(guise))
}

/// As [`dialler`], whose first packets go to a connection id of its choice.
pub(crate) fn dialler_with_id(guise: &Guise<'_>, id: &'static [u8]) -> quinn::Endpoint {
    let mut config = client_config(guise);
    config.initial_dst_cid_provider(Arc::new(|| quinn::ConnectionId::new(id)));
    endpoint_of(config)
}

fn endpoint_of(config: quinn::ClientConfig) -> quinn::Endpoint {
    let mut endpoint = quinn::Endpoint::client(LOOPBACK).unwrap();
    endpoint.set_default_client_config(config);
    endpoint
}

fn client_config(guise: &Guise<'_>) -> quinn::ClientConfig {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots(guise.trusts));
    let mut crypto = match guise.shows.map(chain_and_key) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    crypto.alpn_protocols = guise.alpn.iter().map(|name| name.to_vec()).collect();
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto).unwrap()))
}

/// A listening endpoint of raw quinn that takes everybody of its authority.
pub(crate) fn listener(guise: &Guise<'_>) -> quinn::Endpoint {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(guise.trusts)), provider())
        .build()
        .unwrap();
    let (chain, key) = chain_and_key(guise.shows.expect("a server shows a certificate"));
    let mut crypto = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    crypto.alpn_protocols = guise.alpn.iter().map(|name| name.to_vec()).collect();
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(crypto).unwrap()));
    quinn::Endpoint::server(config, LOOPBACK).unwrap()
}

/// A node's identity that a careless (or hurried) authority signed: with the given names and times.
pub(crate) fn forge(
    authority: &Authority,
    uri: &str,
    hosts: &[&str],
    valid: [OffsetDateTime; 2],
) -> Identity {
    forge_with(&KeyPair::generate().unwrap(), authority, uri, hosts, valid)
}

/// As [`forge`], with a key whose signatures all have one length.
pub(crate) fn forge_ed25519(
    authority: &Authority,
    uri: &str,
    hosts: &[&str],
    valid: [OffsetDateTime; 2],
) -> Identity {
    forge_with(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), authority, uri, hosts, valid)
}

fn forge_with(
    key: &KeyPair,
    authority: &Authority,
    uri: &str,
    hosts: &[&str],
    valid: [OffsetDateTime; 2],
) -> Identity {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    [params.not_before, params.not_after] = valid;
    let signer = KeyPair::from_pem(&authority.key_pem()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(authority.cert_pem(), signer).unwrap();
    let certificate = params.signed_by(key, &issuer).unwrap();
    Identity::from_pem(authority.cert_pem(), &certificate.pem(), &key.serialize_pem()).unwrap()
}

/// From two hours ago until an hour ago.
pub(crate) fn past() -> [OffsetDateTime; 2] {
    let now = OffsetDateTime::now_utc();
    [now - Duration::hours(2), now - Duration::hours(1)]
}

/// From an hour ago until an hour from now.
pub(crate) fn present() -> [OffsetDateTime; 2] {
    let now = OffsetDateTime::now_utc();
    [now - Duration::hours(1), now + Duration::hours(1)]
}

/// A caller whose first packet reached `victim` and who never speaks again. Keep it: the socket is its address.
pub(crate) async fn silent_caller(victim: SocketAddr, guise: &Guise<'_>) -> UdpSocket {
    let relay = UdpSocket::bind(LOOPBACK).await.unwrap();
    let caller = dialler(guise);
    let _connecting = caller.connect(relay.local_addr().unwrap(), "node.farm.mesh").unwrap();
    let mut packet = [0; 2048];
    let size = relay.recv(&mut packet).await.unwrap();
    relay.send_to(&packet[..size], victim).await.unwrap();
    relay
}
