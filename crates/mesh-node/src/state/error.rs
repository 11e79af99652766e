use std::io;
use std::path::{Path, PathBuf};

use mesh_net::IdentityError;

/// Why the state folder cannot be used. Nothing in it was changed, other than that missing parts may have been made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process runs under this name. Choose another name, or another state folder.
    #[error(
        "a node called {name} runs already with the state folder {}: give another --name, or another --state",
        folder.display()
    )]
    NameTaken {
        /// The name in use.
        name: String,
        /// The state folder.
        folder: PathBuf,
    },
    /// The operating system refused: permissions, a full disk, a file where a folder should be.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be: cut short, edited, of another kind. It is left as it is.
    #[error(
        "{} is unusable ({reason}): put a good copy in its place; in a node's own state folder, remove it to have a \
         new one made (with a new authority every node must start anew)",
        path.display()
    )]
    Broken {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others than its owner can read a private key. It may be known to them already.
    #[error("{} can be read by others (mode {mode:o}): chmod 600 it, or remove it if they may have read it", path.display())]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The node's certificate was issued by another authority than the one in this folder: parts of two folders were
    /// mixed.
    #[error("{} belongs to the mesh {cluster}, and this state folder to another: remove it to have a new one made", folder.display())]
    OtherAuthority {
        /// The node's folder.
        folder: PathBuf,
        /// The mesh that its certificate is for.
        cluster: String,
    },
    /// No node was ever started with this folder, so nobody here has an identity.
    #[error(
        "there is no client identity in {}: start a node with this state folder first, or give --state or --identity",
        folder.display()
    )]
    NoClient {
        /// The state folder.
        folder: PathBuf,
    },
    /// The authority's key is on another machine, and this node has no certificate of it yet.
    #[error(
        "{name} has no certificate, or one that has run out, and the authority's key is not in this state folder: give \
         a join token (MESH_JOIN_TOKEN or --token-file, with --join), made by `meshctl token create` where the key is; \
         with --name {name}, if that name was given before"
    )]
    NoCertificate {
        /// The node.
        name: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// What was asked for needs the authority's key, and that is not here.
    #[error("the authority's key is not in {}: do this where it is, on the machine that began the mesh", folder.display())]
    NoAuthority {
        /// The state folder.
        folder: PathBuf,
    },
    /// A token of another mesh was given to a folder that has an authority of its own.
    #[error(
        "{} has an authority of its own, and the join token is another mesh's: give another --state, or move this \
         folder away",
        folder.display()
    )]
    OwnAuthority {
        /// The state folder.
        folder: PathBuf,
    },
    /// A token of another mesh was given to a folder whose nodes have joined one.
    #[error("{} is for the nodes of another mesh than the join token: give another --state", folder.display())]
    OtherMesh {
        /// The state folder.
        folder: PathBuf,
    },
    /// The folder that was named for a client identity is none. The caller's mistake.
    #[error("{} is no folder: an identity is a folder with ca.pem, cert.pem and key.pem", folder.display())]
    NoIdentity {
        /// The folder that was named.
        folder: PathBuf,
    },
    /// Another process holds the folder's lock for longer than making keys can take; it may be stopped. Try again.
    #[error("another process holds {} for {waited_s} s: is it stopped?", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long we waited.
        waited_s: u64,
    },
    /// A certificate could not be issued: a defect, since all names were checked before.
    #[error("cannot issue a certificate")]
    Issue {
        /// The reason.
        #[source]
        source: IdentityError,
    },
}

impl StateError {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }

    pub(super) fn broken(path: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self::Broken { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn issue(source: IdentityError) -> Self {
        Self::Issue { source }
    }
}
