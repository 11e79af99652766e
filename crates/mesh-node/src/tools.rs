//! The tools of a node: the built-in ones that its settings want, and those that its binary brings.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mesh::Mesh;
use mesh_agents::approvals::{Gate, Policed};
use mesh_agents::tools::builtin::{Fetch, FetchLimits, Jail, ListFiles, ReadFile, WriteFile};
use mesh_agents::tools::{HookedTool, Tool, ToolActor, ToolSet};

use crate::config::{ApprovalSettings, NodeSettings, ToolSettings};
use crate::error::NodeError;

/// Publishes the tools that the settings name, and the binary's own.
pub(crate) async fn publish(
    settings: &NodeSettings,
    own: Vec<HookedTool>,
    gate: Option<&Gate>,
    mesh: &Mesh,
) -> Result<(), NodeError> {
    let mut tools = ToolSet::default();
    for tool in offered(&settings.tools).await?.into_iter().chain(own) {
        tools = tools.with(match gate {
            Some(gate) => policed(tool, &settings.approvals, gate),
            None => tool,
        });
    }
    tools.publish(mesh)?;
    for tool in tools.iter() {
        tracing::info!(tool = tool.spec().name, "tool is offered");
    }
    Ok(())
}

/// Behind a tool's own hooks, so that people are asked about what would be done.
pub(crate) fn policed(tool: HookedTool, approvals: &ApprovalSettings, gate: &Gate) -> HookedTool {
    let policies = Policed::new(approvals.policies(), gate.clone());
    tool.hook(Arc::new(policies)).approver(Arc::new(gate.clone()))
}

async fn offered(settings: &ToolSettings) -> Result<Vec<HookedTool>, NodeError> {
    let mut tools = Vec::new();
    if settings.offers("read_file") {
        tools.push(hooked("read_file", ReadFile(jail(settings)?))?);
    }
    if settings.offers("write_file") {
        tools.push(hooked("write_file", WriteFile(jail(settings)?))?);
    }
    if settings.offers("list_files") {
        tools.push(hooked("list_files", ListFiles(jail(settings)?))?);
    }
    if settings.offers("http_fetch") {
        let fetch = Fetch::new(FetchLimits::default()).allow(settings.fetch_hosts.iter().cloned());
        tools.push(hooked("http_fetch", fetch)?);
    }
    if settings.offers("run_command") {
        tools.push(command(settings).await?);
    }
    Ok(tools)
}

fn jail(settings: &ToolSettings) -> Result<Jail, NodeError> {
    let folder = folder(settings);
    Jail::open(folder).map_err(|error| refused("files", folder_reason(folder, &error)))
}

fn folder(settings: &ToolSettings) -> &Path {
    settings.folder.as_deref().unwrap_or(Path::new("."))
}

fn folder_reason(folder: &Path, error: &io::Error) -> String {
    format!("{}: {error}", folder.display())
}

#[cfg(target_os = "linux")]
async fn command(settings: &ToolSettings) -> Result<HookedTool, NodeError> {
    use mesh_agents::tools::builtin::{CommandLimits, Commands};

    let opened = Commands::open(folder(settings), &settings.commands, CommandLimits::default()).await;
    let commands = opened.map_err(|error| refused("run_command", error.to_string()))?;
    tracing::info!(in_force = ?commands.in_force(), "commands are confined");
    hooked("run_command", commands)
}

#[cfg(not(target_os = "linux"))]
async fn command(_: &ToolSettings) -> Result<HookedTool, NodeError> {
    Err(refused("run_command", "commands can be confined on Linux alone".to_owned()))
}

fn hooked(name: &str, tool: impl Tool) -> Result<HookedTool, NodeError> {
    HookedTool::new(tool).map_err(|error| refused(name, error.to_string()))
}

fn refused(tool: &str, reason: String) -> NodeError {
    NodeError::Actor { name: ToolActor::name(tool), reason }
}
