//! What a machine asks the authority to sign.

use rcgen::{CertificateParams, CertificateSigningRequestParams, DnType, DnValue, KeyPair, SerialNumber};
use zeroize::Zeroizing;

use super::IdentityError;
use super::authority::signing;

/// A certificate signing request whose signature was verified: its maker holds the key.
pub(crate) struct SigningRequest {
    key: rcgen::PublicKey,
    /// The name that the joiner asks for.
    pub(crate) name: String,
}

impl SigningRequest {
    pub(super) fn key(&self) -> &rcgen::PublicKey {
        &self.key
    }

    /// # Errors
    /// [`IdentityError::Certificate`] when it does not parse, or its maker does not hold the key.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let wrong = |error: rcgen::Error| IdentityError::Certificate { reason: error.to_string() };
        let request = CertificateSigningRequestParams::from_der(&der.into()).map_err(wrong)?;
        let name = match request.params.distinguished_name.get(&DnType::CommonName) {
            Some(DnValue::Utf8String(name)) => name.clone(),
            Some(DnValue::PrintableString(name)) => name.as_str().to_owned(),
            _ => String::new(),
        };
        Ok(Self { key: request.public_key, name })
    }

    /// Makes a request, DER, for a fresh key; gives the key too, PEM.
    pub(crate) fn create(name: &str) -> Result<(Vec<u8>, Zeroizing<String>), IdentityError> {
        let key = KeyPair::generate().map_err(signing)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let request = params.serialize_request(&key).map_err(signing)?;
        Ok((request.der().to_vec(), Zeroizing::new(key.serialize_pem())))
    }
}

/// Sixteen random bytes (RFC 5280 §4.1.2.2 wants at most twenty, and a positive number): a renewed certificate has
/// another number than the one before it.
pub(super) fn random_serial() -> Result<SerialNumber, IdentityError> {
    let failed = |_| IdentityError::Signing { reason: "the machine gives no random numbers".to_owned() };
    let mut bytes: [u8; 16] =
        ring::rand::generate(&ring::rand::SystemRandom::new()).map_err(failed)?.expose();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
