//! Calls that are made once, whatever becomes of the process that makes them.
//!
//! ```text
//!   intent, durable ──► the call ──► outcome, durable
//!        │
//!        └─ known already ─┬─ with an outcome: that is the answer, nothing is called
//!                          └─ in doubt ─┬─ idempotent: called again, under the same id
//!                                       ├─ queryable: the tool is asked what became of it
//!                                       └─ manual: NEEDS_HUMAN, until somebody decides
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use mesh_store::{
    CallOutcome, CallPolicy, Changes, Intent, Lease, Name, NewCall, Resource, RunId, Store, StoreError,
};
use serde_json::Value;

use super::call::{Call, CallId};
use super::error::ToolError;
use super::json::action_hash;
use super::tool::Probe;

/// Whatever can make a call: the tools of this process ([`ToolSet`](super::ToolSet)), or those of the mesh
/// ([`ToolBox`](super::ToolBox)).
pub trait Callable: Send + Sync {
    /// What may be done about a call of this tool that is in doubt.
    fn policy<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<CallPolicy, ToolError>>;

    /// Makes a call.
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ToolError>>;

    /// Finds out what became of a call.
    fn probe<'a>(&'a self, tool: &'a str, call: CallId) -> BoxFuture<'a, Result<Probe<Value>, ToolError>>;
}

/// The calls of one run, through its ledger. Cheap to clone.
///
/// A call is told from the run's others by its key, which has to be the same when the run is resumed: the number of its
/// step, for example. Who tries a call again that has failed gives it a new key; the old one keeps its failure.
#[derive(Clone)]
pub struct Ledgered {
    store: Store,
    lease: Lease,
    run: RunId,
    tools: Arc<dyn Callable>,
}

impl std::fmt::Debug for Ledgered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledgered").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// Calls that a run has not made before, or may make again.
enum Step {
    Make,
    Answer(Result<Value, ToolError>),
}

impl Ledgered {
    /// The calls of the run that the lease is of.
    ///
    /// # Errors
    /// [`ToolError`] when the lease is not of a run.
    pub fn new(store: Store, lease: Lease, tools: Arc<dyn Callable>) -> Result<Self, ToolError> {
        let Resource::Run(run) = &lease.resource else {
            return Err(ToolError::refused("NO_RUN", format!("{} is no run", lease.resource)));
        };
        let run = run.clone();
        Ok(Self { store, lease, run, tools })
    }

    /// Makes a call once: one that has ended before is answered as it was then.
    ///
    /// The call's own id does not count; it gets that of its run and key, at every attempt.
    ///
    /// # Errors
    /// [`ToolError`] of the tool, which is recorded if the end of the call is known, and stays in doubt otherwise;
    /// `NEEDS_HUMAN` for a call in doubt that nobody may repeat ([`settle`](Self::settle), [`repeat`](Self::repeat)); of the
    /// store (`STORE_FENCED` when the lease is over: stop).
    ///
    /// # Cancel safety
    /// Dropped, it leaves the call in doubt, if it was begun.
    pub async fn call(&self, key: Name, call: Call) -> Result<Value, ToolError> {
        let call = self.identified(&key, call);
        let hash = action_hash(&call.tool, &call.args);
        let tool: Name = call.tool.parse().map_err(|_| ToolError::unknown(&call.tool))?;
        let policy = self.policy(&key, &call.tool).await?;
        let intent = NewCall { key: key.clone(), tool, args_hash: hash, policy };
        let intent = self.store.intend(&self.lease, intent, now_ms()).await?;
        let step = match intent {
            Intent::Fresh(_) => Step::Make,
            Intent::Finished(known) => Step::Answer(recorded(known.outcome)),
            Intent::InDoubt(known) => self.doubted(&key, &call, known.policy).await?,
        };
        match step {
            Step::Make => self.make(key, call).await,
            Step::Answer(answer) => answer,
        }
    }

