//! A node's own part of a state folder.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mesh_net::Identity;

use super::authority::Signer;
use super::denied::DeniedFile;
use super::file::{read_key, read_text, write_new};
use super::{READY, StateError};
use crate::ready::Ready;

/// A name that no other process has while this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(super) folder: PathBuf,
    pub(super) lock: File,
}

/// A node's own part of the state folder; nobody else has it while this value lives.
#[derive(Debug)]
pub struct NodeState {
    identity: Identity,
    signer: Signer,
    denied: DeniedFile,
    folder: PathBuf,
    is_for_once: bool,
    _lock: File,
}

impl NodeState {
    pub(super) fn complete(claim: Claim, signer: Signer, denied: DeniedFile) -> Result<Self, StateError> {
        let mut identity = node_identity(&claim, &signer)?;
        if let Signer::Own(authority) = &signer
            && is_due(identity.credential())
        {
            // It may have run out while the node was off.
            let renewed = authority.renew(identity.credential().certificate());
            identity = renewed.and_then(|renewed| identity.renewed(&renewed)).map_err(StateError::issue)?;
            write_new(&claim.folder.join("cert.pem"), &identity.to_pem().cert)?;
        }
        // Half of a list would let somebody in.
        denied.read()?;
        let Claim { folder, lock, .. } = claim;
        Ok(Self { identity, signer, denied, folder, is_for_once: false, _lock: lock })
    }

    /// Its part of the folder goes with it.
    pub(super) fn for_once(self) -> Self {
        let mut node = self;
        node.is_for_once = true;
        node
    }

    /// The node's certificate and key.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who signs for this node.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Who is denied.
    pub(crate) fn denied(&self) -> &DeniedFile {
        &self.denied
    }

    /// The certificate's file.
    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// The identity as its files have it now.
    pub(crate) fn reread(&self) -> Result<Identity, StateError> {
        let pem = self.identity.to_pem();
        let identity = Identity::from_pem(&pem.ca, &read_text(&self.certificate_path())?, &pem.key)
            .map_err(|error| StateError::broken(&self.folder, &error))?;
        if identity.peer_id() == self.identity.peer_id() {
            return Ok(identity);
        }
        Err(StateError::broken(&self.folder, &"its certificate is another node's"))
    }

    /// Stores a certificate that was renewed.
    pub(crate) fn store_certificate(&self, identity: &Identity) -> Result<(), StateError> {
        write_new(&self.certificate_path(), &identity.to_pem().cert)
    }

    /// Where the node keeps what is its own.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Notes where the node is reached, for clients that share the folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn announce(&self, ready: &Ready) -> Result<(), StateError> {
        ready.write(&self.folder.join(READY))
    }
}

impl Drop for NodeState {
    fn drop(&mut self) {
        // Without its ready file nobody takes a node that has ended for one that starts just now.
        let gone = match self.is_for_once {
            true => fs::remove_dir_all(&self.folder),
            false => fs::remove_file(self.folder.join(READY)),
        };
        if let Err(error) = gone
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.folder.display(), %error, "cannot tidy the state folder");
        }
    }
}

/// Whether less than a third is left of a certificate's time.
pub(crate) fn is_due(credential: &mesh_net::Credential) -> bool {
    let life = credential.not_after.duration_since(credential.not_before).unwrap_or_default();
    let left = credential.not_after.duration_since(SystemTime::now()).unwrap_or_default();
    // Its time began an hour before it was made.
    left <= life.saturating_sub(Duration::from_secs(3600)) / 3
}

pub(super) fn node_identity(claim: &Claim, signer: &Signer) -> Result<Identity, StateError> {
    let Claim { name, folder, .. } = claim;
    let (cert_path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    // The certificate is written last: a key without one was never used.
    if !cert_path.exists() {
        let Signer::Own(authority) = signer else {
            return Err(StateError::NoCertificate { name: name.clone(), folder: folder.clone() });
        };
        let made = authority.issue_node(name).map_err(StateError::issue)?;
        let pem = made.to_pem();
        write_new(&key_path, &pem.key)?;
        write_new(&cert_path, &pem.cert)?;
        return Ok(made);
    }
    let (cert, key) = (read_text(&cert_path)?, read_key(&key_path)?);
    let identity = Identity::from_pem(signer.ca_pem(), &cert, &key)
        .map_err(|error| StateError::broken(folder, &error))?;
    let cluster = identity.peer_id().cluster.clone();
    match signer {
        Signer::Own(authority) if authority.cluster() != cluster => {
            Err(StateError::OtherAuthority { folder: folder.clone(), cluster })
        }
        _ => Ok(identity),
    }
}
