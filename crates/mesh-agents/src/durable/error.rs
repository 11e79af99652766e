//! Why a run does not go on, beyond what its steps say.

use mesh_store::{InvalidName, StoreError};

use crate::lifecycle::{AgentState, IllegalTransition};

/// Why a run does not go on, or was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store refused or failed. The run is as it was, unless the error says that it may have been written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A hook did not allow a change of state. The run has failed as it stood, with all results; it can be resumed.
    #[error("a hook refused {old} to {new}: {reason}")]
    Hook {
        /// The state before.
        old: AgentState,
        /// The state that was to be.
        new: AgentState,
        /// What the hook said.
        reason: String,
    },
    /// The plan was made by other code than this node has. Nothing was changed; run it where that code is, or start it
    /// afresh.
    #[error("the plan was made by code {saved:?}, and this node has {now:?}")]
    CodeChanged {
        /// The code that made the plan.
        saved: String,
        /// This node's.
        now: String,
    },
    /// What is to happen cannot, as the run stands. Nothing was changed.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// This node has no such kind of agent. Nothing was changed.
    #[error("this node has no durable agent {kind:?}; there are: {}", listed(.known))]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Some text is no run's id, no kind or no tag. The caller's mistake.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// None of the run's checkpoints can be used: each is damaged, or of some other program. Nothing was changed.
    #[error("run {run} has no checkpoint to go on from: {reason}")]
    NoCheckpoint {
        /// The run.
        run: String,
        /// What is wrong with the newest.
        reason: String,
    },
    /// The run is at work on this node, and what was asked needs it to be at rest. Nothing was changed.
    #[error("run {run} is at work; pause or cancel it first")]
    AtWork {
        /// The run.
        run: String,
    },
    /// The node leaves, or has as many runs as it can have. Nothing was changed.
    #[error("{reason}")]
    Unavailable {
        /// Which of the two.
        reason: String,
    },
}

impl RunError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Hook { .. } => "HOOK_FAILED",
            Self::CodeChanged { .. } => "CODE_CHANGED",
            Self::Illegal(_) => "ILLEGAL_TRANSITION",
            Self::UnknownKind { .. } => "UNKNOWN_KIND",
            Self::Name(_) => "BAD_NAME",
            Self::NoCheckpoint { .. } => "NO_CHECKPOINT",
            Self::AtWork { .. } => "AT_WORK",
            Self::Unavailable { .. } => "UNAVAILABLE",
        }
    }

    /// Whether somebody else has the run now, so that nothing more may be done under this lease.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

fn listed(kinds: &[String]) -> String {
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}
