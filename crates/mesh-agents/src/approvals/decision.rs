//! What people decided, as the one who asked gets it.

use std::fmt;

use mesh_store::{Approval, ApprovalEvent, ApprovalId, ApprovalState, ContentHash, StoreError};
use serde_json::Value;

use super::level::Level;
use super::request::{EditNote, action_hash, args_of};

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It may be done, exactly as the permit says.
    Approved(Permit),
    /// It must not be done.
    Denied(Denial),
}

/// The right to do one action with certain arguments: those that were approved, which an edit may have made others than
/// those that were asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Permit {
    /// The request.
    pub id: ApprovalId,
    /// What may be done.
    pub action: String,
    /// With which arguments, and no others.
    pub args: Value,
    /// Of the action and the arguments.
    pub hash: ContentHash,
    /// Whether somebody edited the arguments.
    pub is_edited: bool,
    /// How closely people had to look.
    pub level: Level,
    /// Who approved it, as `client/ann`, or `policy`.
    pub by: Vec<String>,
}

/// Why something must not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} was denied by {by}{}", reason_of(reason))]
#[non_exhaustive]
pub struct Denial {
    /// The request.
    pub id: ApprovalId,
    /// What was asked for.
    pub action: String,
    /// Who denied it, as `client/ann`, or `clock`.
    pub by: String,
    /// What they said.
    pub reason: String,
    /// Whether nobody denied it, but nobody approved it in time either.
    pub is_expired: bool,
}

impl Denial {
    /// Stable, for programs: `USER_CANCELLED`, or `TIMEOUT` where nobody answered in time.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if self.is_expired { "TIMEOUT" } else { "USER_CANCELLED" }
    }
}

fn reason_of(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl Permit {
    /// Whether this is what may be done.
    ///
    /// # Errors
    /// [`NotPermitted`] if the action is another one, or one byte of its arguments is.
    pub fn check(&self, action: &str, args: &Value) -> Result<(), NotPermitted> {
        let wanted = action_hash(action, args);
        if wanted == action_hash(&self.action, &self.args) {
            return Ok(());
        }
        Err(NotPermitted { action: action.to_owned(), wanted, approved: self.hash })
    }
}

/// What is about to be done is not what was approved. It was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} with these arguments ({wanted}) is not what was approved ({approved})")]
pub struct NotPermitted {
    /// What is about to be done.
    pub action: String,
    /// Its hash.
    pub wanted: ContentHash,
    /// The hash of what was approved.
    pub approved: ContentHash,
}

/// Why there is no decision. What was asked for must not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The request cannot be kept as it is: the asker's mistake. Nobody was asked.
    #[error("cannot be asked for: {reason}")]
    BadRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// The same key was used to ask for something else. Nobody was asked; use another key.
    #[error("the key of this request was used for another action, or other arguments")]
    OtherAction,
    /// As many requests of this node wait as may. Nobody was asked; try again later.
    #[error("{waiting} requests wait on this node, as many as may")]
    TooMany {
        /// How many wait.
        waiting: usize,
    },
    /// Somebody edited the arguments, and they cannot be used. Nothing was done; nor are the original ones.
    #[error("the edited arguments of {action} cannot be used: {reason}")]
    BadEdit {
        /// The action.
        action: String,
        /// What is wrong with them.
        reason: String,
    },
    /// This node keeps no approvals, or its inbox has ended. The request may be there; ask again under its key.
    #[error("the approvals of this node cannot be reached: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GateError {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "BAD_REQUEST",
            Self::OtherAction => "OTHER_ACTION",
            Self::TooMany { .. } => "TOO_MANY_APPROVALS",
            Self::BadEdit { .. } => "BAD_EDIT",
            Self::Unavailable { .. } => "NO_APPROVALS",
            Self::Store(error) => error.code(),
        }
    }
}

/// Why [`Gate::run`](super::Gate::run) brought no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone<E> {
    /// People denied it, or nobody answered. The action was not begun.
    Denied(Denial),
    /// There is no decision. The action was not begun.
    Undecided(GateError),
    /// It was approved and begun, and this is its own error.
    Failed(E),
}

impl<E> NotDone<E> {
    /// Stable, for programs: `USER_CANCELLED`, `TIMEOUT`, `EXECUTION_ERROR`, and those of [`GateError::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.code(),
            Self::Undecided(error) => error.code(),
            Self::Failed(_) => "EXECUTION_ERROR",
        }
    }
}

impl<E: fmt::Display> fmt::Display for NotDone<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Undecided(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for NotDone<E> {}

/// A request that nothing changes any more, with its record.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) approval: Approval,
    pub(super) events: Vec<ApprovalEvent>,
}

impl Settled {
    /// What it means for the one who asked.
    pub(super) fn decision(&self) -> Result<Decision, GateError> {
        let approval = &self.approval;
        let action = approval.action.to_string();
        if approval.state != ApprovalState::Approved {
            let last = self.events.last();
            return Ok(Decision::Denied(Denial {
                id: approval.id,
                action,
                by: last.map_or_else(|| "nobody".to_owned(), |event| event.actor.to_string()),
                reason: last.map(said).unwrap_or_default(),
                is_expired: approval.state != ApprovalState::Rejected,
            }));
        }
        let args = args_of(&approval.payload).and_then(|args| serde_json::from_str(args).ok());
        let broken = || GateError::BadEdit { action: action.clone(), reason: "they are no JSON".to_owned() };
        let args = args.ok_or_else(broken)?;
        Ok(Decision::Approved(Permit {
            id: approval.id,
            args,
            hash: approval.action_hash(),
            is_edited: self.events.first().is_none_or(|asked| asked.action_hash != approval.action_hash()),
            level: Level::parse(approval.level.as_str()).unwrap_or_default(),
            by: approvers(approval, &self.events),
            action,
        }))
    }
}

/// Who approved the action as it is now, each once.
pub(super) fn approvers(approval: &Approval, events: &[ApprovalEvent]) -> Vec<String> {
    let mut by: Vec<String> = Vec::new();
    for event in events {
        let name = event.actor.to_string();
        if event.action_hash != approval.action_hash() {
            by.clear();
        } else if ["approved", "edited"].contains(&event.what.as_str()) && !by.contains(&name) {
            by.push(name);
        }
    }
    by
}

/// What somebody said with an answer.
pub(super) fn said(event: &ApprovalEvent) -> String {
    match event.what.as_str() {
        "edited" => serde_json::from_str::<EditNote>(&event.note).unwrap_or_default().said,
        "expired" => "nobody answered in time".to_owned(),
        _ => event.note.clone(),
    }
}
