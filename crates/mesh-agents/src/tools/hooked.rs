//! A tool with everything that stands around it: schema, hooks, approval, slots, time, records.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonschema::Validator;
use mesh::{Cancel, Retry};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::approve::{ApprovalOutcome, ApprovalRequest, Approver, NobodyApproves};
use super::call::{Call, Ended, Ending};
use super::error::ToolError;
use super::hook::{Hook, HookFailure, Verdict};
use super::json::{action_hash, canonical};
use super::message::ToolDescription;
use super::record::{Log, Record};
use super::spec::ToolSpec;
use super::stats::Stats;
use super::tool::{AnyTool, Probe, Tool, ToolContext, Typed};

/// How long one hook may look at one call.
const HOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a tool has to end by itself when nobody waits for it any more.
const GRACE: Duration = Duration::from_millis(500);

/// The largest answer, as JSON: with some room for what is written around it, an outcome of the ledger.
pub(super) const OUTPUT_BYTES_MAX: usize = (1 << 20) - (16 << 10);

/// The largest arguments, as JSON.
pub(super) const ARGS_BYTES_MAX: usize = 1 << 20;

/// Problems of arguments that one error names.
const PROBLEMS_MAX: usize = 5;

/// A tool, its hooks, and who approves: what is called. It needs no mesh. Cheap to share by `Arc`.
pub struct HookedTool {
    tool: Box<dyn AnyTool>,
    spec: ToolSpec,
    schema: Value,
    validator: Validator,
    hooks: Vec<Arc<dyn Hook>>,
    approver: Arc<dyn Approver>,
    slots: Semaphore,
    log: Log,
}

/// A tool that cannot be offered; its author's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ToolDefinitionError {
    /// What is wrong with it.
    pub reason: String,
}

/// What the hooks before a call have made of it.
enum Before {
    Go { approval: Option<String> },
    Skip(Value),
}

/// Which look at a call the hooks take.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    First,
    /// Its arguments were edited by who approved them.
    Edited,
}

impl HookedTool {
    /// A tool without hooks, where nobody approves.
    ///
    /// # Errors
    /// [`ToolDefinitionError`]: its name, its limits or its schema cannot be used.
    pub fn new(tool: impl Tool) -> Result<Self, ToolDefinitionError> {
        Self::of_any(Box::new(Typed(tool)))
    }

