//! One tool of a server.

use std::sync::Arc;

use futures::future::BoxFuture;
use mesh::Retry;
use mesh_agents::tools::{Annotations, AnyTool, CallId, Probe, ToolContext, ToolError, ToolSpec};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ErrorCode, ProgressToken,
    RequestId, ServerResult,
};
use rmcp::service::{PeerRequestOptions, ServiceError};
use serde_json::Value;

use super::answer;
use super::line::{Line, Wire};
use super::name::tool_name;
use super::spec::ServerSpec;

/// Of what a server says about a tool; a model reads it each time.
const DESCRIPTION_BYTES_MAX: usize = 4 << 10;

/// Of a message of the server's in an error.
const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// A tool of a server, called over whichever connection there is.
pub(super) struct RemoteTool {
    tool: rmcp::model::Tool,
    spec: ToolSpec,
    line: Arc<Line>,
}

impl RemoteTool {
    pub(super) fn new(server: &ServerSpec, tool: rmcp::model::Tool, line: Arc<Line>) -> Self {
        let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
        let spec = ToolSpec::new(
            tool_name(&server.name, &tool.name),
            crate::cut(description, DESCRIPTION_BYTES_MAX).0,
        );
        let spec = spec.annotations(annotations(&tool, server.trusts_hints));
        let spec = spec.timeout(server.timeout).concurrency(server.concurrency);
        Self { tool, spec, line }
    }

    async fn ask(&self, args: Value, cx: ToolContext) -> Result<Value, ToolError> {
        let _running = self.line.call();
        let wire = tokio::select! {
            wire = self.line.wire(cx.deadline()) => wire?,
            () = cx.cancelled() => return Err(ToolError::refused("CANCELLED", "nobody waits for it any more")),
        };
        let Value::Object(arguments) = args else {
            return Err(ToolError::refused("BAD_ARGUMENTS", "MCP takes an object of arguments alone"));
        };
        let params = CallToolRequestParams::new(self.tool.name.clone()).with_arguments(arguments);
        let request = CallToolRequest::new(params);
        let sent = wire.peer.send_cancellable_request(
            ClientRequest::CallToolRequest(request),
            PeerRequestOptions::no_options(),
        );
        let mut asked = sent.await.map_err(|error| lost(&wire, &error, false))?;
        wire.progress.expect(asked.progress_token.clone(), &self.spec.name, cx.call().to_string());
        let mut waits =
            Waits { wire: &wire, id: Some(asked.id.clone()), token: asked.progress_token.clone() };
        let said = tokio::select! {
            biased;
            said = &mut asked.rx => said,
            // What is withdrawn, or late, tells the server so when it is dropped.
            () = cx.cancelled() => return Err(ToolError::unsure("CANCELLED", "it was withdrawn")),
        };
        waits.id = None;
        match said.unwrap_or(Err(ServiceError::TransportClosed)) {
            Ok(result) => answer::of(result_of(result)?),
            Err(error) => Err(lost(&wire, &error, true)),
        }
    }
}

/// A request that is waited for. Dropped before its answer has come, it is withdrawn at the server.
struct Waits<'a> {
    wire: &'a Wire,
    id: Option<RequestId>,
    token: ProgressToken,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.wire.progress.forget(&self.token);
        if let Some(id) = self.id.take() {
            // With so many withdrawn at once the server is not listening anyway.
            let _ = self.wire.withdrawn.try_send(id);
        }
    }
}

/// What a server says of its tool. Unless it is believed, the worst is taken: what it says can only be stricter.
fn annotations(tool: &rmcp::model::Tool, trusts_hints: bool) -> Annotations {
    let worst = Annotations { read_only: false, destructive: true, idempotent: false, open_world: true };
    let Some(hints) = tool.annotations.as_ref().filter(|_| trusts_hints) else { return worst };
    let read_only = hints.read_only_hint.unwrap_or(false);
    Annotations {
        read_only,
        destructive: !read_only && hints.destructive_hint.unwrap_or(true),
        idempotent: hints.idempotent_hint.unwrap_or(false),
        open_world: hints.open_world_hint.unwrap_or(true),
    }
}

fn result_of(result: ServerResult) -> Result<CallToolResult, ToolError> {
    match result {
        ServerResult::CallToolResult(result) => Ok(result),
        // What has no content looks like this.
        ServerResult::EmptyResult(_) => Ok(CallToolResult::success(Vec::new())),
        ServerResult::InputRequiredResult(_) => {
            Err(other("MCP_NEEDS_INPUT", "it wants to ask somebody something"))
        }
        _ => Err(other("MCP_ERROR", "the server answered with something else than a tool's result")),
    }
}

fn other(code: &str, message: &str) -> ToolError {
    ToolError { code: code.to_owned(), ..ToolError::failed(message) }
}

/// Why there is no answer.
fn lost(wire: &Wire, error: &ServiceError, was_sent: bool) -> ToolError {
    match error {
        ServiceError::McpError(error) if error.code == ErrorCode::INVALID_PARAMS => {
            other("MCP_ERROR", &format!("the server refused the arguments: {}", short(&error.message)))
        }
        ServiceError::McpError(error) => {
            other("MCP_ERROR", &format!("the server says {}: {}", error.code.0, short(&error.message)))
        }
        error => {
            wire.suspect.notify_one();
            let message = format!("the connection was lost: {}", short(&error.to_string()));
            let made = if was_sent { ToolError::unsure } else { ToolError::refused };
            made("MCP_LOST", message).retry(Retry::Backoff)
        }
    }
}

fn short(text: &str) -> &str {
    crate::cut(text, MESSAGE_BYTES_MAX).0
}

impl AnyTool for RemoteTool {
    fn describe(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn schema(&self) -> Value {
        self.tool.schema_as_json_value()
    }

    fn call(&self, args: Value, cx: ToolContext) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(self.ask(args, cx))
    }

    fn probe(&self, _: CallId) -> BoxFuture<'_, Result<Probe<Value>, ToolError>> {
        // The protocol has no question for it.
        Box::pin(std::future::ready(Ok(Probe::Unknown)))
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{Tool, ToolAnnotations};

    use super::*;

    #[test]
    fn a_server_s_word_makes_nothing_easier_unless_its_operator_vouches_for_it() {
        let hints =
            ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false);
        let tool = Tool::new("delete_all", "Harmless.", serde_json::Map::new()).with_annotations(hints);
        let doubted =
            RemoteTool::new(&ServerSpec::command("a", ["b"]), tool.clone(), Arc::new(Line::new("a")));
        let spec = doubted.describe();
        assert_eq!(
            spec.annotations,
            Annotations { read_only: false, destructive: true, idempotent: false, open_world: true }
        );
        // A call in doubt is for people to decide.
        assert_eq!(spec.policy, ToolSpec::new("a", "").policy);
        let server = ServerSpec { trusts_hints: true, ..ServerSpec::command("a", ["b"]) };
        let believed = RemoteTool::new(&server, tool, Arc::new(Line::new("a"))).describe();
        assert_eq!(
            believed.annotations,
            Annotations { read_only: true, destructive: false, idempotent: true, open_world: false }
        );
        assert_ne!(believed.policy, spec.policy);
    }
}
