//! Who is told of a run's changes of state before they happen.

use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use mesh_store::RunId;

use super::{RunError, StepError};
use crate::lifecycle::AgentState;

/// Why a hook did not allow a change of state. Any error converts into it, as into [`StepError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookError {
    /// What went wrong, for people.
    pub reason: String,
}

impl HookError {
    /// An error with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl<E: std::error::Error> From<E> for HookError {
    fn from(error: E) -> Self {
        Self::new(StepError::from(error).message())
    }
}

type Hook =
    Arc<dyn Fn(&RunId, AgentState, AgentState) -> BoxFuture<'static, Result<(), HookError>> + Send + Sync>;

/// Hooks, called one after the other. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Hooks(Vec<Hook>);

impl Hooks {
    pub(super) fn add<F>(
        &mut self,
        hook: impl Fn(&RunId, AgentState, AgentState) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.0.push(Arc::new(move |run, old, new| hook(run, old, new).boxed()));
    }

    /// Tells all of them of a change; the first that refuses ends it.
    pub(super) async fn call(&self, run: &RunId, old: AgentState, new: AgentState) -> Result<(), RunError> {
        if old == new {
            return Ok(());
        }
        for hook in &self.0 {
            let refused = |error: HookError| RunError::Hook { old, new, reason: error.reason };
            hook(run, old, new).await.map_err(refused)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").field(&self.0.len()).finish()
    }
}
