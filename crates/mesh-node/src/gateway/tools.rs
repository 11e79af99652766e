//! The tools that nodes offer.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::{Path, State};
use mesh_agents::tools::{Call, ToolAnswer, ToolBox, ToolDescription};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::api::{Api, timeout};
use super::refusal::Answer;

const CALL_MS: u64 = 60_000;

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/tools", get_with(list, |op| op.summary("The tools of the mesh").tag("tools")))
        .api_route(
            "/tools/{tool}",
            post_with(call, |op| op.summary("Call a tool, wherever it is").tag("tools")),
        )
}

/// The tools of the mesh.
#[derive(Debug, Serialize, JsonSchema)]
struct Tools {
    tools: Vec<Offered>,
}

/// A tool, and where it is.
#[derive(Debug, Serialize, JsonSchema)]
struct Offered {
    /// Its actor.
    path: String,
    /// Its node.
    node: String,
    #[serde(flatten)]
    tool: ToolDescription,
}

/// One tool.
#[derive(Debug, Deserialize, JsonSchema)]
struct Which {
    /// Its name.
    tool: String,
}

/// A call of a tool.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Called {
    /// Its arguments, as its schema says.
    #[serde(default)]
    args: Value,
    /// How long it may take, with everything: 1 to 3,600,000; 60,000 by default.
    timeout_ms: Option<u64>,
}

async fn list(State(api): State<Api>) -> Answer<Tools> {
    let found = ToolBox::new(api.mesh().clone()).list().await?;
    let offered =
        found.into_iter().map(|tool| Offered { path: tool.path, node: tool.node, tool: tool.description });
    Ok(Json(Tools { tools: offered.collect() }))
}

async fn call(
    State(api): State<Api>,
    Path(Which { tool }): Path<Which>,
    Json(called): Json<Called>,
) -> Answer<ToolAnswer> {
    let timeout = timeout(called.timeout_ms, CALL_MS)?;
    let args = if called.args.is_null() { Value::Object(serde_json::Map::new()) } else { called.args };
    let call = Call::new(tool, args).deadline(Some(Instant::now() + timeout));
    Ok(Json(ToolBox::new(api.mesh().clone()).call_tool(call).await?))
}
