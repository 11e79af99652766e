//! What the mesh consists of, and how it is.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use axum::extract::{Query, State};
use mesh::{
    BreakerTable, DeadLetterTable, DescribeActors, Descriptions, ListBreakers, ListDeadLetters,
    ListPlacements, ListPublished, ListTree, MemberRow, PlacementList, PublishedNames, PublishedRow, Tree,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Api, AtNode, Gathered, OfNode};
use super::refusal::Answer;

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/nodes", get_with(nodes, |op| op.summary("The nodes of the mesh").tag("mesh")))
        .api_route(
            "/actors",
            get_with(actors, |op| op.summary("The actors of a node, or of all nodes").tag("mesh")),
        )
        .api_route(
            "/names",
            get_with(names, |op| op.summary("The published names, and what their actors can do").tag("mesh")),
        )
        .api_route("/trees", get_with(trees, |op| op.summary("Who supervises whom").tag("mesh")))
        .api_route(
            "/breakers",
            get_with(breakers, |op| op.summary("Which actors and nodes are left alone").tag("mesh")),
        )
        .api_route(
            "/dead-letters",
            get_with(dead_letters, |op| {
                op.summary("Messages that crashed their actor, or were left when it ended").tag("mesh")
            }),
        )
        .api_route(
            "/placements",
            get_with(placements, |op| op.summary("The placed actors, and where they are").tag("mesh")),
        )
}

/// The nodes of the mesh.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Nodes {
    /// The node through which the mesh is seen.
    pub(super) here: String,
    /// All members, by name.
    pub(super) nodes: Vec<MemberRow>,
}

/// Which names are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct WantedNames {
    /// Only actors that say that they can do this.
    capability: Option<String>,
    /// Only actors that take messages of this kind.
    kind: Option<String>,
}

/// Published names.
#[derive(Debug, Serialize, JsonSchema)]
struct NameList {
    names: Vec<PublishedRow>,
}

pub(super) async fn look_at_nodes(api: &Api) -> Result<Nodes, super::refusal::Refusal> {
    Ok(Nodes { here: api.node(), nodes: api.members().await? })
}

async fn nodes(State(api): State<Api>) -> Answer<Nodes> {
    Ok(Json(look_at_nodes(&api).await?))
}

async fn actors(State(api): State<Api>, Query(of): Query<OfNode>) -> Answer<Gathered<AtNode<Descriptions>>> {
    Ok(Json(api.gather(of.node.as_deref(), "mesh", &DescribeActors {}).await?))
}

async fn names(State(api): State<Api>, Query(wanted): Query<WantedNames>) -> Answer<NameList> {
    let WantedNames { capability, kind } = wanted;
    let path = format!("{}/mesh", api.node());
    let PublishedNames { names } = api.ask(&path, &ListPublished { capability, kind }).await?;
    Ok(Json(NameList { names }))
}

async fn trees(State(api): State<Api>, Query(of): Query<OfNode>) -> Answer<Gathered<AtNode<Tree>>> {
    Ok(Json(api.gather(of.node.as_deref(), "mesh", &ListTree {}).await?))
}

async fn breakers(
    State(api): State<Api>,
    Query(of): Query<OfNode>,
) -> Answer<Gathered<AtNode<BreakerTable>>> {
    Ok(Json(api.gather(of.node.as_deref(), "mesh", &ListBreakers {}).await?))
}

async fn dead_letters(
    State(api): State<Api>,
    Query(of): Query<OfNode>,
) -> Answer<Gathered<AtNode<DeadLetterTable>>> {
    Ok(Json(api.gather(of.node.as_deref(), "mesh", &ListDeadLetters {}).await?))
}

async fn placements(State(api): State<Api>) -> Answer<PlacementList> {
    let path = format!("{}/mesh", api.node());
    Ok(Json(api.ask(&path, &ListPlacements {}).await?))
}
