//! What a user writes, and what it says of itself.

use std::fmt;

use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunContext;

/// One step of a plan. It is stored with the run, and given to [`DurableAgent::execute`] as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What people call it.
    pub name: String,
    /// What it needs to know; `null` if nothing.
    #[serde(default)]
    pub input: Value,
}

impl Step {
    /// A step that needs to know nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), input: Value::Null }
    }

    /// A step with what it needs to know.
    pub fn with(name: impl Into<String>, input: impl Into<Value>) -> Self {
        Self { name: name.into(), input: input.into() }
    }
}

/// What a step brings.
pub type StepResult = Result<Value, StepError>;

/// An agent whose work outlives its process.
///
/// Its own fields do not: what the steps need to know of each other is in [`RunContext::results`] and
/// [`RunContext::metadata`], which do. A new value is made when a run is taken up, and after a panic.
///
/// ```
/// use mesh_agents::durable::{DurableAgent, RunContext, Step, StepError, StepResult};
///
/// struct Report;
///
/// impl DurableAgent for Report {
///     async fn plan(&mut self, task: &str, _: &mut RunContext) -> Result<Vec<Step>, StepError> {
///         Ok(vec![Step::with("search", task), Step::new("write")])
///     }
///
///     async fn execute(&mut self, step: &Step, cx: &mut RunContext) -> StepResult {
///         match step.name.as_str() {
///             "search" => Ok(format!("all about {}", step.input).into()),
///             _ => Ok(format!("{} in short", cx.results()[0]).into()),
///         }
///     }
/// }
/// ```
pub trait DurableAgent: Send + 'static {
    /// Names the code of the steps; `"1"` by default. A run whose plan was made by code of another name is not resumed
    /// ([`RunError::CodeChanged`](super::RunError::CodeChanged)): change it when a stored plan or stored results would
    /// mean something else.
    fn code(&self) -> String {
        "1".to_owned()
    }

    /// Decides on the steps. No step at all is a plan too, and completes. It need not be the last word: a step can add
    /// others ([`RunContext::then`]).
    ///
    /// # Cancel safety
    /// The future is dropped at an await when the run is cancelled, or its lease is lost.
    fn plan(
        &mut self,
        task: &str,
        cx: &mut RunContext,
    ) -> impl Future<Output = Result<Vec<Step>, StepError>> + Send;

    /// Executes one step. Its result is at most 1 MiB of JSON.
    ///
    /// It runs again after an error that allows it, after a panic, and when its process died before the result was
    /// durable.
    ///
    /// # Cancel safety
    /// As [`plan`](Self::plan). [`RunContext::cancel`] is set some seconds before.
    fn execute(&mut self, step: &Step, cx: &mut RunContext) -> impl Future<Output = StepResult> + Send;
}

/// Why an attempt at a step failed.
///
/// Any error converts into it, so that `?` works in a step; for that reason it is no `Error` itself.
#[derive(Clone, PartialEq, Eq)]
pub struct StepError {
    code: String,
    message: String,
    may_retry: bool,
    is_held: bool,
}

impl StepError {
    /// An error under a code for programs; another attempt may help.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), may_retry: true, is_held: false }
    }

    /// The same error, which another attempt would only bring again.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self { may_retry: false, ..self }
    }

    /// For programs: `EXECUTION_ERROR` where the step gave none.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether another attempt can help.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        self.may_retry
    }

    /// The step has ended early, since the run is to hold ([`RunContext::to_hold`]). That is no failed attempt: the step
    /// is executed again when the run goes on.
    #[must_use]
    pub fn held() -> Self {
        Self { is_held: true, ..Self::new("HELD", "the run is to hold") }
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// The run is being cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new("CANCELLED", "the run was cancelled").fatal()
    }
}

impl<E: std::error::Error> From<E> for StepError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self::new("EXECUTION_ERROR", message)
    }
}

impl fmt::Debug for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepError({}: {})", self.code, self.message)
    }
}

/// An agent of any type.
pub(super) trait AnyAgent: Send {
    fn code(&self) -> String;
    fn plan<'a>(
        &'a mut self,
        task: &'a str,
        cx: &'a mut RunContext,
    ) -> BoxFuture<'a, Result<Vec<Step>, StepError>>;
    fn execute<'a>(&'a mut self, step: &'a Step, cx: &'a mut RunContext) -> BoxFuture<'a, StepResult>;
}

impl<A: DurableAgent> AnyAgent for A {
    fn code(&self) -> String {
        DurableAgent::code(self)
    }

    fn plan<'a>(
        &'a mut self,
        task: &'a str,
        cx: &'a mut RunContext,
    ) -> BoxFuture<'a, Result<Vec<Step>, StepError>> {
        DurableAgent::plan(self, task, cx).boxed()
    }

    fn execute<'a>(&'a mut self, step: &'a Step, cx: &'a mut RunContext) -> BoxFuture<'a, StepResult> {
        DurableAgent::execute(self, step, cx).boxed()
    }
}
