//! Why a node's process ended before anybody asked it to.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use mesh::{BindError, ConnectError, JoinFailure, PublishError, StartNodeError};

use crate::config::Problems;
use crate::model::BadModel;
use crate::state::StateError;

/// Why a node could not run. It has stopped whatever it had started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The arguments, the environment or the file cannot be used; every problem is listed. The operator's mistake.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The settings file cannot be read.
    #[error("cannot read the settings in {}", path.display())]
    SettingsFile {
        /// Its path.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The state folder cannot be used; the error says what to do.
    #[error(transparent)]
    State(#[from] StateError),
    /// The join token cannot be used as it is. The operator's mistake; the error repeats nothing of it.
    #[error("the join token of {place} cannot be used: {reason}")]
    Token {
        /// Where it was given: `MESH_JOIN_TOKEN`, or the file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No node gave this one a certificate for its token; every node that was asked, with its answer.
    #[error("could not enrol: {}", .failures.join("; "))]
    Enroll {
        /// What came of each.
        failures: Vec<String>,
    },
    /// The node could not be started or could not join: the address is taken, no seed answers or lets it in.
    #[error(transparent)]
    Start(#[from] StartNodeError),
    /// An actor of the settings, or of the binary, could not be spawned or published.
    #[error("cannot start the actor {name}: {reason}")]
    Actor {
        /// Its name.
        name: String,
        /// What the node says about it.
        reason: String,
    },
    /// The store of the node's runs and approvals cannot be opened; `store` in the settings says where it is.
    #[error("cannot open the store")]
    Store(#[from] mesh_store::StoreError),
    /// A kind of durable agent that the binary brings cannot be one; a defect of the binary.
    #[error("cannot have the durable agent {kind:?}")]
    Durable {
        /// The kind.
        kind: String,
        /// What is wrong with it.
        #[source]
        source: mesh_agents::durable::RunError,
    },
    /// An actor that the binary brings could not be published; a defect of the binary.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The environment names a model that cannot be called: its address is none, or its key cannot be sent. The
    /// operator's mistake.
    #[error(transparent)]
    Model(#[from] BadModel),
    /// The address of the HTTP interface cannot be listened on.
    #[error("cannot serve HTTP on {addr}")]
    Http {
        /// The address.
        addr: std::net::SocketAddr,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The HTTP interface is a client of its node, with the state folder's client identity, and was not let in.
    #[error("the HTTP interface cannot reach its own node")]
    Client(#[from] mesh::ClientError),
    /// The operating system gives no thread, no signals, or no stdout.
    #[error("cannot set the process up")]
    Process(#[from] io::Error),
}

impl NodeError {
    /// The process's exit code: 2 where the arguments or the settings are to be changed, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::SettingsFile { .. } | Self::Model(_) | Self::Token { .. } => 2,
            _ => 1,
        }
    }
}

impl NodeError {
    /// What the operator can do, where the error itself does not say it.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let Self::Start(error) = self else { return None };
        match error {
            StartNodeError::Bind(BindError::InUse { .. }) => {
                Some("give another port with --listen (port 0 is any free one), or no --listen at all")
            }
            StartNodeError::Join { failures } if failures.iter().any(|(_, failure)| is_distrust(failure)) => {
                Some(
                    "a node of another mesh answers there; nodes of one mesh have one authority: give the --state of that \
                 mesh; or, on another machine, an empty --state and a join token (MESH_JOIN_TOKEN or --token-file), made \
                 by `meshctl token create` there",
                )
            }
            StartNodeError::Join { .. } => Some(
                "is that node up, is this its address, and does UDP get there? (join_timeout says how long it is tried)",
            ),
            _ => None,
        }
    }
}

fn is_distrust(failure: &JoinFailure) -> bool {
    matches!(failure, JoinFailure::Connect { error: ConnectError::Certificate { .. } })
}

/// What `main` prints when it returns this error: the text for people rather than the fields.
impl std::fmt::Debug for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&chain(self))?;
        match self.advice() {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

/// An error with all of its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
