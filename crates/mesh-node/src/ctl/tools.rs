//! `tools`: what the nodes of the mesh offer, and calls of it.

use std::time::Duration;

use clap::Subcommand;
use mesh_agents::tools::{Call, FoundTool, ToolDescription, ToolError};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args;
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::message::print_reply;
use super::output::Output;
use super::table::{Cell, Paint, table};

/// What can be done with tools.
#[derive(Debug, Subcommand)]
pub enum ToolsCommand {
    /// The tools of the mesh; with --json, their schemas too
    List,
    /// Call a tool, wherever it is, and print what it answers
    Call {
        /// The tool
        name: String,
        /// Its arguments
        #[arg(value_name = "JSON", default_value = "{}", value_parser = args::json)]
        args: String,
        /// How long it may take, with everything
        #[arg(long, value_name = "TIME", default_value = "1min", value_parser = args::timeout)]
        timeout: Duration,
    },
}

pub(super) async fn run(
    mesh: &Connection,
    command: &ToolsCommand,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match command {
        ToolsCommand::List => list(mesh, output).await,
        ToolsCommand::Call { name, args, timeout } => {
            let args: Value =
                serde_json::from_str(args).map_err(|error| CtlError::Usage(error.to_string()))?;
            let call = Call::new(name, args).deadline(Some(Instant::now() + *timeout));
            let answer = mesh.tools().call_tool(call).await.map_err(refused)?;
            print_reply(&answer.output, output)
        }
    }
}

async fn list(mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
    let found = mesh.tools().list().await.map_err(refused)?;
    if output.is_json {
        return Ok(output.document(&found.iter().map(row).collect::<Vec<_>>())?);
    }
    Ok(output.text(&tool_table(&found, output.paint))?)
}

fn row(FoundTool { path, node, description: tool }: &FoundTool) -> Value {
    let schema: Value = serde_json::from_str(&tool.schema).unwrap_or_default();
    json!({
        "name": tool.name, "node": node, "path": path, "description": tool.description, "schema": schema,
        "annotations": {
            "read_only": tool.read_only, "destructive": tool.destructive, "idempotent": tool.idempotent,
            "open_world": tool.open_world,
        },
        "timeout_ms": tool.timeout_ms, "concurrency": tool.concurrency, "policy": tool.policy,
    })
}

fn tool_table(found: &[FoundTool], paint: Paint) -> String {
    let columns = [("NAME", false), ("NODE", false), ("HINTS", false), ("DESCRIPTION", false)];
    let row = |found: &FoundTool| {
        let tool = &found.description;
        [
            Cell::plain(&tool.name),
            Cell::plain(&found.node),
            Cell::plain(&hints(tool)),
            Cell::plain(&tool.description),
        ]
    };
    table(columns, &found.iter().map(row).collect::<Vec<_>>(), paint)
}

fn hints(tool: &ToolDescription) -> String {
    let hints = [
        ("read-only", tool.read_only),
        ("destructive", tool.destructive),
        ("idempotent", tool.idempotent),
        ("open-world", tool.open_world),
    ];
    let given: Vec<_> = hints.into_iter().filter(|(_, is_given)| *is_given).map(|(hint, _)| hint).collect();
    given.join(" ")
}

fn refused(error: ToolError) -> CtlError {
    Document::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_a_table_for_people() {
        let found = |name: &str, read_only| FoundTool {
            path: format!("alpha/tools/{name}"),
            node: "alpha".to_owned(),
            description: ToolDescription {
                name: name.to_owned(),
                description: "Does it.".to_owned(),
                schema: "{}".to_owned(),
                read_only,
                destructive: !read_only,
                idempotent: true,
                open_world: false,
                timeout_ms: 30_000,
                concurrency: 4,
                policy: "idempotent".to_owned(),
            },
        };
        let found = [found("read_file", true), found("write_file", false)];
        insta::assert_snapshot!(tool_table(&found, Paint(false)), @r"
        NAME        NODE   HINTS                   DESCRIPTION
        read_file   alpha  read-only idempotent    Does it.
        write_file  alpha  destructive idempotent  Does it.
        ");
        assert_eq!(row(&found[0])["annotations"]["read_only"], true);
    }
}
