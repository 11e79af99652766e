//! Tools and hooks that the tests are made of.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mesh_agents::tools::{
    Annotations, ApprovalOutcome, ApprovalRequest, Approver, Call, Ended, Hook, HookFailure, HookedTool,
    Tool, ToolContext, ToolError, ToolSpec, Verdict,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What is waited for must come within this.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Does what its argument says.
pub(crate) struct Puppet {
    pub(crate) journal: Journal,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) spec: ToolSpec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Play {
    /// What to do.
    act: Act,
    /// At most 9.
    #[serde(default)]
    #[schemars(range(max = 9))]
    n: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Act {
    Answer,
    Fail,
    Panic,
    Hang,
    /// Waits at the gate.
    Wait,
    Large,
}

impl Puppet {
    pub(crate) fn new() -> Self {
        let annotations = Annotations { destructive: true, ..Annotations::default() };
        let spec = ToolSpec::new("puppet", "Does what it is told.").annotations(annotations);
        Self { journal: Journal::default(), gate: Arc::new(Semaphore::new(0)), spec }
    }

    pub(crate) fn hooked(self) -> HookedTool {
        HookedTool::new(self).unwrap()
    }
}

impl Tool for Puppet {
    type Args = Play;
    type Output = Value;

    fn describe(&self) -> ToolSpec {
        self.spec.clone()
    }

    async fn call(&self, play: Play, cx: ToolContext) -> Result<Value, ToolError> {
        self.journal.note(format!("ran {:?} {}", play.act, play.n).to_lowercase());
        match play.act {
            Act::Answer => Ok(json!({ "n": play.n })),
            Act::Fail => Err(ToolError::failed("as it was told")),
            Act::Panic => panic!("as it was told"),
            Act::Hang => {
                cx.cancelled().await;
                self.journal.note("was told to stop");
                Ok(Value::Null)
            }
            Act::Wait => {
                self.gate.acquire().await.unwrap().forget();
                Ok(json!({ "n": play.n }))
            }
            Act::Large => Ok("x".repeat(2 << 20).into()),
        }
    }
}

pub(crate) fn play(act: &str) -> Call {
    Call::new("puppet", json!({ "act": act }))
}

type Before = Box<dyn Fn(&Call) -> Result<Verdict, HookFailure> + Send + Sync>;
type OnError = Box<dyn Fn(&ToolError) -> Result<Option<Value>, HookFailure> + Send + Sync>;

/// A hook of closures that writes down what it sees.
pub(crate) struct Seer {
    pub(crate) name: &'static str,
    pub(crate) journal: Journal,
    pub(crate) before: Before,
    pub(crate) on_error: OnError,
    pub(crate) after_fails: bool,
}

impl Seer {
    pub(crate) fn new(name: &'static str, journal: &Journal) -> Self {
        let (before, on_error): (Before, OnError) =
            (Box::new(|_| Ok(Verdict::Proceed)), Box::new(|_| Ok(None)));
        Self { name, journal: journal.clone(), before, on_error, after_fails: false }
    }

    pub(crate) fn before(
        mut self,
        before: impl Fn(&Call) -> Result<Verdict, HookFailure> + Send + Sync + 'static,
    ) -> Arc<Self> {
        self.before = Box::new(before);
        Arc::new(self)
    }

    pub(crate) fn on_error(
        mut self,
        on_error: impl Fn(&ToolError) -> Result<Option<Value>, HookFailure> + Send + Sync + 'static,
    ) -> Arc<Self> {
        self.on_error = Box::new(on_error);
        Arc::new(self)
    }
}

impl Hook for Seer {
    fn name(&self) -> &str {
        self.name
    }

    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Verdict, HookFailure>> {
        self.journal.note(format!("{} before {}", self.name, call.args["act"].as_str().unwrap_or("?")));
        Box::pin(async move { (self.before)(call) })
    }

    fn after<'a>(&'a self, _: &'a Call, ended: &'a Ended) -> BoxFuture<'a, Result<(), HookFailure>> {
        let said = ended.result.as_ref().map_or_else(|error| error.code.clone(), ToString::to_string);
        self.journal.note(format!("{} after {said}", self.name));
        Box::pin(
            async move { if self.after_fails { Err(HookFailure::new("as it was told")) } else { Ok(()) } },
        )
    }

    fn on_error<'a>(
        &'a self,
        _: &'a Call,
        error: &'a ToolError,
    ) -> BoxFuture<'a, Result<Option<Value>, HookFailure>> {
        self.journal.note(format!("{} on_error {}", self.name, error.code));
        Box::pin(async move { (self.on_error)(error) })
    }
}

/// Approves by a closure.
pub(crate) struct Judge<F>(pub(crate) F);

impl<F: Fn(&ApprovalRequest) -> ApprovalOutcome + Send + Sync + 'static> Approver for Judge<F> {
    fn decide(&self, request: ApprovalRequest) -> BoxFuture<'_, ApprovalOutcome> {
        Box::pin(async move { (self.0)(&request) })
    }
}
