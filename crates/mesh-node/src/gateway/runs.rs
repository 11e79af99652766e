//! The runs of durable agents.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::{Path, Query, State};
use mesh_agents::durable::{
    CancelRun, ListRuns, PauseRun, ResumeRun, RunList, RunRow, RunShown, RunsActor, ShowRun, StartRun,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, AtNode, Gathered};
use super::refusal::{Answer, Refusal};

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route(
            "/runs",
            get_with(list, |op| op.summary("The runs of a node, or of all nodes").tag("runs")),
        )
        .api_route(
            "/runs/{node}",
            post_with(start, |op| op.summary("Start a run of a durable agent on a node").tag("runs")),
        )
        .api_route(
            "/runs/{node}/{run}",
            get_with(show, |op| op.summary("A run with its steps, calls and checkpoints").tag("runs")),
        )
        .api_route(
            "/runs/{node}/{run}/{order}",
            post_with(order, |op| op.summary("Pause, resume or cancel a run").tag("runs")),
        )
}

/// Which runs are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// Only those of this node; nodes that share a store have the same.
    node: Option<String>,
    /// Only those that stand here, as `paused`.
    status: Option<String>,
    /// Only those of this kind of agent.
    agent: Option<String>,
    /// Only those that have this tag.
    tag: Option<String>,
    /// Only those behind this one.
    after: Option<String>,
    /// How many of each node at most: 100 by default, 1,000 at most.
    #[serde(default)]
    limit: u32,
}

/// A node.
#[derive(Debug, Deserialize, JsonSchema)]
struct On {
    /// The node.
    node: String,
}

/// One run.
#[derive(Debug, Deserialize, JsonSchema)]
struct Which {
    /// A node that has its store.
    node: String,
    /// Its id.
    run: String,
}

/// What is to be done with a run.
#[derive(Debug, Deserialize, JsonSchema)]
struct Ordered {
    /// A node that has its store.
    node: String,
    /// Its id.
    run: String,
    order: Order,
}

/// What can be done with a run.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Hold after the step at which it is.
    Pause,
    /// Take it up where it was left.
    Resume,
    /// End it.
    Cancel,
}

async fn list(State(api): State<Api>, Query(wanted): Query<Wanted>) -> Answer<Gathered<AtNode<RunList>>> {
    let Wanted { node, status, agent, tag, after, limit } = wanted;
    let message = ListRuns { run: None, status, agent, tag, after, limit };
    Ok(Json(look(&api, node.as_deref(), &message).await?))
}

pub(super) async fn look(
    api: &Api,
    node: Option<&str>,
    message: &ListRuns,
) -> Result<Gathered<AtNode<RunList>>, Refusal> {
    api.gather(node, RunsActor::NAME, message).await
}

async fn start(
    State(api): State<Api>,
    Path(On { node }): Path<On>,
    Json(message): Json<StartRun>,
) -> Answer<RunRow> {
    Ok(Json(api.ask(&path(&node), &message).await?))
}

async fn show(State(api): State<Api>, Path(Which { node, run }): Path<Which>) -> Answer<RunShown> {
    Ok(Json(api.ask(&path(&node), &ShowRun { run, at: None }).await?))
}

async fn order(State(api): State<Api>, Path(Ordered { node, run, order }): Path<Ordered>) -> Answer<RunRow> {
    let path = path(&node);
    Ok(Json(match order {
        Order::Pause => api.ask(&path, &PauseRun { run }).await?,
        Order::Resume => api.ask(&path, &ResumeRun { run }).await?,
        Order::Cancel => api.ask(&path, &CancelRun { run }).await?,
    }))
}

fn path(node: &str) -> String {
    format!("{node}/{}", RunsActor::NAME)
}
