//! The mesh as an MCP server.
//!
//! ```text
//!  a client ── stdio ──► meshctl mcp ─┐
//!  a client ── HTTP  ──► HttpDoor ────┴─► MeshServer ──► ToolBox, agents     with the grants of the Mesh that it was given
//!                        token, Host, Origin
//! ```
//!
//! Whoever calls is no more than the client of the mesh that speaks for it: each node checks that client's certificate for each
//! message, as it does for all clients.

mod agents;
mod door;
mod progress;
mod reply;
mod stdio;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh::{Cancel, Mesh};
use mesh_agents::tools::{Call, FoundTool, ToolBox, ToolError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, JsonObject, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::agents::AgentTools;
pub use self::door::{HttpDoor, PATH};
pub use self::stdio::serve_stdio;

/// How long a call may take with all that it waits for: people's approval, too. Less than a session is kept without a word.
const CALL_MAX: Duration = Duration::from_secs(240);

/// Calls of one server that run at once. Who comes then is told to come again.
const CALLS_MAX: usize = 64;

/// What the other side's model is told of us.
const INSTRUCTIONS: &str = "Tools and agents of a mesh of nodes. A tool runs on the node that offers it; some wait for a person's \
                            approval before they run. An error says whether the call may have run.";

/// The tools of the mesh, and agents that were named, for clients of MCP. Cheap to clone.
#[derive(Clone)]
pub struct MeshServer {
    mesh: Mesh,
    tools: ToolBox,
    agents: Arc<AgentTools>,
    calls: Arc<Semaphore>,
}

impl MeshServer {
    /// Offers all tools that `mesh` reaches, and these agents, each by its path (`NODE/NAME`, or a published name). A client's
    /// mesh may do what was granted to that client; a node's own would let every caller do everything.
    #[must_use]
    pub fn new(mesh: Mesh, agents: impl IntoIterator<Item = String>) -> Self {
        let (tools, agents) = (ToolBox::new(mesh.clone()), Arc::new(AgentTools::new(agents)));
        Self { mesh, tools, agents, calls: Arc::new(Semaphore::new(CALLS_MAX)) }
    }

    async fn listed(&self) -> Result<Vec<Tool>, ToolError> {
        let mut tools: BTreeMap<String, Tool> =
            self.agents.tools().map(|tool| (tool.name.to_string(), tool)).collect();
        for found in self.tools.list().await? {
            // The same tool of several nodes is one to a caller.
            tools.entry(found.description.name.clone()).or_insert_with(|| described(&found));
        }
        Ok(tools.into_values().collect())
    }

    async fn called(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Value, ToolError> {
        let args = Value::Object(request.arguments.unwrap_or_default());
        let deadline = Instant::now() + CALL_MAX;
        let (cancel, progress) = (Cancel::new(), progress::Teller::of(context));
        let calls = async {
            if let Some(agent) = self.agents.path(&request.name) {
                return agents::ask(&self.mesh, agent, &args, deadline, &cancel, &progress).await;
            }
            let call = Call::new(request.name.as_ref(), args.clone()).deadline(Some(deadline));
            let call = call.cancel_on(cancel.clone());
            let telling = progress.follow(&self.mesh, &call);
            tokio::select! {
                answer = self.tools.call(call.clone()) => answer,
                never = telling => match never {},
            }
        };
        tokio::select! {
            answer = calls => answer,
            // Dropping the call withdraws it.
            () = context.ct.cancelled() => Err(ToolError::unsure("CANCELLED", "it was withdrawn")),
        }
    }
}

/// A tool of the mesh, in the words of MCP.
fn described(FoundTool { description: tool, .. }: &FoundTool) -> Tool {
    let schema: JsonObject = serde_json::from_str(&tool.schema).unwrap_or_default();
    let hints = ToolAnnotations::new()
        .read_only(tool.read_only)
        .destructive(tool.destructive)
        .idempotent(tool.idempotent)
        .open_world(tool.open_world);
    Tool::new(tool.name.clone(), tool.description.clone(), object(schema)).with_annotations(hints)
}

/// MCP wants a schema to say that it is an object's.
fn object(mut schema: JsonObject) -> JsonObject {
    schema.entry("type").or_insert_with(|| "object".into());
    schema
}

impl ServerHandler for MeshServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(crate::ourselves())
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let internal =
            |error: ToolError| ErrorData::internal_error(format!("{}: {}", error.code, error.message), None);
        Ok(ListToolsResult::with_all_items(self.listed().await.map_err(internal)?))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.clone();
        let answer = match self.calls.try_acquire() {
            Ok(_slot) => self.called(request, &context).await,
            Err(_full) => Err(ToolError::refused("TOO_BUSY", "as many calls run as may")),
        };
        match answer {
            Err(error) if error.code == "UNKNOWN_TOOL" => {
                let name = crate::cut(&name, 80).0;
                Err(ErrorData::invalid_params(format!("there is no tool {name:?}"), None))
            }
            answer => Ok(CallToolResponse::Complete(reply::of(answer))),
        }
    }
}

impl fmt::Debug for MeshServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshServer").field("mesh", &self.mesh).finish_non_exhaustive()
    }
}
