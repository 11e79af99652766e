//! `memory`: what is remembered in a scope, by its actor on one node.

use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{MemoryArgs, MemoryCommand};
use super::connection::Connection;
use super::error::CtlError;
use super::message::print_reply;
use super::output::Output;
use super::table::{Cell, table};

#[derive(Debug, Deserialize)]
struct List {
    memories: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Recalled {
    memories: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    memory: Row,
    score: f64,
    explanation: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    content: String,
    importance: f64,
    by: String,
}

/// Does what is asked in a scope.
pub(super) async fn memory(
    mesh: &Connection,
    args: &MemoryArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let (scope, kind, body) = request(&args.command);
    let reply = ask(mesh, args, scope, kind, &body.to_string()).await?;
    if output.is_json {
        return Ok(output.line(&reply)?);
    }
    match (kind, serde_json::from_str(&reply), serde_json::from_str(&reply)) {
        ("memory.recall.v1", Ok(Recalled { memories }), _) => show_found(&memories, output),
        ("memory.list.v1" | "memory.search.v1", _, Ok(List { memories })) => show(&memories, output),
        _ => print_reply(&reply, output),
    }
}

fn request(command: &MemoryCommand) -> (&str, &'static str, Value) {
    match command {
        MemoryCommand::Add { scope, text, metadata, importance, ttl } => {
            let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            let body =
                json!({"content": text, "metadata": metadata, "importance": importance, "ttl_ms": ttl_ms});
            (scope, "memory.add.v1", body)
        }
        MemoryCommand::Recall { scope, query, limit, min_relevance, filter } => {
            let body = json!({
                "query": query, "limit": limit, "min_relevance": min_relevance, "filter": filter
            });
            (scope, "memory.recall.v1", body)
        }
        MemoryCommand::List { scope, after, limit } => {
            (scope, "memory.list.v1", json!({"after": after, "limit": limit}))
        }
        MemoryCommand::Search { scope, filter, limit } => {
            (scope, "memory.search.v1", json!({"filter": filter, "limit": limit}))
        }
        MemoryCommand::Forget { scope, id } => (scope, "memory.forget.v1", json!({"id": id})),
    }
}

/// The actor is started where nobody has needed it since its node was.
async fn ask(
    mesh: &Connection,
    args: &MemoryArgs,
    scope: &str,
    kind: &str,
    body: &str,
) -> Result<String, CtlError> {
    let node = args.on.clone().unwrap_or_else(|| mesh.node());
    let path = format!("{node}/memory/{scope}");
    match mesh.ask(&path, kind, body, args.timeout).await {
        Err(error) if error.is_code("NO_SUCH_ACTOR") => {
            let spawn = json!({"kind": "memory", "name": format!("memory/{scope}"), "args": "{}"});
            let node = format!("{node}/mesh");
            let spawned = mesh.ask(&node, "mesh.spawn.v1", &spawn.to_string(), args.timeout).await;
            // Somebody else may have started it just now: then it answers. If not, why it did not start says more.
            match mesh.ask(&path, kind, body, args.timeout).await {
                Err(error) if error.is_code("NO_SUCH_ACTOR") => Err(spawned.err().unwrap_or(error)),
                answer => answer,
            }
        }
        answer => answer,
    }
}

fn show(rows: &[Row], output: &mut Output<'_>) -> Result<(), CtlError> {
    let cells = |row: &Row| {
        let importance = format!("{:.2}", row.importance);
        [&row.id, &importance, &row.by, &row.content].map(|text| Cell::plain(text))
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let columns = [("ID", false), ("IMPORTANCE", true), ("BY", false), ("CONTENT", false)];
    Ok(output.text(&table(columns, &rows, output.paint))?)
}

fn show_found(found: &[Found], output: &mut Output<'_>) -> Result<(), CtlError> {
    let cells = |found: &Found| {
        let score = format!("{:.2}", found.score);
        [&score, &found.memory.id, &found.memory.content, &found.explanation].map(|text| Cell::plain(text))
    };
    let rows: Vec<_> = found.iter().map(cells).collect();
    let columns = [("SCORE", true), ("ID", false), ("CONTENT", false), ("WHY", false)];
    Ok(output.text(&table(columns, &rows, output.paint))?)
}
