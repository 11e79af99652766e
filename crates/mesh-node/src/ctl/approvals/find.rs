//! Requests of all nodes, and the one that is meant.

use std::collections::BTreeMap;

use futures::future::join_all;
use mesh::WireMessage;
use mesh_agents::approvals::{ApprovalRow, Approvals, ListApprovals};
use serde_json::json;

use super::super::connection::Connection;
use super::super::error::{CtlError, Document};
use super::super::listing;
use super::{ask, short, short_len};

/// What was found, and why that may not be all.
pub(super) struct Found {
    pub(super) rows: Vec<ApprovalRow>,
    pub(super) failure: Option<CtlError>,
    /// Whether any node said what it has.
    pub(super) is_answered: bool,
}

/// The requests of all nodes: what waits, the longest first; or all, the newest first.
pub(super) async fn all(mesh: &Connection, is_all: bool) -> Found {
    let (nodes, mut failure) = match listing::members(mesh).await {
        Ok(members) => {
            let alive = members.into_iter().filter(|node| node.state == "alive");
            (alive.map(|node| node.name).collect(), None)
        }
        // Who may not see the members still sees the node that it speaks to.
        Err(error) => (vec![mesh.node()], Some(error)),
    };
    let body = json!({ "all": is_all }).to_string();
    let of = async |node: String| ask::<Approvals>(mesh, &node, ListApprovals::KIND, &body).await;
    let (mut by_id, mut is_answered) = (BTreeMap::new(), false);
    for answer in join_all(nodes.into_iter().map(of)).await {
        match answer {
            Ok(found) => {
                is_answered = true;
                found.approvals.into_iter().for_each(|row| keep(&mut by_id, row));
            }
            // A program of somebody's own that keeps none.
            Err(error) if error.is_code("NO_SUCH_ACTOR") => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let mut rows: Vec<ApprovalRow> = by_id.into_values().collect();
    rows.sort_by(|a, b| a.requested_ms.cmp(&b.requested_ms).then_with(|| a.id.cmp(&b.id)));
    if is_all {
        rows.reverse();
    }
    Found { rows, failure, is_answered }
}

/// Nodes that share a store have the same requests. It is the agent's own that knows who waits.
fn keep(by_id: &mut BTreeMap<String, ApprovalRow>, row: ApprovalRow) {
    let is_own = row.agent.rsplit_once('@').is_some_and(|(_, node)| node == row.node);
    if is_own || !by_id.contains_key(&row.id) {
        by_id.insert(row.id.clone(), row);
    }
}

/// The one request whose id begins so: of those that wait, or else of all.
pub(super) async fn one(mesh: &Connection, id: &str) -> Result<ApprovalRow, CtlError> {
    let mut failure = None;
    for is_all in [false, true] {
        let found = all(mesh, is_all).await;
        if let Some(row) = pick(found.rows, id)? {
            return Ok(row);
        }
        failure = found.failure;
    }
    // One that does not answer may have it.
    Err(failure.unwrap_or_else(|| {
        Document::own("NO_SUCH_APPROVAL", format!("no request has an id that begins with {id:?}")).into()
    }))
}

fn pick(rows: Vec<ApprovalRow>, id: &str) -> Result<Option<ApprovalRow>, CtlError> {
    let wanted = id.to_ascii_lowercase();
    let is_meant = |row: &ApprovalRow| !wanted.is_empty() && row.id.starts_with(&wanted);
    let mut meant: Vec<ApprovalRow> = rows.into_iter().filter(is_meant).collect();
    if meant.len() > 1 {
        let len = short_len(&meant);
        let candidates: Vec<&str> = meant.iter().map(|row| short(&row.id, len)).collect();
        let message = format!("{} requests have an id that begins with {id:?}", meant.len());
        let document = Document::own("AMBIGUOUS", message);
        return Err(document.with_details(json!({ "candidates": candidates })).into());
    }
    Ok(meant.pop())
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::row;
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_where_it_is_one() {
        let rows = || vec![row("3f9c11"), row("3f9d22"), row("a00000")];
        assert_eq!(pick(rows(), "A").unwrap().unwrap().id, "a00000");
        assert_eq!(pick(rows(), "3f9d").unwrap().unwrap().id, "3f9d22");
        assert_eq!(pick(rows(), "7").unwrap(), None);
        assert_eq!(pick(rows(), "").unwrap(), None);
        let Err(CtlError::Refused(document)) = pick(rows(), "3f9") else { panic!("there are two") };
        assert_eq!(document.details, json!({"candidates": ["3f9c", "3f9d"]}));
    }

    #[test]
    fn of_nodes_that_share_a_store_the_agents_own_is_asked() {
        let mut by_id = BTreeMap::new();
        for node in ["alpha", "beta", "gamma"] {
            keep(&mut by_id, ApprovalRow { node: node.to_owned(), ..row("3f9c") });
        }
        assert_eq!(by_id["3f9c"].node, "beta");
    }
}
