//! `memory`: what is remembered in a scope, by its actor on one node.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{json as json_text, timeout};
use super::connection::Connection;
use super::error::CtlError;
use super::message::print_reply;
use super::output::Output;
use super::table::{Cell, table};

/// What is remembered in a scope. SCOPE is TENANT, TENANT/AGENT or TENANT/AGENT/RUN.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// The node that keeps it; the one that is reached by default
    #[arg(long, value_name = "NODE", global = true)]
    pub on: Option<String>,
    /// How long it may take, with everything
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout, global = true)]
    pub timeout: Duration,
    /// What to do.
    #[command(subcommand)]
    pub command: MemoryCommand,
}

/// What can be done with memories.
#[derive(Debug, Subcommand)]
pub enum MemoryCommand {
    /// Remember a text, unless it is remembered already
    Add {
        /// Whose memory
        scope: String,
        /// What to remember
        text: String,
        /// What is said about it: an object
        #[arg(long, value_name = "JSON", value_parser = json_text, default_value = "{}")]
        metadata: String,
        /// From 0 to 1; 0.5 by default
        #[arg(long)]
        importance: Option<f64>,
        /// For how long; for ever by default
        #[arg(long, value_name = "TIME", value_parser = timeout)]
        ttl: Option<Duration>,
    },
    /// What has to do with a question, the best first, and why
    Recall {
        /// Whose memory
        scope: String,
        /// The question
        query: String,
        /// How many at most
        #[arg(long, default_value_t = 5)]
        limit: u32,
        /// How similar in meaning, from 0 to 1
        #[arg(long, default_value_t = 0.7)]
        min_relevance: f64,
        /// Only those whose metadata fit
        #[arg(long, value_name = "JSON", value_parser = json_text, default_value = "{}")]
        filter: String,
    },
    /// All memories, oldest first
    List {
        /// Whose memory
        scope: String,
        /// Only those behind this one
        #[arg(long, value_name = "ID", default_value = "")]
        after: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Memories whose metadata fit
    Search {
        /// Whose memory
        scope: String,
        /// Such as {"year": {"$gte": 2024}}
        #[arg(value_name = "JSON", value_parser = json_text)]
        filter: String,
        /// How many at most
        #[arg(long, default_value_t = 10)]
        limit: u32,
    },
    /// Forget a memory, with its history
    Forget {
        /// Whose memory
        scope: String,
        /// Which one
        id: String,
    },
}

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
