//! TLS towards model servers: rustls with ring, as everywhere in the mesh.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::ModelError;

/// TLS for an HTTP client that trusts what the operating system trusts; one for plain `http` trusts nobody. For others'
/// clients too, so that there is one provider of cryptography in the process.
///
/// It is passed explicitly: rustls' process-wide default panics as soon as a second one is linked in.
///
/// # Errors
/// [`ModelError::Misconfigured`] where the system has no certificates.
pub fn client_tls(is_https: bool) -> Result<ClientConfig, ModelError> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|error| untrusting(&error))?;
    if !is_https {
        // A machine without any certificate store can still talk to a server of its own.
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let verifier = Verifier::new(ring).map_err(|error| untrusting(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn untrusting(error: &rustls::Error) -> ModelError {
    let reason = format!("https needs the system's certificates (Debian: ca-certificates): {error}");
    ModelError::Misconfigured { key: "base_url", reason }
}
