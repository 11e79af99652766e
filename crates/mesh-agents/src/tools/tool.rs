//! What a tool is: an async function with typed arguments.

use std::fmt;
use std::future::Future;

use futures::future::BoxFuture;
use mesh::Cancel;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::call::CallId;
use super::error::ToolError;
use super::spec::ToolSpec;

/// Something that can be done in the world.
///
/// The JSON Schema that models and callers see is that of [`Args`](Self::Args): its documentation comments are what they
/// read.
///
/// ```
/// use mesh_agents::tools::{Annotations, Call, HookedTool, Tool, ToolContext, ToolError, ToolSpec};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// Adds two numbers.
/// struct Add;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Addends {
///     /// The first one.
///     a: i64,
///     /// The second one.
///     b: i64,
/// }
///
/// impl Tool for Add {
///     type Args = Addends;
///     type Output = i64;
///
///     fn describe(&self) -> ToolSpec {
///         let annotations = Annotations { read_only: true, ..Annotations::default() };
///         ToolSpec::new("add", "Adds two numbers.").annotations(annotations)
///     }
///
///     async fn call(&self, Addends { a, b }: Addends, _: ToolContext) -> Result<i64, ToolError> {
///         a.checked_add(b).ok_or_else(|| ToolError::failed("the sum is too large"))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let add = HookedTool::new(Add)?;
/// let ended = add.call(Call::new("add", serde_json::json!({"a": 40, "b": 2}))).await;
/// assert_eq!(ended.result.unwrap(), 42);
/// # Ok::<(), mesh_agents::tools::ToolDefinitionError>(())
/// # }).unwrap();
/// ```
pub trait Tool: Send + Sync + 'static {
    /// What it wants to know.
    type Args: DeserializeOwned + JsonSchema + Send;
    /// What it answers.
    type Output: Serialize;

    /// What is known of it before it is called.
    fn describe(&self) -> ToolSpec;

    /// Does it. The arguments fit the schema, and every hook has agreed.
    ///
    /// The future is dropped when its time is over; when nobody waits for the answer any more it has half a second to end
    /// by itself ([`ToolContext::cancelled`]).
    fn call(
        &self,
        args: Self::Args,
        cx: ToolContext,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;

    /// Finds out what became of a call, for tools whose policy is [`Queryable`](mesh_store::CallPolicy::Queryable). By
    /// default it is not known.
    fn probe(&self, call: CallId) -> impl Future<Output = Result<Probe<Self::Output>, ToolError>> + Send {
        let _ = call;
        async { Ok(Probe::Unknown) }
    }
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe<T> {
    /// It was done, with this answer.
    Done(T),
    /// It had no effect, and will have none unless it is made again.
    NotDone,
    /// The tool cannot tell.
    Unknown,
}

/// What a tool knows of the call that it works on.
#[derive(Debug, Clone)]
pub struct ToolContext {
    pub(super) call: CallId,
    pub(super) deadline: Instant,
    pub(super) cancel: Cancel,
}

impl ToolContext {
    /// What tells the call from all others. Of one that is made again it is the same: the key for those who know such keys.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// When its time is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits until the answer is of no use any more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// The signal that is set then: give it to every ask that the call leads to.
    #[must_use]
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

/// A tool whose types nobody knows: any [`Tool`], or one that has its schema from elsewhere.
pub trait AnyTool: Send + Sync + 'static {
    /// What is known of it.
    fn describe(&self) -> ToolSpec;

    /// The JSON Schema of its arguments.
    fn schema(&self) -> Value;

    /// As [`Tool::call`], with arguments that fit the schema.
    fn call(&self, args: Value, cx: ToolContext) -> BoxFuture<'_, Result<Value, ToolError>>;

    /// As [`Tool::probe`].
    fn probe(&self, call: CallId) -> BoxFuture<'_, Result<Probe<Value>, ToolError>>;
}

impl fmt::Debug for dyn AnyTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyTool").field(&self.describe().name).finish()
    }
}

/// A typed tool, seen without its types.
pub(super) struct Typed<T>(pub(super) T);

impl<T: Tool> AnyTool for Typed<T> {
    fn describe(&self) -> ToolSpec {
        self.0.describe()
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(T::Args).to_value()
    }

    fn call(&self, args: Value, cx: ToolContext) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            // What a schema cannot say is found here.
            let args = serde_json::from_value(args)
                .map_err(|error| ToolError::refused("BAD_ARGUMENTS", error.to_string()))?;
            written(&self.0.call(args, cx).await?)
        })
    }

    fn probe(&self, call: CallId) -> BoxFuture<'_, Result<Probe<Value>, ToolError>> {
        Box::pin(async move {
            Ok(match self.0.probe(call).await? {
                Probe::Done(output) => Probe::Done(written(&output)?),
                Probe::NotDone => Probe::NotDone,
                Probe::Unknown => Probe::Unknown,
            })
        })
    }
}

fn written<T: Serialize>(output: &T) -> Result<Value, ToolError> {
    let bad = |error: serde_json::Error| ToolError {
        may_have_run: true,
        ..ToolError::refused("BAD_OUTPUT", format!("what the tool answered is no JSON: {error}"))
    };
    serde_json::to_value(output).map_err(bad)
}
