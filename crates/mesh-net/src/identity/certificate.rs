//! Reading names and grants out of certificates.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

use super::credential::{Credential, sha256};
use super::deny::to_hex;
use super::extension::grants_of;
use super::{IdentityError, PeerIdentity, Role};
use crate::name::check_name;

const ID_BYTES: usize = 16;

/// What a leaf certificate says. It says nothing about whether the certificate is valid: TLS does that.
pub(crate) fn credential(certificate: &CertificateDer<'_>) -> Result<Credential, IdentityError> {
    let x509 = parse(certificate)?;
    let peer = peer_identity(&x509)?;
    let grants = match peer.role {
        Role::Client => grants_of(&x509),
        Role::Node => Default::default(),
    };
    Ok(Credential {
        peer,
        grants,
        serial: to_hex(x509.tbs_certificate.serial.to_bytes_be().as_slice()),
        fingerprint: sha256(certificate),
        not_before: system_time(x509.validity().not_before),
        not_after: system_time(x509.validity().not_after),
        der: certificate.as_ref().into(),
    })
}

fn system_time(time: ASN1Time) -> SystemTime {
    let since = Duration::from_secs(time.timestamp().unsigned_abs());
    if time.timestamp() < 0 { SystemTime::UNIX_EPOCH - since } else { SystemTime::UNIX_EPOCH + since }
}

fn peer_identity(x509: &X509Certificate<'_>) -> Result<PeerIdentity, IdentityError> {
    let uri = mesh_uri(x509)?;
    let malformed =
        || IdentityError::Certificate { reason: format!("unknown form of name \"{}\"", uri.escape_debug()) };
    let mut parts = uri.split('/');
    let (Some(cluster), Some(role), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let role =
        [Role::Node, Role::Client].into_iter().find(|known| known.as_str() == role).ok_or_else(malformed)?;
    check_name(cluster)?;
    check_name(name)?;
    let id = key_id(x509.public_key().raw);
    Ok(PeerIdentity { cluster: cluster.to_owned(), role, name: name.to_owned(), id })
}

/// The cluster that an authority's own certificate names.
pub(crate) fn authority_cluster(certificate: &CertificateDer<'_>) -> Result<String, IdentityError> {
    let x509 = parse(certificate)?;
    if !x509.is_ca() {
        return Err(IdentityError::Certificate { reason: "it may not sign others".to_owned() });
    }
    let cluster = mesh_uri(&x509)?;
    check_name(cluster)?;
    Ok(cluster.to_owned())
}

/// The raw public key of a certificate, to compare with a key pair's.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, IdentityError> {
    Ok(parse(certificate)?.public_key().subject_public_key.data.to_vec())
}

/// The certificate's public key with its kind (SubjectPublicKeyInfo), DER.
pub(crate) fn public_key_info(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, IdentityError> {
    Ok(parse(certificate)?.public_key().raw.to_vec())
}

/// The first 16 bytes of the SHA-256 of `subject_public_key_info`, big-endian.
pub(crate) fn key_id(subject_public_key_info: &[u8]) -> u128 {
    let digest = ring::digest::digest(&ring::digest::SHA256, subject_public_key_info);
    let (first, _) = digest.as_ref().split_first_chunk::<ID_BYTES>().expect("a SHA-256 digest has 32 bytes");
    u128::from_be_bytes(*first)
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, IdentityError> {
    let (rest, x509) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| IdentityError::Certificate { reason: error.to_string() })?;
    if !rest.is_empty() {
        return Err(IdentityError::Certificate { reason: "trailing bytes".to_owned() });
    }
    Ok(x509)
}

/// What follows `spiffe://` in the certificate's one URI.
///
/// Exactly one, as SPIFFE's X.509-SVID §2 demands: with two, two readers could see two different peers.
fn mesh_uri<'a>(x509: &X509Certificate<'a>) -> Result<&'a str, IdentityError> {
    let wrong = |reason: &str| IdentityError::Certificate { reason: reason.to_owned() };
    let names = x509
        .subject_alternative_name()
        .map_err(|error| IdentityError::Certificate { reason: error.to_string() })?
        .ok_or_else(|| wrong("no alternative names"))?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(wrong("not exactly one URI among its names"));
    };
    uri.strip_prefix("spiffe://").ok_or_else(|| wrong("its URI is no spiffe:// name"))
}
