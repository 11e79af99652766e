//! Who says yes to a call that a hook does not want to run by itself.

use futures::future::BoxFuture;
use mesh_store::ContentHash;
use serde_json::Value;
use tokio::time::Instant;

use super::call::{Call, CallId};
use super::json::canonical;

/// What somebody is asked to allow: exactly this, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// Which call it is.
    pub call: CallId,
    /// What is to be done: the tool's name.
    pub action: String,
    /// The exact arguments, as canonical JSON.
    pub args: String,
    /// The hash of action and arguments ([`action_hash`](super::action_hash)): an approval of another one does not count.
    pub hash: ContentHash,
    /// Why a hook wants it.
    pub reason: String,
    /// Who makes the call, as [`Call::by`] says.
    pub by: String,
    /// The JSON Schema of the arguments: what edited ones have to fit too.
    pub schema: Value,
    /// When the answer stops being of use.
    pub deadline: Option<Instant>,
}

impl ApprovalRequest {
    pub(super) fn new(call: &Call, schema: &Value, reason: String) -> Self {
        Self {
            call: call.id,
            action: call.tool.clone(),
            args: canonical(&call.args),
            hash: super::json::action_hash(&call.tool, &call.args),
            reason,
            by: call.by.clone(),
            schema: schema.clone(),
            deadline: call.deadline,
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// It may be done as it was shown.
    Approved {
        /// The hash of what was approved. If it is not that of the request, nothing runs.
        hash: ContentHash,
    },
    /// It may be done with other arguments. They are validated, and all hooks see them, before anything runs.
    ApprovedWith {
        /// The hash of what was shown.
        hash: ContentHash,
        /// The arguments to take in place of those that were shown, as JSON.
        args: String,
    },
    /// It must not be done.
    Denied {
        /// Why, for whoever asked.
        reason: String,
    },
    /// There is nobody who could be asked, or nobody has answered in time. It is not done.
    Unanswered {
        /// What was in the way.
        reason: String,
    },
}

/// Decides about calls, by asking humans usually. What a model, a tool or a memory says is never an answer.
pub trait Approver: Send + Sync + 'static {
    /// Waits for a decision, as long as it takes: the caller ends the wait at its deadline, or when it is withdrawn.
    ///
    /// # Cancel safety
    /// Dropped, it is not wanted any more; a decision that comes later must have no effect.
    fn decide(&self, request: ApprovalRequest) -> BoxFuture<'_, ApprovalOutcome>;
}

/// An approver that asks nobody: what wants an approval is not done.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyApproves;

impl Approver for NobodyApproves {
    fn decide(&self, request: ApprovalRequest) -> BoxFuture<'_, ApprovalOutcome> {
        let reason = format!("{} needs an approval, and nobody is there to give it", request.action);
        Box::pin(std::future::ready(ApprovalOutcome::Unanswered { reason }))
    }
}
