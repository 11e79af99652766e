//! The built-in tools of a node, as its settings want them.

use std::io;
use std::path::Path;

use mesh::Mesh;
use mesh_agents::tools::builtin::{Fetch, FetchLimits, Jail, ListFiles, ReadFile, WriteFile};
use mesh_agents::tools::{HookedTool, Tool, ToolActor, ToolSet};

use crate::config::ToolSettings;
use crate::error::NodeError;

/// Publishes the tools that the settings name.
pub(crate) async fn publish(settings: &ToolSettings, mesh: &Mesh) -> Result<(), NodeError> {
    let mut tools = ToolSet::default();
    if settings.offers("read_file") {
        tools = tools.with(hooked("read_file", ReadFile(jail(settings)?))?);
    }
    if settings.offers("write_file") {
        tools = tools.with(hooked("write_file", WriteFile(jail(settings)?))?);
    }
    if settings.offers("list_files") {
        tools = tools.with(hooked("list_files", ListFiles(jail(settings)?))?);
    }
    if settings.offers("http_fetch") {
        let fetch = Fetch::new(FetchLimits::default()).allow(settings.fetch_hosts.iter().cloned());
        tools = tools.with(hooked("http_fetch", fetch)?);
    }
    if settings.offers("run_command") {
        tools = tools.with(command(settings).await?);
    }
    tools.publish(mesh)?;
    for tool in tools.iter() {
        tracing::info!(tool = tool.spec().name, "tool is offered");
    }
    Ok(())
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
