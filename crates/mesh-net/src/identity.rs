//! Who a peer is: a certificate of the cluster's own authority, and nothing else.
//!
//! ```text
//! Authority ──issue_node("alpha")───▶ Identity   DNS:alpha.node.<cluster>.mesh  DNS:node.<cluster>.mesh
//!     │                                          URI:spiffe://<cluster>/node/alpha      usable as server and client
//!     └───────issue_client("alice")─▶ Identity   URI:spiffe://<cluster>/client/alice    usable as client only,
//!                                                and an extension with what it may do
//! verified TLS certificate ─▶ Credential { peer: PeerIdentity { cluster, role, name, id }, grants, … }
//! ```
//!
//! This module touches no files: PEM text comes in and goes out, and whoever stores it guards the keys.

mod authority;
mod certificate;
mod credential;
mod deny;
mod extension;
mod request;

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

pub use authority::{Authority, Lives};
pub(crate) use certificate::{authority_cluster, credential, key_id, public_key_info};
pub use credential::Credential;
pub(crate) use credential::sha256;
pub use deny::{Denied, DenyList, InvalidDenied};
pub(crate) use deny::{from_hex, to_hex};
pub(crate) use request::SigningRequest;

use crate::name::NameError;
use crate::quic::tls;

/// What a certificate lets its holder be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A member of the cluster: dials and is dialled.
    Node,
    /// A program outside of the cluster: only dials, and may do what it was granted.
    Client,
}

impl Role {
    /// The role's word in names of certificates: `node` or `client`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Client => "client",
        }
    }
}

/// Who is at the other end of a connection, as its verified certificate says.
///
/// Its text form is the certificate's URI: `spiffe://<cluster>/node/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerIdentity {
    /// The cluster whose authority signed the certificate.
    pub cluster: String,
    /// Member or client.
    pub role: Role,
    /// The name, unique among its role within the cluster as far as the authority's operator takes care of it.
    pub name: String,
    /// The first 16 bytes, big-endian, of the SHA-256 of the certificate's public key (SubjectPublicKeyInfo).
    ///
    /// Stays the same when a certificate is renewed for the same key; differs between two holders of one name.
    pub id: u128,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.cluster, self.role.as_str(), self.name)
    }
}

/// The host name that a node's certificate carries besides the name shared by all nodes of the cluster.
pub(crate) fn node_host(cluster: &str, node: &str) -> String {
    format!("{node}.node.{cluster}.mesh")
}

/// The host name that every node's certificate carries, and no client's.
pub(crate) fn any_node_host(cluster: &str) -> String {
    format!("node.{cluster}.mesh")
}

/// A certificate chain, its private key, and the roots that its holder trusts.
///
/// `Debug` shows who it is, never the key.
pub struct Identity {
    pem: IdentityPem,
    roots: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    credential: Credential,
}

/// An [`Identity`] as text, for its owner to store; `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityPem {
    /// The trusted roots: one or more `CERTIFICATE` blocks.
    pub ca: String,
    /// The chain: the holder's own certificate first.
    pub cert: String,
    /// The private key, PKCS #8. A secret.
    pub key: String,
}

impl Identity {
    /// Reads an identity from PEM text.
    ///
    /// `ca_pem` may hold several roots, for the time in which one authority replaces another. Whether the certificate
    /// is signed by one of them and is valid now is what the peer checks at each connection, not this function.
    ///
    /// # Errors
    /// [`IdentityError`] when a part doesn't parse, when the key is not the certificate's, or when the certificate
    /// carries no mesh name.
    pub fn from_pem(ca_pem: &str, cert_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let roots = certificates(ca_pem, "ca")?;
        let chain = certificates(cert_pem, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| IdentityError::Pem { part: "key", reason: error.to_string() })?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &tls::provider())
            .map_err(|error| IdentityError::Key { reason: error.to_string() })?;
        let credential = credential(&chain[0])?;
        let pem = IdentityPem { ca: ca_pem.to_owned(), cert: cert_pem.to_owned(), key: key_pem.to_owned() };
        Ok(Self { pem, roots, chain, key, credential })
    }

    /// The PEM text from which [`from_pem`](Self::from_pem) makes this identity again.
    pub fn to_pem(&self) -> IdentityPem {
        self.pem.clone()
    }

    /// Who peers will see in this identity.
    pub fn peer_id(&self) -> &PeerIdentity {
        &self.credential.peer
    }

    /// What the certificate says: beside who it is, what it may do and until when it counts.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The same key and roots with another certificate, DER: a renewed one.
    ///
    /// # Errors
    /// [`IdentityError`] when the certificate is for another key, another name or another role.
    pub fn renewed(&self, certificate: &[u8]) -> Result<Self, IdentityError> {
        let renewed = Self::from_pem(&self.pem.ca, &pem_of_certificate(certificate), &self.pem.key)?;
        if renewed.peer_id() != self.peer_id() {
            let reason = format!("it is for {}, not for {}", renewed.peer_id(), self.peer_id());
            return Err(IdentityError::Certificate { reason });
        }
        Ok(renewed)
    }

    pub(crate) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    pub(crate) fn root_store(&self) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone())?;
        }
        Ok(store)
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            pem: self.pem.clone(),
            roots: self.roots.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            credential: self.credential.clone(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("credential", &self.credential).finish_non_exhaustive()
    }
}

impl fmt::Debug for IdentityPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityPem").field("ca", &self.ca).field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// A certificate as a PEM block (RFC 7468).
pub(crate) fn pem_of_certificate(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem += line;
        pem.push('\n');
        rest = more;
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn certificates(pem: &str, part: &'static str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| IdentityError::Pem { part, reason: error.to_string() })?;
    if found.is_empty() {
        return Err(IdentityError::Pem { part, reason: "no certificate in it".to_owned() });
    }
    Ok(found)
}

/// Why certificates or keys can't be used. Nothing was changed by the attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The name can't stand in a certificate. The caller's fault: choose another.
    #[error("the name is not usable in a certificate")]
    Name(#[from] NameError),
    /// Text that should be PEM is not. The stored file is damaged, or the wrong one.
    #[error("the {part} is not readable as PEM: {reason}")]
    Pem {
        /// Which of the texts: `ca`, `certificate` or `key`.
        part: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// The private key is of an unknown kind, or belongs to another certificate. Files were mixed up.
    #[error("the key does not fit the certificate: {reason}")]
    Key {
        /// What does not fit.
        reason: String,
    },
    /// The certificate is well formed but is not one of a mesh. Wrong file, or not our authority.
    #[error("not a mesh certificate: {reason}")]
    Certificate {
        /// What is missing or wrong.
        reason: String,
    },
    /// Making or signing a certificate failed inside the cryptography library: the machine's fault.
    #[error("could not sign a certificate: {reason}")]
    Signing {
        /// The library's words.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
