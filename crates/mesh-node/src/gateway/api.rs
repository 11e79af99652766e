//! What all requests need: the way into the mesh.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mesh::{ListMembers, MemberRow, Members, Mesh, WireMessage};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;
use crate::ctl::{Document, inner};

/// What a node knows of itself takes no time, and what its store knows little; a node that is slower is not well.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Each page that looks on has the whole mesh asked once a second.
const PAGES_MAX: usize = 16;

/// Nobody waits for longer than an hour.
const TIMEOUT_MS_MAX: u64 = 3_600_000;

/// How long a request says that it may take.
pub(super) fn timeout(given: Option<u64>, default: u64) -> Result<Duration, Refusal> {
    match given.unwrap_or(default) {
        ms @ 1..=TIMEOUT_MS_MAX => Ok(Duration::from_millis(ms)),
        ms => Err(Refusal::bad_request(format!("timeout_ms: {ms} is not within 1 and {TIMEOUT_MS_MAX}"))),
    }
}

/// The way into the mesh. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    mesh: Mesh,
    /// One for each page that may look on at once.
    seats: Arc<Semaphore>,
}

/// Which nodes are asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct OfNode {
    /// Only this node; all that are alive if none is given.
    pub(super) node: Option<String>,
}

/// What several nodes answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Gathered<T> {
    /// What those said that answered.
    pub(super) rows: Vec<T>,
    /// Those that did not answer, and why.
    pub(super) failures: Vec<NodeFailure>,
}

/// A node that did not answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NodeFailure {
    pub(super) node: String,
    pub(super) error: Document,
}

/// What one node says.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AtNode<T> {
    /// Which node.
    pub(super) node: String,
    #[serde(flatten)]
    pub(super) of: T,
}

impl Api {
    pub(super) fn new(mesh: Mesh) -> Self {
        Self { mesh, seats: Arc::new(Semaphore::new(PAGES_MAX)) }
    }

    pub(super) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// A seat for somebody who looks on, until it is dropped.
    pub(super) fn seat(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let taken = Arc::clone(&self.seats).try_acquire_owned();
        taken.map_err(|_| Refusal::busy(format!("{PAGES_MAX} pages look on already")))
    }

    /// The node that is reached now.
    pub(super) fn node(&self) -> String {
        self.mesh.node_name().to_string()
    }

    /// Asks an actor; a refusal that it gives as its answer is an error here.
    pub(super) async fn ask<M: WireMessage, T: DeserializeOwned>(
        &self,
        path: &str,
        message: &M,
    ) -> Result<T, Refusal> {
        let body = serde_json::to_string(message).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let reply = inner(self.mesh.ask_json(path, M::KIND, &body, ASK_MAX).await?)?;
        serde_json::from_str(&reply).map_err(|error| {
            let message = format!("{path} answers {} in a way that is not understood here: {error}", M::KIND);
            Document::own("BAD_REPLY", message).into()
        })
    }

    pub(super) async fn members(&self) -> Result<Vec<MemberRow>, Refusal> {
        let path = format!("{}/mesh", self.node());
        let mut members = self.ask::<_, Members>(&path, &ListMembers {}).await?.members;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(members)
    }

    /// Asks the actor `actor` of one node, or of all that are alive.
    pub(super) async fn gather<M: WireMessage, T: DeserializeOwned>(
        &self,
        node: Option<&str>,
        actor: &str,
        message: &M,
    ) -> Result<Gathered<AtNode<T>>, Refusal> {
        let nodes = match node {
            Some(node) => vec![node.to_owned()],
            None => {
                let members = self.members().await?.into_iter();
                members.filter(|member| member.state == "alive").map(|member| member.name).collect()
            }
        };
        let asks = nodes.into_iter().map(|node| async move {
            let answer = self.ask::<M, T>(&format!("{node}/{actor}"), message).await;
            (node, answer)
        });
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for (node, answer) in join_all(asks).await {
            match answer {
                Ok(of) => rows.push(AtNode { node, of }),
                Err(refusal) => failures.push(NodeFailure { node, error: refusal.into_document() }),
            }
        }
        Ok(Gathered { rows, failures })
    }
}
