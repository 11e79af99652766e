//! Tools anywhere on the mesh, by their names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use mesh::{AskError, ListPublished, Mesh, Retry, WireMessage};
use mesh_store::CallPolicy;
use serde_json::Value;
use tokio::time::Instant;

use super::actor::ToolActor;
use super::call::{Call, CallId, Ended, Ending};
use super::error::ToolError;
use super::ledger::Callable;
use super::message::{CallTool, DescribeTool, ProbeTool, Probed, ToolAnswer, ToolDescription};
use super::record::{Log, Record};
use super::tool::Probe;

/// How long a call may take in all, unless it says otherwise: longer than most tools' own limit, so that those are told.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What a node or a tool knows of itself takes no time.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls tools, wherever they are: one of this node first, then those of others. Cheap to clone.
///
/// ```no_run
/// # async fn example(mesh: mesh::Mesh) -> Result<(), mesh_agents::tools::ToolError> {
/// use mesh_agents::tools::{Call, ToolBox};
///
/// let tools = ToolBox::new(mesh);
/// for found in tools.list().await? {
///     assert!(found.path.ends_with(&found.description.name));
/// }
/// let text = tools.call(Call::new("read_file", serde_json::json!({"path": "notes.txt"}))).await?;
/// # drop(text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ToolBox {
    mesh: Mesh,
    unknown: Arc<Log>,
}

/// A tool of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTool {
    /// Where it is: `NODE/tools/NAME`.
    pub path: String,
    /// Its node.
    pub node: String,
    /// What it is.
    pub description: ToolDescription,
}

impl ToolBox {
    /// The tools that this node, or client, can reach.
    #[must_use]
    pub fn new(mesh: Mesh) -> Self {
        Self { mesh, unknown: Arc::new(Log::new("")) }
    }

    /// Every tool of the mesh, in order of names, then of nodes. One whose node does not answer is left out.
    ///
    /// # Errors
    /// [`ToolError`] when no list could be had: of a client, whose node did not answer.
    pub async fn list(&self) -> Result<Vec<FoundTool>, ToolError> {
        let found = self.published(None, Some(DescribeTool::KIND)).await?;
        let described = join_all(found.into_iter().map(|(path, node)| async move {
            let description = self.ask(&path, DescribeTool {}, ASK_TIMEOUT).await;
            match description {
                Ok(description) => Some(FoundTool { path, node, description }),
                Err(error) => {
                    tracing::debug!(path, reason = %error, "tool does not say what it is");
                    None
                }
            }
        }));
        Ok(described.await.into_iter().flatten().collect())
    }

