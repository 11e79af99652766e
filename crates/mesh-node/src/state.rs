//! The state folder: the keys and certificates of one user's mesh.
//!
//! ```text
//! .mesh/                        0700, shared by all nodes of one user
//!   lock                        held while something common is made
//!   ca/      ca.pem  ca.key     the certificate authority of the mesh; without ca.key another machine has it
//!   client/  ca.pem  cert.pem  key.pem          who meshctl is
//!   denied                      who is not let in any more, an entry a line
//!   denials.json                when that was said of each, and who is let in again
//!   nodes/NAME/  cert.pem  key.pem  lock  ready.json       lock: held by the node's process for as long as it runs
//!                http-token     what callers of its HTTP interface have to show
//!                store.db       the runs of its durable agents, unless they are elsewhere
//!   tokens/  issued/            join tokens, and the names that have a certificate by one
//! ```
//!
//! Any number of processes may open a new folder at the same moment: one of them makes what is missing, and a file or
//! a folder with a key appears whole or not at all. Keys are readable by their owner alone (0600), and one that others
//! can read is refused.
//!
//! This module knows nothing of settings, and never repairs what it cannot read: it says what to do.

mod authority;
mod denials;
mod denied;
mod error;
mod file;
mod ledger;
mod lock;
mod node;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mesh_net::{Identity, Lives};
use mesh_proto::GrantSet;

pub(crate) use self::authority::Signer;
pub(crate) use self::denials::FileDenials;
pub(crate) use self::denied::{DeniedFile, Stamp, stamp};
pub use self::error::StateError;
pub(crate) use self::file::replace;
use self::file::{make_folder, publish_folder, read_key, read_text, write_new};
pub(crate) use self::ledger::{FileLedger, Wanted};
pub use self::node::NodeState;
use self::node::node_identity;
pub(crate) use self::node::{Claim, is_due};
use crate::name;
use crate::ready::Ready;

/// Where a node notes that it runs, in its own folder.
const READY: &str = "ready.json";

/// Somebody who looks whether a node runs holds its lock for less than this.
const CLAIM_MAX: Duration = Duration::from_millis(200);
/// Making an authority takes milliseconds.
const MAKE_MAX: Duration = Duration::from_secs(10);

/// The state folder of one user.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
    lives: Lives,
}

impl StateFolder {
    /// The folder at `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), lives: Lives::default() }
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
    /// [`StateError::NameTaken`] when another process runs under this name; [`StateError::NoCertificate`] when the
    /// authority's key is elsewhere and the node was not enrolled; otherwise the folder is unusable.
    pub fn claim_node(&self, name: &str, client_name: &str) -> Result<NodeState, StateError> {
        let claim = self.claim(name)?;
        let signer = self.signer_or_new(client_name)?;
        self.complete(claim, signer)
    }

    /// As [`claim_node`](Self::claim_node), under a name that nobody has; its part of the folder goes with it.
    ///
    /// # Errors
    /// When the folder is unusable.
    pub fn claim_new_node(&self, client_name: &str) -> Result<NodeState, StateError> {
        let claim = self.claim_new()?;
        let signer = self.signer_or_new(client_name)?;
        Ok(self.complete(claim, signer)?.for_once())
    }

    /// How long certificates count that are made from now on.
    #[must_use]
    pub fn with_lives(mut self, lives: Lives) -> Self {
        self.lives = lives;
        self
    }

    /// Claims a name, and makes nothing yet.
    pub(crate) fn claim(&self, name: &str) -> Result<Claim, StateError> {
        let folder = self.root.join("nodes").join(name);
        make_folder(&folder)?;
        let lock = lock::hold(&folder.join("lock"), CLAIM_MAX)?
            .ok_or_else(|| StateError::NameTaken { name: name.to_owned(), folder: self.root.clone() })?;
        Ok(Claim { name: name.to_owned(), folder, lock })
    }

    /// Claims a name that nobody has.
    pub(crate) fn claim_new(&self) -> Result<Claim, StateError> {
        loop {
            // A folder of that name belongs to somebody, even if nobody runs.
            let name = name::generated();
            if self.root.join("nodes").join(&name).exists() {
                continue;
            }
            match self.claim(&name) {
                Err(StateError::NameTaken { .. }) => {}
                claimed => return claimed,
            }
        }
    }

