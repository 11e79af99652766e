//! What agents ask of people, and the answers.
//!
//! An answer counts as that of the client whose certificate the gateway has, and binds to the hash of the action that was
//! seen, as by meshctl.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::{Path, Query, State};
use mesh_agents::approvals::{
    AnswerApproval, AnswerTaken, ApprovalDetail, Approvals, ListApprovals, ShowApproval, Word,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::api::{Api, AtNode, Gathered};
use super::refusal::Answer;

pub(super) const ACTOR: &str = "approvals";

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route(
            "/approvals",
            get_with(list, |op| op.summary("What waits for people's approval").tag("approvals")),
        )
        .api_route(
            "/approvals/{node}/{id}",
            get_with(show, |op| op.summary("All that is known of a request").tag("approvals")),
        )
        .api_route(
            "/approvals/{node}/{id}/answer",
            post_with(answer, |op| op.summary("Answer a request").tag("approvals")),
        )
}

/// Which requests are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// Only those of this node.
    node: Option<String>,
    /// Not only what waits, but the latest of all.
    #[serde(default)]
    all: bool,
}

/// One request.
#[derive(Debug, Deserialize, JsonSchema)]
struct Which {
    /// The node that keeps it.
    node: String,
    /// Its id.
    id: String,
}

/// A person's answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Answered {
    /// The hash of the action that was seen. If it is another by now, the answer does not count.
    hash: String,
    /// What is said.
    verdict: Word,
    /// With `edit`: the arguments that may be used instead.
    args: Option<Value>,
    /// What is added.
    #[serde(default)]
    note: String,
}

async fn list(State(api): State<Api>, Query(wanted): Query<Wanted>) -> Answer<Gathered<AtNode<Approvals>>> {
    let message = ListApprovals { all: wanted.all };
    Ok(Json(api.gather(wanted.node.as_deref(), ACTOR, &message).await?))
}

async fn show(State(api): State<Api>, Path(Which { node, id }): Path<Which>) -> Answer<ApprovalDetail> {
    Ok(Json(api.ask(&format!("{node}/{ACTOR}"), &ShowApproval { id }).await?))
}

async fn answer(
    State(api): State<Api>,
    Path(Which { node, id }): Path<Which>,
    Json(given): Json<Answered>,
) -> Answer<AnswerTaken> {
    let Answered { hash, verdict, args, note } = given;
    let answer = AnswerApproval { id, hash, verdict, args: args.map(|args| args.to_string()), note };
    Ok(Json(api.ask(&format!("{node}/{ACTOR}"), &answer).await?))
}
