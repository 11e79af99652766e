//! `breakers`: which actors and nodes are left alone, by whom, and until when.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::{BreakerArgs, BreakersArgs, BreakersCommand};
use super::connection::Connection;
use super::each_node;
use super::error::CtlError;
use super::output::Output;
use super::table::{Cell, Paint, Tone, table};

/// How often breakers that are watched are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the actor `NODE/mesh` answers to `mesh.breakers.v1`.
#[derive(Debug, Deserialize)]
struct Reply {
    breakers: Vec<Breaker>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Breaker {
    name: String,
    state: String,
    is_held: bool,
    since_ms: u64,
    retry_after_ms: Option<u64>,
    calls: u32,
    failures: u32,
    slow: u32,
    probes: u32,
    rejected: u64,
    opened: u64,
    heard: Vec<Heard>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    node: String,
    state: String,
}

/// A breaker, with the node whose it is.
#[derive(Debug, Serialize)]
struct Row {
    node: String,
    #[serde(flatten)]
    breaker: Breaker,
}

/// Shows the breakers of one node or of all, once or until Ctrl-C; or turns one.
pub(super) async fn breakers(
    mesh: &Connection,
    args: &BreakersArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match &args.command {
        Some(BreakersCommand::ForceOpen(args)) => turn(mesh, args, "force_open").await,
        Some(BreakersCommand::ForceClose(args)) => turn(mesh, args, "force_close").await,
        Some(BreakersCommand::Reset(args)) => turn(mesh, args, "reset").await,
        None => list(mesh, args.on.as_deref(), args.watch, output).await,
    }
}

async fn list(
    mesh: &Connection,
    node: Option<&str>,
    is_watched: bool,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    loop {
        let nodes = each_node::names(mesh, node).await?;
        let (answers, failure) = each_node::ask::<Reply>(mesh, &nodes, "mesh.breakers.v1").await;
        let rows: Vec<Row> = answers
            .into_iter()
            .flat_map(|(node, reply)| {
                reply.breakers.into_iter().map(move |breaker| Row { node: node.clone(), breaker })
            })
            .collect();
        if failure.is_none() || !rows.is_empty() {
            show(&rows, is_watched, output)?;
        }
        if !is_watched {
            return failure.map_or(Ok(()), Err);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// That it worked is told by the exit code.
async fn turn(mesh: &Connection, args: &BreakerArgs, turn: &str) -> Result<(), CtlError> {
    let body = json!({ "name": args.name, "turn": turn });
    let mut result = Ok(());
    for node in each_node::names(mesh, args.on.as_deref()).await? {
        let turned = each_node::order(mesh, &node, "mesh.turn_breaker.v1", &body).await;
        result = result.and(turned);
    }
    result
}

fn show(rows: &[Row], is_watched: bool, output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json {
        return Ok(output.document(&rows)?);
    }
    if is_watched && output.is_terminal {
        // Home, and clear what is below: the next look takes the place of this one.
        output.text("\x1b[H\x1b[2J")?;
    }
    Ok(output.text(&text(rows, output.paint))?)
}

fn text(rows: &[Row], paint: Paint) -> String {
    let columns = [
        ("NODE", false),
        ("TARGET", false),
        ("STATE", false),
        ("SINCE", true),
        ("RETRY IN", true),
        ("FAILED", true),
        ("SLOW", true),
        ("REJECTED", true),
        ("OPENED", true),
        ("ELSEWHERE", false),
    ];
    let row = |Row { node, breaker }: &Row| {
        let state = if breaker.is_held { format!("{}, held", breaker.state) } else { breaker.state.clone() };
        let retry = breaker.retry_after_ms.map(seconds).unwrap_or_default();
        let elsewhere: Vec<String> =
            breaker.heard.iter().map(|heard| format!("{}: {}", heard.node, heard.state)).collect();
        [
            Cell::plain(node),
            Cell::plain(&breaker.name),
            Cell::new(&state, tone(&breaker.state)),
            Cell::plain(&seconds(breaker.since_ms)),
            Cell::plain(&retry),
            Cell::plain(&format!("{} of {}", breaker.failures, breaker.calls)),
            Cell::plain(&breaker.slow.to_string()),
            Cell::plain(&breaker.rejected.to_string()),
            Cell::plain(&breaker.opened.to_string()),
            Cell::plain(&elsewhere.join(", ")),
        ]
    };
    table(columns, &rows.iter().map(row).collect::<Vec<_>>(), paint)
}

/// As people read times: a part of a second counts as a whole one.
fn seconds(ms: u64) -> String {
    humantime::format_duration(Duration::from_secs(ms.div_ceil(1000))).to_string()
}

fn tone(state: &str) -> Tone {
    match state {
        "closed" => Tone::Good,
        "half_open" => Tone::Warning,
        _ => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(name: &str, state: &str) -> Breaker {
        let is_open = state == "open";
        Breaker {
            name: name.to_owned(),
            state: state.to_owned(),
            is_held: false,
            since_ms: 20_400,
            retry_after_ms: is_open.then_some(39_600),
            calls: 7,
            failures: if is_open { 5 } else { 0 },
            slow: 0,
            probes: 0,
            rejected: 3,
            opened: 1,
            heard: vec![],
        }
    }

    #[test]
    fn each_breaker_is_a_row_for_people() {
        let heard = vec![Heard { node: "beta".to_owned(), state: "closed".to_owned() }];
        let rows = [
            Row { node: "alpha".to_owned(), breaker: Breaker { heard, ..breaker("gamma/echo", "open") } },
            Row {
                node: "alpha".to_owned(),
                breaker: Breaker { is_held: true, ..breaker("node:gamma", "closed") },
            },
        ];
        insta::assert_snapshot!(text(&rows, Paint(false)), @r"
        NODE   TARGET      STATE         SINCE  RETRY IN  FAILED  SLOW  REJECTED  OPENED  ELSEWHERE
        alpha  gamma/echo  open            21s       40s  5 of 7     0         3       1  beta: closed
        alpha  node:gamma  closed, held    21s         –  0 of 7     0         3       1  –
        ");
    }
}