    /// What the tool of this name is, at the place that a call would go to first.
    ///
    /// # Errors
    /// [`ToolError`]: `UNKNOWN_TOOL`, or the error of the way to it.
    pub async fn describe(&self, tool: &str) -> Result<ToolDescription, ToolError> {
        let mut last = ToolError::unknown(tool);
        for path in self.places(tool).await? {
            match self.ask(&path, DescribeTool {}, ASK_TIMEOUT).await {
                Ok(description) => return Ok(description),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// Calls a tool and brings its answer.
    ///
    /// # Errors
    /// [`ToolError`]. Where it certainly did not run at one node, the next one was tried.
    ///
    /// # Cancel safety
    /// Dropped, it withdraws the call, which may have run.
    pub async fn call(&self, call: Call) -> Result<Value, ToolError> {
        let answer = self.call_tool(call).await?;
        serde_json::from_str(&answer.output)
            .map_err(|error| ToolError::failed(format!("the tool answered no JSON: {error}")))
    }

    /// As [`call`](Self::call), with all that is told of the call.
    ///
    /// # Errors
    /// As of [`call`](Self::call).
    pub async fn call_tool(&self, call: Call) -> Result<ToolAnswer, ToolError> {
        let places = self.places(&call.tool).await?;
        if places.is_empty() {
            return Err(self.record_unknown(&call));
        }
        let deadline = call.deadline.unwrap_or_else(|| Instant::now() + CALL_TIMEOUT);
        let mut last = ToolError::unknown(&call.tool);
        for path in places {
            let message =
                CallTool { tool: call.tool.clone(), args: call.args.to_string(), call: call.id.to_string() };
            let to = self.mesh.recipient::<CallTool>(&path).map_err(|error| bad_path(&error))?;
            match to.ask(message).deadline(Some(deadline)).cancel_on(call.cancel.clone()).await {
                Ok(Ok(answer)) => return Ok(answer),
                // Full here, or out of reach; elsewhere there may be room.
                Ok(Err(error)) if ["TOO_BUSY", "UNAVAILABLE"].contains(&error.code.as_str()) => last = error,
                Ok(Err(error)) => return Err(error),
                Err(error) if error.may_have_run() => return Err(error.into()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// The latest calls of tools that nobody offered: at most 256.
    #[must_use]
    pub fn unknown(&self) -> Vec<Record> {
        self.unknown.records()
    }

    fn record_unknown(&self, call: &Call) -> ToolError {
        let error = ToolError::unknown(&call.tool).retry(Retry::Backoff);
        let ended = Ended { result: Err(error.clone()), ending: Ending::Refused, elapsed: Duration::ZERO };
        self.unknown.begin(call).end(call, &ended, 0);
        error
    }

    /// Where a tool is, this node first.
    async fn places(&self, tool: &str) -> Result<Vec<String>, ToolError> {
        let here = self.mesh.node_name();
        let mut found = self.published(Some(&ToolActor::capability(tool)), None).await?;
        found.sort_by_key(|(_, node)| **node != *here);
        Ok(found.into_iter().map(|(path, _)| path).collect())
    }

    /// Published actors, as path and node. A client asks its node.
    async fn published(
        &self,
        capability: Option<&str>,
        kind: Option<&str>,
    ) -> Result<Vec<(String, String)>, ToolError> {
        if !self.mesh.members().is_empty() {
            let found = match (capability, kind) {
                (Some(capability), _) => self.mesh.list(capability),
                (None, Some(kind)) => self.mesh.list_kind(kind),
                (None, None) => Vec::new(),
            };
            return Ok(found.into_iter().map(|one| (one.path, one.node)).collect());
        }
        let list = ListPublished { capability: capability.map(str::to_owned), kind: kind.map(str::to_owned) };
        let path = format!("{}/mesh", self.mesh.node_name());
        let published = self.ask(&path, list, ASK_TIMEOUT).await?;
        Ok(published.names.into_iter().map(|row| (row.path, row.node)).collect())
    }

    async fn ask<M: WireMessage>(
        &self,
        path: &str,
        message: M,
        timeout: Duration,
    ) -> Result<M::Reply, AskError> {
        let to = self.mesh.recipient::<M>(path);
        let to = to.map_err(|error| AskError::BadPath { reason: error.to_string() })?;
        to.ask(message).timeout(timeout).await
    }
}

fn bad_path(error: &mesh::InvalidPath) -> ToolError {
    AskError::BadPath { reason: error.to_string() }.into()
}

impl Callable for ToolBox {
    fn policy<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<CallPolicy, ToolError>> {
        Box::pin(async move {
            Ok(match self.describe(tool).await?.policy.as_str() {
                "idempotent" => CallPolicy::Idempotent,
                "queryable" => CallPolicy::Queryable,
                // Of what is not known the safest is taken.
                _ => CallPolicy::Manual,
            })
        })
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(self.call(call))
    }

    fn probe<'a>(&'a self, tool: &'a str, call: CallId) -> BoxFuture<'a, Result<Probe<Value>, ToolError>> {
        Box::pin(async move {
            let mut probed = Ok(Probe::Unknown);
            // The node that made the call may be one of several, and only it may know.
            for path in self.places(tool).await? {
                let probe = ProbeTool { call: call.to_string() };
                match self
                    .ask(&path, probe, CALL_TIMEOUT)
                    .await
                    .map_err(ToolError::from)
                    .and_then(|said| said)
                {
                    Ok(Probed::Done { output }) => {
                        let bad = |error| ToolError::refused("BAD_OUTPUT", format!("no JSON: {error}"));
                        return serde_json::from_str(&output).map(Probe::Done).map_err(bad);
                    }
                    Ok(Probed::NotDone) if probed == Ok(Probe::Unknown) => probed = Ok(Probe::NotDone),
                    Ok(Probed::NotDone | Probed::Unknown) => {}
                    Err(error) => probed = Err(error),
                }
            }
            probed
        })
    }
}

impl fmt::Debug for ToolBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolBox").field("mesh", &self.mesh).finish_non_exhaustive()
    }
}
