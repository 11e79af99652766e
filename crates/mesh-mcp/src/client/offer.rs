//! The tools of a server that are on the mesh now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh::{ActorRef, Mesh};
use mesh_agents::tools::{HookedTool, ToolActor};
use rmcp::RoleClient;
use rmcp::model::{PaginatedRequestParams, Tool};
use rmcp::service::Peer;
use tokio::time::timeout;

use super::line::Line;
use super::message::OfferedTool;
use super::server::Dress;
use super::spec::ServerSpec;
use super::tool::RemoteTool;

/// Tools of one server.
const TOOLS_MAX: usize = 256;

/// Pages of one list.
const PAGES_MAX: usize = 32;

/// Of the schema of one tool: a model reads it each time.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// For a tool's actor to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The tools of a server, by their names on the mesh.
#[derive(Default)]
pub(super) struct Offer {
    tools: BTreeMap<String, Offered>,
}

struct Offered {
    tool: Tool,
    actor: ActorRef<ToolActor>,
}

/// Whose tools they are, and how they are offered.
pub(super) struct Offering<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) spec: &'a ServerSpec,
    pub(super) dress: &'a Dress,
    pub(super) line: &'a Arc<Line>,
}

/// All tools of a server, page by page.
pub(super) async fn list(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, String> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = PaginatedRequestParams::default().with_cursor(cursor);
        let listed =
            peer.list_tools(Some(page)).await.map_err(|error| super::connection::innermost(&error))?;
        tools.extend(listed.tools);
        cursor = listed.next_cursor;
        if cursor.is_none() || tools.len() >= TOOLS_MAX {
            break;
        }
    }
    tools.truncate(TOOLS_MAX);
    Ok(tools)
}

impl Offer {
    /// Offers these tools, and no others: what is new is published, what has changed is published anew, what is gone ends.
    pub(super) async fn renew(&mut self, of: &Offering<'_>, tools: Vec<Tool>) {
        let mut wanted: BTreeMap<String, Tool> = BTreeMap::new();
        for tool in tools {
            wanted.entry(super::tool_name(&of.spec.name, &tool.name)).or_insert(tool);
        }
        let is_same = |name: &String, offered: &Offered| wanted.get(name) == Some(&offered.tool);
        let gone: Vec<String> = self
            .tools
            .iter()
            .filter(|(name, offered)| !is_same(name, offered))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.withdraw(&name).await;
        }
        for (name, tool) in wanted {
            if self.tools.contains_key(&name) {
                continue;
            }
            match publish(of, &tool) {
                Ok(actor) => drop(self.tools.insert(name, Offered { tool, actor })),
                Err(reason) => {
                    tracing::warn!(server = of.spec.name, tool = %tool.name, reason, "tool of an MCP server is not offered");
                }
            }
        }
        let offered = self
            .tools
            .iter()
            .map(|(name, offered)| OfferedTool { tool: offered.tool.name.to_string(), name: name.clone() });
        let offered = offered.collect();
        of.line.note(|state| state.tools = offered);
    }

    /// Ends all of them.
    pub(super) async fn end(&mut self) {
        while let Some(name) = self.tools.keys().next().cloned() {
            self.withdraw(&name).await;
        }
    }

    async fn withdraw(&mut self, name: &str) {
        let Some(offered) = self.tools.remove(name) else { return };
        offered.actor.stop();
        if timeout(STOP_MAX, offered.actor.stopped()).await.is_err() {
            offered.actor.kill();
        }
    }
}

fn publish(of: &Offering<'_>, tool: &Tool) -> Result<ActorRef<ToolActor>, String> {
    let bytes = tool.schema_as_json_value().to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(format!("its schema has {bytes} bytes, at most {SCHEMA_BYTES_MAX} are taken"));
    }
    let remote = RemoteTool::new(of.spec, tool.clone(), Arc::clone(of.line));
    let hooked = HookedTool::of_any(Box::new(remote)).map_err(|error| error.to_string())?;
    ToolActor::publish(of.mesh, Arc::new((of.dress)(hooked))).map_err(|error| error.to_string())
}
