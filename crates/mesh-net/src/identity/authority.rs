//! The cluster's certificate authority.

use std::fmt;

use mesh_proto::GrantSet;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use super::certificate::{authority_cluster, credential, public_key, public_key_info};
use super::extension::grants_extension;
use super::request::{SigningRequest, random_serial};
use super::{
    Credential, Identity, IdentityError, PeerIdentity, Role, any_node_host, node_host, pem_of_certificate,
    sha256,
};
use crate::name::check_name;

const AUTHORITY_VALIDITY: Duration = Duration::days(3650);
/// Machines whose clock is late by up to this much still accept a certificate that was just made.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A cluster's certificate authority: whoever holds its key decides who is a member.
///
/// Keys are ECDSA P-256, the one kind that every TLS stack takes. Its own certificate is valid for ten years, those
/// that it issues as long as its [`Lives`] say, all from one hour before now. `Debug` never shows the key.
pub struct Authority {
    cluster: String,
    cert_pem: String,
    key: KeyPair,
    lives: Lives,
}

impl Authority {
    /// Makes the authority of a new cluster, with a fresh key.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when `cluster` is no name (see [`check_name`]); [`IdentityError::Signing`] when the
    /// machine can't make keys.
    pub fn create(cluster: &str) -> Result<Self, IdentityError> {
        check_name(cluster)?;
        let key = KeyPair::generate().map_err(signing)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "mesh");
        params.distinguished_name.push(DnType::CommonName, format!("{cluster} authority"));
        params.subject_alt_names = vec![uri(format!("spiffe://{cluster}"))?];
        // It signs leaves only: a stolen leaf key can't become an authority.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, AUTHORITY_VALIDITY);
        let certificate = params.self_signed(&key).map_err(signing)?;
        Ok(Self { cluster: cluster.to_owned(), cert_pem: certificate.pem(), key, lives: Lives::default() })
    }

    /// Reads an authority from what [`cert_pem`](Self::cert_pem) and [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    /// [`IdentityError`] when a part doesn't parse, when the key is not the certificate's, or when the certificate is
    /// not a mesh authority's.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|error| IdentityError::Pem { part: "ca", reason: error.to_string() })?;
        let key = KeyPair::from_pem(key_pem)
            .map_err(|error| IdentityError::Pem { part: "key", reason: error.to_string() })?;
        let cluster = authority_cluster(&certificate)?;
        if public_key(&certificate)? != key.public_key_raw() {
            return Err(IdentityError::Key { reason: "it is another authority's".to_owned() });
        }
        Ok(Self { cluster, cert_pem: cert_pem.to_owned(), key, lives: Lives::default() })
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority's certificate: public, and what members and clients trust.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The SHA-256 of the authority's public key (SubjectPublicKeyInfo): what a join token knows it by.
    pub fn key_hash(&self) -> [u8; 32] {
        sha256(&self.key.subject_public_key_info())
    }

    /// As [`key_hash`](Self::key_hash), of an authority whose certificate alone is here.
    ///
    /// # Errors
    /// [`IdentityError`] when it is no certificate.
    pub fn key_hash_of(cert_pem: &str) -> Result<[u8; 32], IdentityError> {
        let certificate = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|error| IdentityError::Pem { part: "ca", reason: error.to_string() })?;
        Ok(sha256(&public_key_info(&certificate)?))
    }

    /// The authority's private key, PKCS #8. **Whoever reads it can make members.**
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// How long certificates count that are issued from now on.
    #[must_use]
    pub fn with_lives(mut self, lives: Lives) -> Self {
        self.lives = lives;
        self
    }

    /// Makes a node's identity with a fresh key.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when `name` is no name; [`IdentityError::Signing`] when the machine can't sign.
    pub fn issue_node(&self, name: &str) -> Result<Identity, IdentityError> {
        self.issue(&Holder { role: Role::Node, name, grants: &GrantSet::default() })
    }

    /// Makes a client's identity with a fresh key, which may do what is granted and no more. No peer will take it for
    /// a node.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when `name` is no name; [`IdentityError::Signing`] when the machine can't sign.
    pub fn issue_client(&self, name: &str, grants: &GrantSet) -> Result<Identity, IdentityError> {
        self.issue(&Holder { role: Role::Client, name, grants })
    }

    /// Signs a new certificate, DER, for the key, the name and the grants of one that this authority has signed.
    ///
    /// Whether that one counts still is the caller's to know: TLS has checked the certificate of a connection.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when it is no certificate of this cluster; [`IdentityError::Signing`] when the
    /// machine can't sign.
    pub fn renew(&self, certificate: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let certificate = CertificateDer::from(certificate);
        let Credential { peer, grants, .. } = credential(&certificate)?;
        self.sign_again(&certificate, &peer, &grants)
    }

    /// As [`renew`](Self::renew), for a client that may do this from now on. What it has shown to others before counts
    /// until its end.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub fn renew_with_grants(&self, certificate: &[u8], grants: &GrantSet) -> Result<Vec<u8>, IdentityError> {
        let certificate = CertificateDer::from(certificate);
        let Credential { peer, .. } = credential(&certificate)?;
        self.sign_again(&certificate, &peer, grants)
    }

    fn sign_again(
        &self,
        certificate: &CertificateDer<'_>,
        peer: &PeerIdentity,
        grants: &GrantSet,
    ) -> Result<Vec<u8>, IdentityError> {
        if peer.cluster != self.cluster {
            return Err(IdentityError::Certificate { reason: format!("{peer} is of another cluster") });
        }
        let key = SubjectPublicKeyInfo::from_der(&public_key_info(certificate)?).map_err(signing)?;
        self.sign(&Holder { role: peer.role, name: &peer.name, grants }, &key)
    }

    /// Signs a certificate, DER, for whoever made a signing request. Of the request counts its key alone.
    pub(crate) fn sign_request(
        &self,
        request: &SigningRequest,
        role: Role,
        name: &str,
        grants: &GrantSet,
    ) -> Result<Vec<u8>, IdentityError> {
        self.sign(&Holder { role, name, grants }, request.key())
    }

    fn issue(&self, holder: &Holder<'_>) -> Result<Identity, IdentityError> {
        let key = KeyPair::generate().map_err(signing)?;
        let certificate = pem_of_certificate(&self.sign(holder, &key)?);
        Identity::from_pem(&self.cert_pem, &certificate, &key.serialize_pem())
    }

    fn sign(&self, holder: &Holder<'_>, key: &impl PublicKeyData) -> Result<Vec<u8>, IdentityError> {
        let Holder { role, name, grants } = holder;
        check_name(name)?;
        let cluster = &self.cluster;
        let hosts = match role {
            Role::Node => vec![node_host(cluster, name), any_node_host(cluster)],
            Role::Client => Vec::new(),
        };
        let mut params = CertificateParams::new(hosts).map_err(signing)?;
        params.subject_alt_names.push(uri(format!("spiffe://{cluster}/{}/{name}", role.as_str()))?);
        params.distinguished_name.push(DnType::OrganizationName, "mesh");
        params.distinguished_name.push(DnType::CommonName, *name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match role {
            Role::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Role::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        if *role == Role::Client {
            params.custom_extensions = vec![grants_extension(grants)];
        }
        params.serial_number = Some(random_serial()?);
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.lives.of(*role));
        let issuer = Issuer::from_ca_cert_pem(&self.cert_pem, &self.key).map_err(signing)?;
        Ok(params.signed_by(key, &issuer).map_err(signing)?.der().to_vec())
    }
}

/// For whom a certificate is.
struct Holder<'a> {
    role: Role,
    name: &'a str,
    grants: &'a GrantSet,
}

/// How long certificates count, from the moment of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// A node's: 30 days. Nodes renew theirs when a third of it is left.
    pub node: std::time::Duration,
    /// A client's: a year. Nobody renews it but its holder, by enrolling again.
    pub client: std::time::Duration,
}

impl Lives {
    fn of(self, role: Role) -> Duration {
        let life = match role {
            Role::Node => self.node,
            Role::Client => self.client,
        };
        Duration::try_from(life).unwrap_or(AUTHORITY_VALIDITY).min(AUTHORITY_VALIDITY)
    }
}

impl Default for Lives {
    fn default() -> Self {
        // A year has 365.25 days, as where people write "1year".
        let hours = |hours: u64| std::time::Duration::from_secs(hours * 3600);
        Self { node: hours(30 * 24), client: hours(8766) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

fn set_validity(params: &mut CertificateParams, validity: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + validity;
}

fn uri(uri: String) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(uri.try_into().map_err(signing)?))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn signing(error: rcgen::Error) -> IdentityError {
    IdentityError::Signing { reason: error.to_string() }
}
