//! MCP servers of a node, and the node as one.

mod door;

use std::fs;
use std::sync::Arc;

use mesh::Mesh;
use mesh_agents::approvals::Gate;
use mesh_agents::tools::HookedTool;
use mesh_mcp::client::{Dress, McpServer, Secret, Transport};

pub(crate) use self::door::{Door, House};
use crate::config::NodeSettings;
use crate::error::NodeError;
use crate::tools::policed;

/// Begins to connect to each server that the settings name. Whether they are there is not waited for.
/// People are asked about their tools as about the node's own.
pub(crate) fn connect(settings: &NodeSettings, gate: Option<&Gate>, mesh: &Mesh) -> Result<(), NodeError> {
    let (approvals, gate) = (settings.approvals.clone(), gate.cloned());
    let dress: Dress = Arc::new(move |tool: HookedTool| match &gate {
        Some(gate) => policed(tool, &approvals, gate),
        None => tool,
    });
    for settings in &settings.mcp {
        let refused = |reason: String| NodeError::Actor { name: McpServer::name(&settings.name), reason };
        let mut spec = settings.spec();
        match &mut spec.transport {
            Transport::Command { env, .. } => {
                // What is not set here is not set there.
                let given =
                    settings.env.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
                env.extend(given.map(|(name, value)| (name, Secret::new(value))));
            }
            Transport::Http { headers, .. } => {
                for (name, place) in &settings.headers {
                    let value =
                        read(place).map_err(|reason| refused(format!("the header {name}: {reason}")))?;
                    headers.insert(name.clone(), Secret::new(value));
                }
            }
            other => return Err(refused(format!("this node cannot have it: {other:?}"))),
        }
        spec.check().map_err(|error| refused(error.to_string()))?;
        McpServer::publish(mesh, spec, Arc::clone(&dress)).map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

/// What `env:NAME` or `file:PATH` means. No error repeats it.
fn read(place: &str) -> Result<String, String> {
    let value = match place.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| format!("the environment has no text {name}"))?
        }
        Some(("file", path)) => fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        _ => return Err("\"env:NAME\" or \"file:PATH\" is wanted".to_owned()),
    };
    Ok(value.trim().to_owned())
}
