//! `mcp`: the mesh as an MCP server, for the program that started this one.

use clap::Args;
use mesh_mcp::server::{MeshServer, serve_stdio};
use mesh_proto::ActorPath;

use super::connection::Connection;
use super::error::{CtlError, Document};

/// Which agents to offer beside all tools.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// An agent to offer beside all tools, as NODE/NAME or by its published name; may be repeated
    #[arg(long, value_name = "PATH")]
    pub agent: Vec<ActorPath>,
}

/// Serves until stdin is closed. Whoever calls may do what this client may.
pub(super) async fn serve(mesh: &Connection, args: &McpArgs) -> Result<(), CtlError> {
    let server = MeshServer::new(mesh.mesh().clone(), args.agent.iter().map(ToString::to_string));
    let served = serve_stdio(server, tokio::io::stdin(), tokio::io::stdout()).await;
    served.map_err(|error| Document::own("MCP_ERROR", format!("stdin does not speak MCP: {error}")).into())
}
