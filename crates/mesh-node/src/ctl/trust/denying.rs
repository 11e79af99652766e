//! `ca deny` and `ca allow`: in the whole mesh, by any node of it, and in this state folder.

use std::time::Duration;

use mesh::DenyRow;
use mesh_net::Denied;
use serde_json::json;

use super::super::connection::Connection;
use super::{CtlArgs, CtlError, Document, Output, StateFolder, entries};

/// A node waits for the others for 2 s.
const ASK_MAX: Duration = Duration::from_secs(5);

/// Has it said to the mesh, and notes it in the folder, if nodes use that: theirs is the list that counts when nobody runs.
pub(super) async fn change(
    args: &CtlArgs,
    state: &StateFolder,
    who: &Denied,
    is_denied: bool,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    // With another identity it may be another mesh.
    let is_of_nodes = args.identity.is_none() && state.signer()?.is_some();
    let rows = match Connection::open(args).await {
        Ok(mesh) => ask(&mesh, who, is_denied).await?,
        Err(CtlError::NoNode(_)) if is_of_nodes => Vec::new(),
        Err(error) => return Err(error),
    };
    if is_of_nodes {
        state.list_denied(who, is_denied)?;
    }
    let denied = entries(&state.denied().read()?);
    if output.is_json {
        return Ok(output.document(&json!({ "denied": denied, "nodes": rows }))?);
    }
    let have = rows.iter().filter(|row| row.has_it).count();
    let word = if is_denied { "denied" } else { "let in again" };
    match rows.len() {
        0 => output
            .line(&format!("{who} is {word}; no node was reached: those of this folder tell the others"))?,
        all => output.line(&format!("{who} is {word}; {have} of {all} nodes have it"))?,
    }
    for row in rows.iter().filter(|row| !row.has_it) {
        output.line(&format!("  {}: {}", row.node, row.reason))?;
    }
    Ok(())
}

async fn ask(mesh: &Connection, who: &Denied, is_denied: bool) -> Result<Vec<DenyRow>, CtlError> {
    let body = json!({ "who": who.to_string(), "is_denied": is_denied }).to_string();
    let path = format!("{}/mesh", mesh.node());
    let rows = mesh.ask(&path, "mesh.deny.v1", &body, ASK_MAX).await?;
    serde_json::from_str(&rows).map_err(|error| {
        Document::own(
            "BAD_REPLY",
            format!("{path} answers in a way that this meshctl does not understand: {error}"),
        )
        .into()
    })
}
