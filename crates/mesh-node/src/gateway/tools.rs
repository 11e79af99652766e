//! The tools that nodes offer, and what agents remember.

use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::{Path, Query, State};
use mesh_agents::memory::{RecallMemories, RecalledMemories};
use mesh_agents::tools::{Call, ToolAnswer, ToolBox, ToolDescription};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::api::Api;
use super::refusal::{Answer, Refusal};

const CALL_MS: u64 = 60_000;
const CALL_MS_MAX: u64 = 3_600_000;

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/tools", get_with(list, |op| op.summary("The tools of the mesh").tag("tools")))
        .api_route(
            "/tools/{tool}",
            post_with(call, |op| op.summary("Call a tool, wherever it is").tag("tools")),
        )
        .api_route(
            "/memory/{node}/{*scope}",
            get_with(recall, |op| {
                op.summary("What a scope remembers about a question, the best first").tag("memory")
            }),
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

/// Whose memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct Scope {
    /// The node that keeps it.
    node: String,
    /// TENANT, TENANT/AGENT or TENANT/AGENT/RUN.
    scope: String,
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
struct Question {
    /// In words.
    query: String,
    /// How many memories at most; 5 by default, 1 to 100.
    limit: Option<u32>,
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
    let ms = called.timeout_ms.unwrap_or(CALL_MS);
    if ms == 0 || ms > CALL_MS_MAX {
        return Err(Refusal::bad_request(format!("timeout_ms: {ms} is not within 1 and {CALL_MS_MAX}")));
    }
    let args = if called.args.is_null() { Value::Object(serde_json::Map::new()) } else { called.args };
    let call = Call::new(tool, args).deadline(Some(Instant::now() + Duration::from_millis(ms)));
    Ok(Json(ToolBox::new(api.mesh().clone()).call_tool(call).await?))
}

async fn recall(
    State(api): State<Api>,
    Path(Scope { node, scope }): Path<Scope>,
    Query(Question { query, limit }): Query<Question>,
) -> Answer<RecalledMemories> {
    let message = RecallMemories { query, limit, ..RecallMemories::default() };
    Ok(Json(api.ask(&format!("{node}/memory/{scope}"), &message).await?))
}
