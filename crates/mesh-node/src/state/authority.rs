//! The authority of a state folder: its own, or only the certificate of the one whose mesh it has joined.

use std::path::Path;
use std::sync::Arc;

use mesh_net::{Authority, Lives};

use super::StateError;
use super::file::{publish_folder, read_key, read_text};

/// Who signs for the nodes of a state folder.
#[derive(Debug, Clone)]
pub(crate) enum Signer {
    /// This folder has the authority's key.
    Own(Arc<Authority>),
    /// Another machine has it; here is its certificate, PEM.
    Elsewhere(String),
}

impl Signer {
    /// The certificate of the authority, PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        match self {
            Self::Own(authority) => authority.cert_pem(),
            Self::Elsewhere(pem) => pem,
        }
    }
}

/// Reads the folder `ca`, if there is one.
pub(super) fn read(folder: &Path, lives: Lives) -> Result<Option<Signer>, StateError> {
    if !folder.exists() {
        return Ok(None);
    }
    let cert = read_text(&folder.join("ca.pem"))?;
    let key = folder.join("ca.key");
    if !key.exists() {
        return Ok(Some(Signer::Elsewhere(cert)));
    }
    let authority = Authority::from_pem(&cert, &read_key(&key)?);
    let authority = authority.map_err(|error| StateError::broken(folder, &error))?;
    Ok(Some(Signer::Own(Arc::new(authority.with_lives(lives)))))
}

/// Makes the authority of a new mesh.
pub(super) fn make(folder: &Path, lives: Lives) -> Result<Signer, StateError> {
    // A name of its own tells meshes apart where their certificates are shown; what keeps them apart is the key.
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let cluster = format!("c-{}", &unique[..8]);
    let authority = Authority::create(&cluster).map_err(StateError::issue)?;
    publish_folder(folder, &[("ca.pem", authority.cert_pem()), ("ca.key", &authority.key_pem())])?;
    Ok(Signer::Own(Arc::new(authority.with_lives(lives))))
}

/// Notes the authority of a mesh that was joined; one that is there already must be the same.
pub(super) fn join(folder: &Path, ca_pem: &str) -> Result<(), StateError> {
    if !folder.exists() {
        return publish_folder(folder, &[("ca.pem", ca_pem)]);
    }
    if read_text(&folder.join("ca.pem"))?.trim() == ca_pem.trim() {
        return Ok(());
    }
    Err(StateError::broken(&folder.join("ca.pem"), &"it is another mesh's"))
}
