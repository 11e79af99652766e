//! The cluster's certificate authority.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use super::certificate::{authority_cluster, public_key};
use super::{Identity, IdentityError, Role, any_node_host, node_host};
use crate::name::check_name;

const AUTHORITY_VALIDITY: Duration = Duration::days(3650);
const LEAF_VALIDITY: Duration = Duration::days(365);
/// Machines whose clock is late by up to this much still accept a certificate that was just made.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A cluster's certificate authority: whoever holds its key decides who is a member.
///
/// Keys are ECDSA P-256, the one kind that every TLS stack takes. Its own certificate is valid for ten years, those
/// that it issues for one, all from one hour before now. `Debug` never shows the key.
pub struct Authority {
    cluster: String,
    cert_pem: String,
    key: KeyPair,
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
        Ok(Self { cluster: cluster.to_owned(), cert_pem: certificate.pem(), key })
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
        Ok(Self { cluster, cert_pem: cert_pem.to_owned(), key })
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority's certificate: public, and what members and clients trust.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The authority's private key, PKCS #8. **Whoever reads it can make members.**
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Makes a node's identity with a fresh key.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when `name` is no name; [`IdentityError::Signing`] when the machine can't sign.
    pub fn issue_node(&self, name: &str) -> Result<Identity, IdentityError> {
        self.issue(Role::Node, name)
    }

    /// Makes a client's identity with a fresh key. No peer will take it for a node.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when `name` is no name; [`IdentityError::Signing`] when the machine can't sign.
    pub fn issue_client(&self, name: &str) -> Result<Identity, IdentityError> {
        self.issue(Role::Client, name)
    }

    fn issue(&self, role: Role, name: &str) -> Result<Identity, IdentityError> {
        check_name(name)?;
        let cluster = &self.cluster;
        let key = KeyPair::generate().map_err(signing)?;
        let hosts = match role {
            Role::Node => vec![node_host(cluster, name), any_node_host(cluster)],
            Role::Client => Vec::new(),
        };
        let mut params = CertificateParams::new(hosts).map_err(signing)?;
        params.subject_alt_names.push(uri(format!("spiffe://{cluster}/{}/{name}", role.as_str()))?);
        params.distinguished_name.push(DnType::OrganizationName, "mesh");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match role {
            Role::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Role::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, LEAF_VALIDITY);
        let issuer = Issuer::from_ca_cert_pem(&self.cert_pem, &self.key).map_err(signing)?;
        let certificate = params.signed_by(&key, &issuer).map_err(signing)?;
        Identity::from_pem(&self.cert_pem, &certificate.pem(), &key.serialize_pem())
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
fn signing(error: rcgen::Error) -> IdentityError {
    IdentityError::Signing { reason: error.to_string() }
}
