//! `tree`: who supervises whom, and how they are.

use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::CtlError;
use super::listing::{self, tone};
use super::output::Output;
use super::table::{Cell, Paint, Tone, table};

/// What a node knows of itself takes no time; a node that is slower than this is not well.
const ASK_MAX: Duration = Duration::from_secs(5);

/// How often a tree that is watched is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the actor `NODE/mesh` answers to `mesh.tree.v1`.
#[derive(Debug, Deserialize)]
struct Reply {
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    depth: u32,
    #[serde(flatten)]
    branch: Branch,
}

/// An actor or a supervisor, with all below it.
#[derive(Debug, Serialize, Deserialize)]
struct Branch {
    name: String,
    path: String,
    /// None if it is an actor.
    strategy: Option<String>,
    restart: String,
    state: String,
    restarts: u64,
    last_crash: Option<String>,
    since_ms: u64,
    queued: u64,
    #[serde(default)]
    children: Vec<Self>,
}

/// A node with its tree.
#[derive(Debug, Serialize)]
struct Tree {
    node: String,
    children: Vec<Branch>,
}

/// Shows the trees of one node or of all, once or until Ctrl-C.
pub(super) async fn tree(
    mesh: &Connection,
    node: Option<&str>,
    is_watched: bool,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    loop {
        let (trees, failure) = look(mesh, node).await?;
        if failure.is_none() || !trees.is_empty() {
            show(&trees, is_watched, output)?;
        }
        if !is_watched {
            return failure.map_or(Ok(()), Err);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What can be seen now; a node that does not answer is told about after the others' trees.
async fn look(mesh: &Connection, node: Option<&str>) -> Result<(Vec<Tree>, Option<CtlError>), CtlError> {
    let names = match node {
        Some(node) => vec![node.to_owned()],
        None => {
            let members = listing::members(mesh).await?.into_iter();
            members.filter(|node| node.state == "alive").map(|node| node.name).collect()
        }
    };
    let answers = join_all(names.into_iter().map(|node| tree_of(mesh, node))).await;
    let (mut trees, mut failure) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Ok(tree) => trees.push(tree),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Ok((trees, failure))
}

async fn tree_of(mesh: &Connection, node: String) -> Result<Tree, CtlError> {
    let reply = mesh.ask_node::<Reply>(&node, "mesh.tree.v1", ASK_MAX).await?;
    Ok(Tree { node, children: nested(&mut reply.rows.into_iter().peekable(), 0) })
}

/// Takes the rows of this depth, each with those that follow it and are deeper.
fn nested(rows: &mut std::iter::Peekable<impl Iterator<Item = Row>>, depth: u32) -> Vec<Branch> {
    let mut branches = Vec::new();
    while let Some(Row { mut branch, .. }) = rows.next_if(|row| row.depth >= depth) {
        branch.children = nested(rows, depth + 1);
        branches.push(branch);
    }
    branches
}

fn show(trees: &[Tree], is_watched: bool, output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json {
        return Ok(output.document(&trees)?);
    }
    if is_watched && output.is_terminal {
        // Home, and clear what is below: the next look takes the place of this one.
        output.text("\x1b[H\x1b[2J")?;
    }
    Ok(output.text(&text(trees, output.paint))?)
}

fn text(trees: &[Tree], paint: Paint) -> String {
    let mut rows = Vec::new();
    for tree in trees {
        let mut row: [Cell; 7] = std::array::from_fn(|_| Cell::blank());
        row[0] = Cell::new(&tree.node, Tone::Head);
        rows.push(row);
        tree.children.iter().for_each(|branch| branch.list(1, &mut rows));
    }
    let columns = [
        ("NAME", false),
        ("SUPERVISES", false),
        ("RESTART", false),
        ("STATE", false),
        ("RESTARTS", true),
        ("SINCE", true),
        ("LAST CRASH", false),
    ];
    table(columns, &rows, paint)
}

impl Branch {
    fn list(&self, depth: usize, rows: &mut Vec<[Cell; 7]>) {
        let since = Duration::from_secs(self.since_ms / 1000);
        let strategy = self.strategy.as_deref().map_or_else(Cell::blank, Cell::plain);
        let crash =
            self.last_crash.as_deref().map_or_else(Cell::blank, |crash| Cell::new(crash, Tone::Warning));
        rows.push([
            Cell::plain(&format!("{}{}", "  ".repeat(depth), self.name)),
            strategy,
            Cell::plain(&self.restart),
            Cell::new(&self.state, tone(&self.state)),
            Cell::plain(&self.restarts.to_string()),
            Cell::plain(&humantime::format_duration(since).to_string()),
            crash,
        ]);
        self.children.iter().for_each(|branch| branch.list(depth + 1, rows));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(depth: u32, name: &str, strategy: Option<&str>, restarts: u64) -> serde_json::Value {
        json!({"depth": depth, "name": name, "path": name, "strategy": strategy, "restart": "permanent",
            "state": "running", "restarts": restarts, "last_crash": (restarts > 0).then_some("told to"),
            "since_ms": 61_500, "queued": 0})
    }

    #[test]
    fn rows_become_a_tree_that_people_can_read() {
        let rows = json!({"rows": [
            row(0, "mesh", None, 0),
            row(0, "library", Some("rest_for_one"), 0),
            row(1, "index", None, 2),
            row(1, "search", Some("one_for_one"), 0),
            row(2, "worker", None, 0),
            row(0, "echo", None, 0),
        ]});
        let reply: Reply = serde_json::from_value(rows).unwrap();
        let children = nested(&mut reply.rows.into_iter().peekable(), 0);
        assert_eq!(children[1].children[1].children[0].name, "worker");
        assert_eq!(children[2].name, "echo");
        insta::assert_snapshot!(text(&[Tree { node: "alpha".to_owned(), children }], Paint(false)), @r"
        NAME          SUPERVISES    RESTART    STATE    RESTARTS  SINCE  LAST CRASH
        alpha
          mesh                      permanent  running         0  1m 1s
          library     rest_for_one  permanent  running         0  1m 1s
            index                   permanent  running         2  1m 1s  told to
            search    one_for_one   permanent  running         0  1m 1s
              worker                permanent  running         0  1m 1s
          echo                      permanent  running         0  1m 1s
        ");
    }
}
