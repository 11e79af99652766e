//! The same question to one node or to all.

use std::time::Duration;

use futures::future::join_all;
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::error::CtlError;
use super::listing;

/// What a node knows of itself takes no time; a node that is slower than this is not well.
const ASK_MAX: Duration = Duration::from_secs(5);

/// The node that was named, or all that are alive.
pub(super) async fn names(mesh: &Connection, node: Option<&str>) -> Result<Vec<String>, CtlError> {
    if let Some(node) = node {
        return Ok(vec![node.to_owned()]);
    }
    let members = listing::members(mesh).await?.into_iter();
    Ok(members.filter(|node| node.state == "alive").map(|node| node.name).collect())
}

/// What each of them answers, and the first error of those that did not.
pub(super) async fn ask<T: DeserializeOwned>(
    mesh: &Connection,
    nodes: &[String],
    kind: &str,
) -> (Vec<(String, T)>, Option<CtlError>) {
    let asks = nodes.iter().map(|node| mesh.ask_node::<T>(node, kind, ASK_MAX));
    let (mut answers, mut failure) = (Vec::new(), None);
    for (node, answer) in nodes.iter().zip(join_all(asks).await) {
        match answer {
            Ok(answer) => answers.push((node.clone(), answer)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    (answers, failure)
}

/// Has one node do something.
pub(super) async fn order(
    mesh: &Connection,
    node: &str,
    kind: &str,
    body: &serde_json::Value,
) -> Result<(), CtlError> {
    mesh.ask(&format!("{node}/mesh"), kind, &body.to_string(), ASK_MAX).await.map(drop)
}