    /// Claims a name that has a certificate here, and that nobody runs under.
    pub(crate) fn claim_any(&self) -> Option<Claim> {
        let folders = fs::read_dir(self.root.join("nodes")).ok()?.flatten();
        let mut names: Vec<_> = folders
            .filter(|entry| entry.path().join("cert.pem").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names.iter().find_map(|name| self.claim(name).ok())
    }

    /// A claimed node with its identity; makes one, where this folder has the authority's key.
    pub(crate) fn complete(&self, claim: Claim, signer: Signer) -> Result<NodeState, StateError> {
        NodeState::complete(claim, signer, self.denied())
    }

    /// Whether a claimed node has a certificate that counts.
    pub(crate) fn is_certified(&self, claim: &Claim) -> Result<bool, StateError> {
        match self.signer()? {
            Some(signer) if claim.folder.join("cert.pem").exists() => {
                Ok(node_identity(claim, &signer)?.credential().not_after > SystemTime::now())
            }
            _ => Ok(false),
        }
    }

    /// Stores the identity that a node was given by another machine.
    pub(crate) fn store_node(&self, claim: &Claim, identity: &Identity) -> Result<(), StateError> {
        let _lock = self.lock()?;
        let pem = identity.to_pem();
        authority::join(&self.root.join("ca"), &pem.ca)?;
        write_new(&claim.folder.join("key.pem"), &pem.key)?;
        write_new(&claim.folder.join("cert.pem"), &pem.cert)
    }

    /// Stores the identity that a client was given, in a folder that was not there before, with the node to speak to.
    pub(crate) fn store_client(folder: &Path, identity: &Identity, node: &str) -> Result<(), StateError> {
        let pem = identity.to_pem();
        let node = format!("{node}\n");
        let files =
            [("ca.pem", pem.ca.as_str()), ("cert.pem", &pem.cert), ("key.pem", &pem.key), ("node", &node)];
        if let Some(above) = folder.parent() {
            make_folder(above)?;
        }
        publish_folder(folder, &files)
    }

    /// What a node needs that has no certificate, and cannot make one.
    pub(crate) fn no_certificate(&self, claim: &Claim) -> StateError {
        StateError::NoCertificate { name: claim.name.clone(), folder: claim.folder.clone() }
    }

    /// Who signs for the nodes of this folder; `None` for a folder that no node has used.
    pub(crate) fn signer(&self) -> Result<Option<Signer>, StateError> {
        authority::read(&self.root.join("ca"), self.lives)
    }

    /// The tokens of this folder.
    pub(crate) fn ledger(&self) -> FileLedger {
        FileLedger::new(&self.root)
    }

    /// Who is denied.
    pub(crate) fn denied(&self) -> DeniedFile {
        DeniedFile::new(&self.root)
    }

    /// Writes an entry into the list of who is denied, or takes it out; its nodes follow that, and tell the mesh.
    pub(crate) fn list_denied(&self, who: &mesh_net::Denied, is_denied: bool) -> Result<(), StateError> {
        // A list that is missing is written again first: what a new one does not name would be let in.
        FileDenials::new(self.clone()).merge_files(Vec::new())?;
        let _lock = self.lock()?;
        let file = self.denied();
        let mut list = file.read()?;
        if list.contains(who) == is_denied {
            return Ok(());
        }
        list.retain(|entry| entry != who);
        if is_denied {
            list.push(who.clone());
        }
        file.write(&list)
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

    fn lock(&self) -> Result<File, StateError> {
        let path = self.root.join("lock");
        lock::hold(&path, MAKE_MAX)?.ok_or_else(|| StateError::Busy { path, waited_s: MAKE_MAX.as_secs() })
    }

    fn signer_or_new(&self, client_name: &str) -> Result<Signer, StateError> {
        let _lock = self.lock()?;
        let folder = self.root.join("ca");
        let signer = match authority::read(&folder, self.lives)? {
            Some(signer) => signer,
            None => authority::make(&folder, self.lives)?,
        };
        if let Signer::Own(authority) = &signer {
            self.keep_client(authority, client_name)?;
        }
        Ok(signer)
    }

    /// Makes the client of this user, who may do everything: whoever can read the folder can make any other client.
    /// One that has few days left, or that an earlier version made without grants, is made anew.
    fn keep_client(&self, authority: &mesh_net::Authority, client_name: &str) -> Result<(), StateError> {
        let folder = self.root.join("client");
        if !folder.exists() {
            let made =
                authority.issue_client(client_name, &GrantSet::all()).map_err(StateError::issue)?.to_pem();
            return publish_folder(
                &folder,
                &[("ca.pem", &made.ca), ("cert.pem", &made.cert), ("key.pem", &made.key)],
            );
        }
        let known = client_identity(&folder)?;
        let (of, credential) = (&known.peer_id().cluster, known.credential());
        if of != authority.cluster() || !(credential.grants.is_empty() || is_due(credential)) {
            return Ok(());
        }
        let grants = if credential.grants.is_empty() { &GrantSet::all() } else { &credential.grants };
        let certificate = authority.renew_with_grants(credential.certificate(), grants);
        let renewed = certificate.and_then(|certificate| known.renewed(&certificate));
        write_new(&folder.join("cert.pem"), &renewed.map_err(StateError::issue)?.to_pem().cert)
    }
}

/// Whether there is a client's identity in a folder.
pub(crate) fn is_client(folder: &Path) -> bool {
    folder.join("cert.pem").exists()
}

/// Stores a client's certificate that was renewed, beside its key.
pub(crate) fn store_client_certificate(folder: &Path, identity: &Identity) -> Result<(), StateError> {
    write_new(&folder.join("cert.pem"), &identity.to_pem().cert)
}

/// The node through which a client was enrolled.
pub(crate) fn node_of_client(folder: &Path) -> Option<String> {
    let node = fs::read_to_string(folder.join("node")).ok()?.trim().to_owned();
    crate::config::host_and_port(&node).is_ok().then_some(node)
}

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

#[cfg(test)]
mod tests;
