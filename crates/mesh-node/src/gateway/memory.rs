//! What agents remember.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use axum::extract::{Path, Query, State};
use mesh_agents::memory::{RecallMemories, RecalledMemories};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::Api;
use super::refusal::Answer;

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new().api_route(
        "/memory/{node}/{*scope}",
        get_with(recall, |op| {
            op.summary("What a scope remembers about a question, the best first").tag("memory")
        }),
    )
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

async fn recall(
    State(api): State<Api>,
    Path(Scope { node, scope }): Path<Scope>,
    Query(Question { query, limit }): Query<Question>,
) -> Answer<RecalledMemories> {
    let message = RecallMemories { query, limit, ..RecallMemories::default() };
    Ok(Json(api.ask(&format!("{node}/memory/{scope}"), &message).await?))
}