    /// Decides how a call in doubt ended: for who found out, as a human does.
    ///
    /// # Errors
    /// [`ToolError`] of the store: there is no such call, or it has ended otherwise.
    pub async fn settle(&self, key: Name, outcome: &Result<Value, ToolError>) -> Result<(), ToolError> {
        self.record(key, outcome).await?;
        Ok(())
    }

    /// Makes a call in doubt again, because somebody decided that it may be.
    ///
    /// # Errors
    /// As of [`call`](Self::call).
    pub async fn repeat(&self, key: Name, call: Call) -> Result<Value, ToolError> {
        let call = self.identified(&key, call);
        let known = self.store.calls(&self.run).await?.into_iter().find(|known| known.key == key);
        let Some(known) = known else {
            return Err(ToolError::refused("NO_CALL", format!("the run has no call {key}")));
        };
        if known.args_hash != action_hash(&call.tool, &call.args) {
            return Err(ToolError::refused("BAD_CALL", format!("{key} was another action")));
        }
        match known.outcome {
            Some(outcome) => recorded(Some(outcome)),
            None => self.make(key, call).await,
        }
    }

    fn identified(&self, key: &Name, call: Call) -> Call {
        call.id(CallId::of_run(&self.run, key))
    }

    /// The policy of a known call is the one that it was made under; its tool may be gone by now.
    async fn policy(&self, key: &Name, tool: &str) -> Result<CallPolicy, ToolError> {
        match self.tools.policy(tool).await {
            Ok(policy) => Ok(policy),
            Err(error) => {
                let calls = self.store.calls(&self.run).await?;
                let known = calls.into_iter().find(|known| known.key == *key);
                known.map(|known| known.policy).ok_or(error)
            }
        }
    }

    async fn doubted(&self, key: &Name, call: &Call, policy: CallPolicy) -> Result<Step, ToolError> {
        match policy {
            CallPolicy::Idempotent => Ok(Step::Make),
            CallPolicy::Manual => Err(needs_human(key, &call.tool)),
            CallPolicy::Queryable => match self.tools.probe(&call.tool, call.id).await? {
                Probe::NotDone => Ok(Step::Make),
                Probe::Unknown => Err(needs_human(key, &call.tool)),
                Probe::Done(answer) => {
                    let outcome = Ok(answer);
                    self.record(key.clone(), &outcome).await?;
                    Ok(Step::Answer(outcome))
                }
            },
        }
    }

    async fn make(&self, key: Name, call: Call) -> Result<Value, ToolError> {
        let outcome = self.tools.call(call).await;
        if outcome.as_ref().is_err_and(|error| error.in_doubt) {
            return outcome;
        }
        let has_run = outcome.as_ref().map_or_else(|error| error.may_have_run, |_| true);
        self.record(key, &outcome).await.map_err(|error| ToolError {
            may_have_run: has_run,
            in_doubt: has_run,
            ..ToolError::from(error)
        })?;
        outcome
    }

    async fn record(&self, key: Name, outcome: &Result<Value, ToolError>) -> Result<(), StoreError> {
        let payload = serde_json::to_vec(outcome).expect("a value and texts are JSON").into();
        let at_ms = now_ms();
        let outcome = CallOutcome { is_ok: outcome.is_ok(), payload, at_ms };
        self.store.write(&self.lease, Changes::at(at_ms).outcome(key, outcome)).await.map(drop)
    }
}

fn recorded(outcome: Option<CallOutcome>) -> Result<Value, ToolError> {
    let payload = outcome.map(|outcome| outcome.payload).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_else(|_| {
        Err(ToolError::refused("STORE_CORRUPT", "the outcome of the call was not written by this program"))
    })
}

fn needs_human(key: &Name, tool: &str) -> ToolError {
    let message = format!("{tool} may have been done already (call {key}): a human has to decide");
    ToolError::unsure("NEEDS_HUMAN", message)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
