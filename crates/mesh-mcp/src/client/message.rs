//! What one asks the actor of a server, and what it says.

use mesh::{Message, Verb, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks how the connection to an MCP server is: `mcp.describe.v1`, to `NODE/mcp/NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeMcpServer {}

impl Message for DescribeMcpServer {
    type Reply = McpServerState;
}

impl WireMessage for DescribeMcpServer {
    const KIND: &'static str = "mcp.describe.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

/// How the connection to an MCP server is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServerState {
    /// Its name on the node.
    pub name: String,
    /// Whether there is a connection.
    pub is_connected: bool,
    /// What it calls itself; empty before the first connection.
    pub server: String,
    /// The version of the protocol that was agreed on.
    pub protocol: String,
    /// Its process, where it is one of this node's and runs.
    pub pid: Option<u32>,
    /// Connections that were made, this one included.
    pub connections: u64,
    /// Why there is none, or why the last one ended.
    pub reason: String,
    /// Its tools, as they are offered.
    pub tools: Vec<OfferedTool>,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedTool {
    /// What the server calls it.
    pub tool: String,
    /// What it is called on the mesh.
    pub name: String,
}
