//! The state folder: the keys and certificates of one user's mesh.
//!
//! ```text
//! .mesh/                        0700, shared by all nodes of one user
//!   lock                        held while something common is made
//!   ca/      ca.pem  ca.key     the certificate authority of the mesh; copy this folder to let another machine in
//!   client/  ca.pem  cert.pem  key.pem          who meshctl is
//!   nodes/NAME/  cert.pem  key.pem  lock  ready.json       lock: held by the node's process for as long as it runs
//! ```
//!
//! Any number of processes may open a new folder at the same moment: one of them makes what is missing, and a file or
//! a folder with a key appears whole or not at all. Keys are readable by their owner alone (0600), and one that others
//! can read is refused.
//!
//! This module knows nothing of settings, and never repairs what it cannot read: it says what to do.

mod error;
mod file;
mod lock;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_net::{Authority, Identity};

pub use self::error::StateError;
pub(crate) use self::file::replace;
use self::file::{make_folder, publish_folder, read_key, read_text, write_new};
use crate::name;
use crate::ready::Ready;

/// Somebody who looks whether a node runs holds its lock for less than this.
const CLAIM_MAX: Duration = Duration::from_millis(200);
/// Making an authority takes milliseconds.
const MAKE_MAX: Duration = Duration::from_secs(10);

/// The state folder of one user.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

impl StateFolder {
    /// The folder at `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Claims `name` for this process until the returned value is dropped, and gives the node's identity: the one that
    /// it had before, or a new one. Makes the authority and the client identity (called `client_name`) where they are
    /// missing.
    ///
    /// # Errors
    /// [`StateError::NameTaken`] when another process runs under this name; otherwise the folder is unusable.
    pub fn claim_node(&self, name: &str, client_name: &str) -> Result<NodeState, StateError> {
        let folder = self.root.join("nodes").join(name);
        make_folder(&folder)?;
        let lock = lock::hold(&folder.join("lock"), CLAIM_MAX)?
            .ok_or_else(|| StateError::NameTaken { name: name.to_owned(), folder: self.root.clone() })?;
        let authority = self.authority(client_name)?;
        let identity = node_identity(&folder, name, &authority)?;
        Ok(NodeState { identity, folder, is_for_once: false, _lock: lock })
    }

    /// As [`claim_node`](Self::claim_node), under a name that nobody has; its part of the folder goes with it.
    ///
    /// # Errors
    /// When the folder is unusable.
    pub fn claim_new_node(&self, client_name: &str) -> Result<NodeState, StateError> {
        loop {
            // A folder of that name belongs to somebody, even if nobody runs.
            let name = name::generated();
            if self.root.join("nodes").join(&name).exists() {
                continue;
            }
            match self.claim_node(&name, client_name) {
                Err(StateError::NameTaken { .. }) => {}
                Err(other) => return Err(other),
                Ok(mut node) => {
                    node.is_for_once = true;
                    return Ok(node);
                }
            }
        }
    }

    /// The identity of clients, made by the first node that used this folder.
    ///
    /// # Errors
    /// [`StateError::NoClient`] when no node ever used this folder; otherwise the folder is unusable.
    pub fn client(&self) -> Result<Identity, StateError> {
        let folder = self.root.join("client");
        if !folder.exists() {
            return Err(StateError::NoClient { folder: self.root.clone() });
        }
        client_identity(&folder)
    }

    /// The nodes that run with this state folder on this machine, by name.
    #[must_use]
    pub fn running(&self) -> Vec<Ready> {
        let Ok(folders) = fs::read_dir(self.root.join("nodes")) else { return Vec::new() };
        let folders = folders.flatten().map(|entry| entry.path());
        // The file of a process that was killed is still there, but nobody holds the lock.
        let running = folders.filter(|folder| lock::is_held(&folder.join("lock")));
        let mut running: Vec<Ready> =
            running.filter_map(|folder| Ready::read(&folder.join(READY)).ok()).collect();
        running.sort_by(|a, b| a.name.cmp(&b.name));
        running
    }

    fn authority(&self, client_name: &str) -> Result<Authority, StateError> {
        let path = self.root.join("lock");
        let _lock = lock::hold(&path, MAKE_MAX)?
            .ok_or_else(|| StateError::Busy { path, waited_s: MAKE_MAX.as_secs() })?;
        let folder = self.root.join("ca");
        let authority = if folder.exists() { read_authority(&folder)? } else { make_authority(&folder)? };
        let client = self.root.join("client");
        if !client.exists() {
            let made = authority.issue_client(client_name).map_err(StateError::issue)?.to_pem();
            publish_folder(
                &client,
                &[("ca.pem", &made.ca), ("cert.pem", &made.cert), ("key.pem", &made.key)],
            )?;
        }
        Ok(authority)
    }
}

/// A node's own part of the state folder; nobody else has it while this value lives.
#[derive(Debug)]
pub struct NodeState {
    identity: Identity,
    folder: PathBuf,
    is_for_once: bool,
    _lock: File,
}

impl NodeState {
    /// The node's certificate and key.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
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

const READY: &str = "ready.json";

/// Reads a client's identity from a folder with `ca.pem`, `cert.pem` and `key.pem`.
///
/// # Errors
/// [`StateError::NoIdentity`] when there is no such folder; otherwise when one of them is missing, unreadable or no PEM,
/// or others can read the key.
pub fn client_identity(folder: &Path) -> Result<Identity, StateError> {
    if !folder.is_dir() {
        return Err(StateError::NoIdentity { folder: folder.to_owned() });
    }
    let ca = read_text(&folder.join("ca.pem"))?;
    let cert = read_text(&folder.join("cert.pem"))?;
    let key = read_key(&folder.join("key.pem"))?;
    Identity::from_pem(&ca, &cert, &key).map_err(|error| StateError::broken(folder, &error))
}

fn read_authority(folder: &Path) -> Result<Authority, StateError> {
    let cert = read_text(&folder.join("ca.pem"))?;
    let key = read_key(&folder.join("ca.key"))?;
    Authority::from_pem(&cert, &key).map_err(|error| StateError::broken(folder, &error))
}

fn make_authority(folder: &Path) -> Result<Authority, StateError> {
    // A name of its own tells meshes apart where their certificates are shown; what keeps them apart is the key.
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let cluster = format!("c-{}", &unique[..8]);
    let authority = Authority::create(&cluster).map_err(StateError::issue)?;
    publish_folder(folder, &[("ca.pem", authority.cert_pem()), ("ca.key", &authority.key_pem())])?;
    Ok(authority)
}

fn node_identity(folder: &Path, name: &str, authority: &Authority) -> Result<Identity, StateError> {
    let (cert_path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    // The certificate is written last: a key without one was never used.
    if !cert_path.exists() {
        let made = authority.issue_node(name).map_err(StateError::issue)?;
        let pem = made.to_pem();
        write_new(&key_path, &pem.key)?;
        write_new(&cert_path, &pem.cert)?;
        return Ok(made);
    }
    let (cert, key) = (read_text(&cert_path)?, read_key(&key_path)?);
    let identity = Identity::from_pem(authority.cert_pem(), &cert, &key)
        .map_err(|error| StateError::broken(folder, &error))?;
    if identity.peer_id().cluster != authority.cluster() {
        let cluster = identity.peer_id().cluster.clone();
        return Err(StateError::OtherAuthority { folder: folder.to_owned(), cluster });
    }
    Ok(identity)
}

#[cfg(test)]
mod tests;
