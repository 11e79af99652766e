//! Hooks: who looks at a call before it runs and after it has ended.

use futures::future::BoxFuture;
use serde_json::Value;

use super::call::{Call, Ended};
use super::error::ToolError;

/// What a hook says of a call that is about to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// Go on with these arguments. The hooks behind see them, and they have to fit the schema.
    Mutate(Value),
    /// Do not run the tool: this is the answer.
    Skip(Value),
    /// Somebody has to allow it, once all other hooks have agreed.
    RequireApproval {
        /// Why, for whoever is asked.
        reason: String,
    },
    /// It must not run.
    Deny {
        /// Why, for whoever asked.
        reason: String,
    },
}

/// A hook could not do its work. Before a call that keeps the call from running; afterwards it is noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct HookFailure {
    /// What happened.
    pub reason: String,
}

impl HookFailure {
    /// A failure with this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Looks at calls. All that it does not write lets things pass.
///
/// Each of its methods has 5 s. One that fails, panics or is late is contained: it never harms another call, nor the
/// tool's actor.
pub trait Hook: Send + Sync + 'static {
    /// What it is called in errors and records.
    fn name(&self) -> &str;

    /// Before the tool runs, in the order in which hooks were added.
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Verdict, HookFailure>> {
        let _ = call;
        Box::pin(std::future::ready(Ok(Verdict::Proceed)))
    }

    /// After every call, whatever became of it: refused, late and withdrawn ones too.
    fn after<'a>(&'a self, call: &'a Call, ended: &'a Ended) -> BoxFuture<'a, Result<(), HookFailure>> {
        let _ = (call, ended);
        Box::pin(std::future::ready(Ok(())))
    }

    /// When the tool has failed or was late: an answer in place of its own, if there is one; it may be `null`. The first hook
    /// with an answer counts.
    fn on_error<'a>(
        &'a self,
        call: &'a Call,
        error: &'a ToolError,
    ) -> BoxFuture<'a, Result<Option<Value>, HookFailure>> {
        let _ = (call, error);
        Box::pin(std::future::ready(Ok(None)))
    }
}
