//! `approvals`: what agents ask of people, on all nodes, and the answers.

mod answer;
mod args;
mod diff;
mod find;
mod show;
mod watch;

use std::time::Duration;

use mesh_agents::approvals::ApprovalRow;
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::error::{CtlError, Document};
use super::output::Output;

pub(super) use args::ApprovalsCommand;

/// Looking into a store, or writing an answer into it.
const ASK_MAX: Duration = Duration::from_secs(10);

pub(super) async fn approvals(
    mesh: &Connection,
    command: Option<&ApprovalsCommand>,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match command {
        None => list(mesh, false, output).await,
        Some(ApprovalsCommand::List { all }) => list(mesh, *all, output).await,
        Some(ApprovalsCommand::Show { id, args }) => show::show(mesh, id, *args, output).await,
        Some(ApprovalsCommand::Approve(given)) => answer::approve(mesh, given, output).await,
        Some(ApprovalsCommand::Reject { id, reason }) => answer::reject(mesh, id, reason, output).await,
        Some(ApprovalsCommand::Watch) => watch::watch(mesh, output).await,
    }
}

/// Shows what there is; a node that does not answer is told about after the others' rows.
async fn list(mesh: &Connection, is_all: bool, output: &mut Output<'_>) -> Result<(), CtlError> {
    let found = find::all(mesh, is_all).await;
    if found.failure.is_none() || !found.rows.is_empty() {
        if output.is_json {
            output.document(&found.rows)?;
        } else {
            output.text(&show::list(&found.rows, is_all, output.paint))?;
        }
    }
    found.failure.map_or(Ok(()), Err)
}

/// Asks the inbox that keeps a request, and reads its answer.
async fn ask<T: DeserializeOwned>(
    mesh: &Connection,
    node: &str,
    kind: &str,
    body: &str,
) -> Result<T, CtlError> {
    let path = inbox(node);
    let reply = mesh.ask(&path, kind, body, ASK_MAX).await?;
    serde_json::from_str(&reply).map_err(|error| {
        let message =
            format!("{path} answers {kind} in a way that this meshctl does not understand: {error}");
        Document::own("BAD_REPLY", message).into()
    })
}

fn inbox(node: &str) -> String {
    format!("{node}/{}", mesh_agents::approvals::Inbox::NAME)
}

/// The shortest part of the ids that tells the rows apart, 4 at least.
fn short_len(rows: &[ApprovalRow]) -> usize {
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    let common = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(|pair| common(pair) + 1).max().unwrap_or(0).max(4)
}

fn short(id: &str, len: usize) -> &str {
    id.get(..len).unwrap_or(id)
}