    /// As [`new`](Self::new), for a tool whose schema comes from elsewhere.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_any(tool: Box<dyn AnyTool>) -> Result<Self, ToolDefinitionError> {
        let (spec, schema) = (tool.describe(), tool.schema());
        if let Some(reason) = spec.problem() {
            return Err(ToolDefinitionError { reason });
        }
        let validator = jsonschema::validator_for(&schema).map_err(|error| ToolDefinitionError {
            reason: format!("{}: its schema cannot be used: {error}", spec.name),
        })?;
        let slots = Semaphore::new(spec.concurrency);
        let log = Log::new(&spec.name);
        let (hooks, approver) = (Vec::new(), Arc::new(NobodyApproves));
        Ok(Self { tool, spec, schema, validator, hooks, approver, slots, log })
    }

    /// Lets a hook look at every call, behind those that were added before.
    #[must_use]
    pub fn hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Asks this approver where a hook wants an approval.
    #[must_use]
    pub fn approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.approver = approver;
        self
    }

    /// What is known of the tool.
    #[must_use]
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// What is told of it to those who might call it.
    #[must_use]
    pub fn description(&self) -> ToolDescription {
        ToolDescription::of(&self.spec, &self.schema)
    }

    /// The JSON Schema of its arguments.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// How its calls went.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.log.stats()
    }

    /// Its latest calls, the oldest first: at most 256.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.log.records()
    }

    /// Makes a call, with everything around it. It ends by the call's deadline, or when it is withdrawn, but for what the
    /// hooks behind it need.
    ///
    /// # Cancel safety
    /// Dropped, it ends the tool where it is, is recorded as cancelled, and no hook sees its end. To withdraw a call in
    /// order, set its signal.
    pub async fn call(&self, mut call: Call) -> Ended {
        let began = Instant::now();
        let recording = self.log.begin(&call);
        let (result, ending) = match self.decided(&mut call).await {
            Ok(Some(answer)) => (Ok(answer), Ending::Skipped),
            Ok(None) => self.ran(&call).await,
            Err(error) if error.code == "CANCELLED" => (Err(error), Ending::Cancelled),
            Err(error) => (Err(error), Ending::Refused),
        };
        let ended = Ended { result, ending, elapsed: began.elapsed() };
        let mut failures = 0;
        for hook in &self.hooks {
            if let Err(failure) = contained(hook.after(&call, &ended)).await {
                tracing::warn!(
                    tool = self.spec.name,
                    hook = hook.name(),
                    reason = failure.reason,
                    "hook failed"
                );
                failures += 1;
            }
        }
        recording.end(&call, &ended, failures);
        ended
    }

    /// Asks the tool what became of a call.
    ///
    /// # Errors
    /// [`ToolError`]: it could not find out, within its time limit.
    pub async fn probe(&self, call: super::call::CallId) -> Result<Probe<Value>, ToolError> {
        let late = |_elapsed| Err(ToolError::late("the probe", false));
        timeout(self.spec.timeout, self.tool.probe(call)).await.unwrap_or_else(late)
    }

    /// Everything that comes before the tool; with an answer, it does not run.
    async fn decided(&self, call: &mut Call) -> Result<Option<Value>, ToolError> {
        if call.tool != self.spec.name {
            return Err(ToolError::unknown(&call.tool));
        }
        self.validate(&call.args)?;
        let approval = match self.before(call, Pass::First).await? {
            Before::Skip(answer) => return Ok(Some(answer)),
            Before::Go { approval } => approval,
        };
        if let Some(reason) = approval {
            return self.approved(call, reason).await;
        }
        Ok(None)
    }

    async fn before(&self, call: &mut Call, pass: Pass) -> Result<Before, ToolError> {
        let mut approval = None;
        for hook in &self.hooks {
            let verdict = until(call, contained(hook.before(call))).await?.map_err(|failure| {
                let message = format!("the hook {} failed: {}", hook.name(), failure.reason);
                ToolError::refused("HOOK_FAILED", message)
            })?;
            match verdict {
                Verdict::Proceed => {}
                Verdict::Mutate(args) if pass == Pass::First => {
                    self.validate(&args)?;
                    call.args = args;
                }
                Verdict::Mutate(args) if args == call.args => {}
                Verdict::Mutate(_) => {
                    let message = format!("the hook {} would change what was approved", hook.name());
                    return Err(ToolError::refused("HOOK_CANCELLED", message));
                }
                Verdict::Skip(answer) => return Ok(Before::Skip(answer)),
                Verdict::RequireApproval { reason } => approval = approval.or(Some(reason)),
                Verdict::Deny { reason } => {
                    let message = format!("the hook {} denied it: {reason}", hook.name());
                    return Err(ToolError::refused("HOOK_CANCELLED", message));
                }
            }
        }
        Ok(Before::Go { approval })
    }

    /// Waits for an approval of exactly this call.
    async fn approved(&self, call: &mut Call, reason: String) -> Result<Option<Value>, ToolError> {
        let request = ApprovalRequest::new(call, &self.schema, reason);
        let shown = request.hash;
        let asked = AssertUnwindSafe(self.approver.decide(request)).catch_unwind();
        let unanswered =
            |_panic| ApprovalOutcome::Unanswered { reason: "who was to approve failed".to_owned() };
        let outcome = until(call, asked).await?.unwrap_or_else(unanswered);
        match outcome {
            ApprovalOutcome::Approved { hash } | ApprovalOutcome::ApprovedWith { hash, .. }
                if hash != shown =>
            {
                let message = "what was approved is not what was asked for";
                Err(ToolError::refused("APPROVAL_REQUIRED", message))
            }
            ApprovalOutcome::Approved { .. } => Ok(None),
            ApprovalOutcome::ApprovedWith { args, .. } => {
                let args: Value = serde_json::from_str(&args).map_err(|error| {
                    ToolError::refused("BAD_ARGUMENTS", format!("what was approved is no JSON: {error}"))
                })?;
                self.validate(&args)?;
                call.args = args;
                let edited = action_hash(&self.spec.name, &call.args);
                let answer = match self.before(call, Pass::Edited).await? {
                    Before::Skip(answer) => Some(answer),
                    // That somebody has to allow it was said before, and somebody did.
                    Before::Go { .. } => None,
                };
                debug_assert_eq!(edited, action_hash(&self.spec.name, &call.args), "what runs was approved");
                Ok(answer)
            }
            ApprovalOutcome::Denied { reason } => Err(ToolError::refused("USER_CANCELLED", reason)),
            ApprovalOutcome::Unanswered { reason } => Err(ToolError::refused("APPROVAL_REQUIRED", reason)),
        }
    }

    /// Waits for a slot, and runs the tool.
    async fn ran(&self, call: &Call) -> (Result<Value, ToolError>, Ending) {
        let slot: SemaphorePermit<'_> = match until(call, self.slots.acquire()).await {
            Ok(slot) => slot.expect("the slots are never closed"),
            Err(error) if error.code == "CANCELLED" => return (Err(error), Ending::Cancelled),
            Err(error) => return (Err(error), Ending::Refused),
        };
        let answer = self.run(call).await;
        drop(slot);
        let error = match answer {
            Ok(answer) => return (Ok(answer), Ending::Ran),
            Err(error) if error.code == "CANCELLED" => return (Err(error), Ending::Cancelled),
            Err(error) => error,
        };
        for hook in &self.hooks {
            match contained(hook.on_error(call, &error)).await {
                Ok(None) => {}
                Ok(Some(answer)) => return (Ok(answer), Ending::Fallback { error }),
                Err(failure) => {
                    tracing::warn!(
                        tool = self.spec.name,
                        hook = hook.name(),
                        reason = failure.reason,
                        "hook failed"
                    );
                }
            }
        }
        (Err(error), Ending::Failed)
    }

    async fn run(&self, call: &Call) -> Result<Value, ToolError> {
        let limit = Instant::now() + self.spec.timeout;
        let deadline = call.deadline.map_or(limit, |deadline| deadline.min(limit));
        let stop = Cancel::new();
        let cx = ToolContext { call: call.id, deadline, cancel: stop.clone() };
        let running = AssertUnwindSafe(async { self.tool.call(call.args.clone(), cx).await }).catch_unwind();
        tokio::pin!(running);
        let ended = tokio::select! {
            biased;
            ended = &mut running => ended,
            () = call.cancel.cancelled() => {
                stop.cancel();
                // What it does with its last moment is its own affair: nobody hears of it.
                let _ = timeout(GRACE, running).await;
                return Err(ToolError::cancelled(true));
            }
            () = tokio::time::sleep_until(deadline) => {
                stop.cancel();
                return Err(ToolError::late(&self.spec.name, true));
            }
        };
        let answer = ended.unwrap_or_else(|panic| {
            Err(ToolError::unsure("EXECUTION_ERROR", format!("the tool panicked: {}", said(&*panic))))
        })?;
        let bytes = answer.to_string().len();
        if bytes > OUTPUT_BYTES_MAX {
            let message =
                format!("the tool answered with {bytes} bytes, at most {OUTPUT_BYTES_MAX} are taken");
            return Err(ToolError { code: "BAD_OUTPUT".to_owned(), ..ToolError::failed(message) });
        }
        Ok(answer)
    }

    /// Whether arguments fit the schema. The error names places and rules, and no values: those may be secrets.
    fn validate(&self, args: &Value) -> Result<(), ToolError> {
        if canonical(args).len() > ARGS_BYTES_MAX {
            let message = format!("the arguments are larger than {ARGS_BYTES_MAX} bytes");
            return Err(ToolError::refused("BAD_ARGUMENTS", message));
        }
        let problem = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the arguments".to_owned() } else { place };
            format!("{place}: {}", error.masked())
        };
        let problems: Vec<_> = self.validator.iter_errors(args).take(PROBLEMS_MAX).map(problem).collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(ToolError::refused("BAD_ARGUMENTS", problems.join("; ")).retry(Retry::Never))
    }
}

impl fmt::Debug for HookedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedTool").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Waits for something before a call has begun: not longer than its deadline, nor than anybody wants it.
async fn until<T>(call: &Call, wait: impl Future<Output = T>) -> Result<T, ToolError> {
    let waits = async {
        match call.deadline {
            Some(deadline) => timeout_at(deadline, wait).await.map_err(|_| ()),
            None => Ok(wait.await),
        }
    };
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => Err(ToolError::cancelled(false)),
        ended = waits => ended.map_err(|()| ToolError::late("what comes before the call", false)),
    }
}

/// A hook's answer, whatever the hook does.
async fn contained<T>(hook: BoxFuture<'_, Result<T, HookFailure>>) -> Result<T, HookFailure> {
    match timeout(HOOK_TIMEOUT, AssertUnwindSafe(hook).catch_unwind()).await {
        Ok(Ok(said)) => said,
        Ok(Err(panic)) => Err(HookFailure::new(format!("it panicked: {}", said(&*panic)))),
        Err(_elapsed) => Err(HookFailure::new(format!("it had not ended after {HOOK_TIMEOUT:?}"))),
    }
}

/// The text of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").to_owned()
}
