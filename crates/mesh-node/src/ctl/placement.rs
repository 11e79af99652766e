//! `actor place`, `actor unplace`, `actor rebalance` and `actor placements`.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::args::{json as json_text, timeout};
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::output::Output;
use super::table::{Cell, Tone, table};

/// How long one node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Pause before a placement that is under way is looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// An actor to be placed.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// A registered kind
    kind: String,
    /// Its name in the mesh
    name: String,
    /// What the kind needs to know
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json_text)]
    args: String,
    /// Only on nodes with this label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    on: Vec<(String, String)>,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
    timeout: Duration,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "not KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A row of `actor placements`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PlacedRow {
    name: String,
    kind: String,
    node: String,
    epoch: u64,
    is_running: bool,
}

#[derive(Debug, Deserialize)]
struct PlacementList {
    placements: Vec<PlacedRow>,
}

/// Has an actor live on one node, and waits until it runs.
pub(super) async fn place(
    mesh: &Connection,
    args: &PlaceArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let PlaceArgs { kind, name, args, on, timeout } = args;
    let labels: Vec<Value> = on.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let body = json!({ "name": name, "kind": kind, "args": args, "labels": labels, "idle_ms": 0 });
    let read = |answer: &Value| {
        let running = answer.get("Running")?;
        Some(json!({ "name": name, "node": running["node"], "epoch": running["epoch"] }))
    };
    let placed = leading(mesh, "mesh.place.v1", &body, *timeout, read).await?;
    if output.is_json {
        return Ok(output.document(&placed)?);
    }
    let (node, epoch) = (placed["node"].as_str().unwrap_or_default(), &placed["epoch"]);
    Ok(output.text(&format!("{name} runs on {node} as life {epoch}\n"))?)
}

/// Ends a placed actor.
pub(super) async fn unplace(
    mesh: &Connection,
    name: &str,
    timeout: Duration,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let read = |answer: &Value| match answer.as_str() {
        Some("Ending") => Some(true),
        Some("Unknown") => Some(false),
        _ => None,
    };
    if !leading(mesh, "mesh.unplace.v1", &json!({ "name": name }), timeout, read).await? {
        return Err(Document::own("NO_SUCH_ACTOR", format!("nobody has placed {name}")).into());
    }
    if output.is_json { Ok(output.document(&json!({ "name": name }))?) } else { Ok(()) }
}

/// Spreads the placed actors over the nodes that can run them.
pub(super) async fn rebalance(
    mesh: &Connection,
    timeout: Duration,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let read = |answer: &Value| answer["elsewhere"].is_null().then(|| answer["moves"].as_u64()).flatten();
    let moves = leading(mesh, "mesh.rebalance.v1", &json!({}), timeout, read).await?;
    if output.is_json {
        return Ok(output.document(&json!({ "moves": moves }))?);
    }
    Ok(output.text(&format!("{moves} actors move\n"))?)
}

/// Lists the placed actors.
pub(super) async fn placements(mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
    let list: PlacementList = mesh.ask_node(&mesh.node(), "mesh.placements.v1", ANSWER_MAX).await?;
    if output.is_json {
        return Ok(output.document(&list.placements)?);
    }
    let columns = [("NAME", false), ("KIND", false), ("NODE", false), ("LIFE", true), ("STATE", false)];
    let row = |one: &PlacedRow| {
        let (state, tone) = if one.is_running { ("running", Tone::Good) } else { ("moving", Tone::Warning) };
        [
            Cell::plain(&one.name),
            Cell::plain(&one.kind),
            Cell::plain(&one.node),
            Cell::plain(&one.epoch.to_string()),
            Cell::new(state, tone),
        ]
    };
    let rows: Vec<_> = list.placements.iter().map(row).collect();
    Ok(output.text(&table(columns, &rows, output.paint))?)
}

/// Asks the node that places, whichever it is, until `read` finds an end in its answer.
async fn leading<T>(
    mesh: &Connection,
    kind: &str,
    body: &Value,
    timeout: Duration,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, CtlError> {
    let end = Instant::now() + timeout;
    let body = body.to_string();
    let mut at = mesh.node().to_string();
    loop {
        let answer = mesh.ask(&format!("{at}/mesh"), kind, &body, ANSWER_MAX.min(timeout)).await?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        if let Some(found) = read(&answer) {
            return Ok(found);
        }
        let elsewhere = answer["Elsewhere"]["node"].as_str().or_else(|| answer["elsewhere"].as_str());
        if let Some(node) = elsewhere {
            node.clone_into(&mut at);
        }
        if Instant::now() + LOOK >= end {
            let message = format!("not decided within {timeout:?}; it may be yet");
            return Err(Document::own("TIMEOUT", message).into());
        }
        sleep(LOOK).await;
    }
}
