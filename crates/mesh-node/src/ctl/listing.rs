//! `nodes` and `ps`: what a mesh consists of.

use std::collections::BTreeMap;

use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::CtlError;
use super::output::Output;
use super::table::{Cell, Paint, Tone, table};

/// What a node knows of itself takes no time; a node that is slower than this is not well.
const ASK_MAX: Duration = Duration::from_secs(5);

pub(super) async fn nodes(mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
    let nodes = members(mesh).await?;
    if output.is_json {
        Ok(output.document(&nodes)?)
    } else {
        Ok(output.text(&node_table(&nodes, output.paint))?)
    }
}

/// Lists what can be listed; a node that does not answer is told about after the others' rows.
pub(super) async fn actors(
    mesh: &Connection,
    node: Option<&str>,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let names = match node {
        Some(node) => vec![node.to_owned()],
        None => members(mesh)
            .await?
            .into_iter()
            .filter(|node| node.state == "alive")
            .map(|node| node.name)
            .collect(),
    };
    let answers = join_all(names.iter().map(|node| actors_of(mesh, node))).await;
    let (mut rows, mut failure) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Ok(actors) => rows.extend(actors),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if failure.is_none() || !rows.is_empty() {
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        if output.is_json {
            output.document(&rows)?
        } else {
            output.text(&actor_table(&rows, output.paint))?
        }
    }
    failure.map_or(Ok(()), Err)
}

pub(super) async fn members(mesh: &Connection) -> Result<Vec<NodeRow>, CtlError> {
    let mut members = mesh.ask_node::<Members>(&mesh.node(), "mesh.members.v1", ASK_MAX).await?.members;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

pub(super) async fn actors_of(mesh: &Connection, node: &str) -> Result<Vec<ActorRow>, CtlError> {
    let asked = mesh.ask_node::<Actors>(node, "mesh.actors.v2", ASK_MAX).await;
    let asked = match asked {
        // A node of the version before, which knows no capabilities.
        Err(error) if error.is_code("UNKNOWN_KIND") => mesh.ask_node(node, "mesh.actors.v1", ASK_MAX).await,
        asked => asked,
    };
    Ok(asked?.actors)
}

/// Lists the published names of the mesh, as the node that was reached knows them.
pub(super) async fn names(
    mesh: &Connection,
    capability: Option<&str>,
    kind: Option<&str>,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let body = serde_json::json!({ "capability": capability, "kind": kind }).to_string();
    let names: Names = mesh.ask_node_with(&mesh.node(), "mesh.names.v2", &body, ASK_MAX).await?;
    if output.is_json {
        Ok(output.document(&names.names)?)
    } else {
        Ok(output.text(&name_table(&names.names, output.paint))?)
    }
}

/// A row of `nodes`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) addr: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) actors: u64,
}

/// A row of `ps`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ActorRow {
    pub(crate) path: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) mailbox: MailboxRow,
    pub(crate) state: String,
    pub(crate) restarts: u64,
    /// What it says that it can do.
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    /// The node to which its bare name leads, if that is another one.
    #[serde(default)]
    pub(crate) shadowed_by: Option<String>,
}

/// A row of `names`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NameRow {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) path: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) shadowed_by: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MailboxRow {
    pub(crate) len: u64,
    pub(crate) capacity: u64,
}

/// What the actor `NODE/mesh` answers to `mesh.members.v1`.
#[derive(Debug, Deserialize)]
pub(crate) struct Members {
    pub(crate) members: Vec<NodeRow>,
}

/// What the actor `NODE/mesh` answers to `mesh.names.v2`.
#[derive(Debug, Deserialize)]
pub(crate) struct Names {
    pub(crate) names: Vec<NameRow>,
}

/// What the actor `NODE/mesh` answers to `mesh.actors.v2`, and in fewer words to `mesh.actors.v1`.
#[derive(Debug, Deserialize)]
pub(crate) struct Actors {
    pub(crate) actors: Vec<ActorRow>,
}

pub(crate) fn node_table(nodes: &[NodeRow], paint: Paint) -> String {
    let columns = [("NAME", false), ("STATE", false), ("ADDR", false), ("LABELS", false), ("ACTORS", true)];
    let row = |node: &NodeRow| {
        let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        [
            Cell::plain(&node.name),
            Cell::new(&node.state, tone(&node.state)),
            Cell::plain(&node.addr),
            Cell::plain(&labels.join(" ")),
            Cell::plain(&node.actors.to_string()),
        ]
    };
    table(columns, &nodes.iter().map(row).collect::<Vec<_>>(), paint)
}

pub(crate) fn actor_table(actors: &[ActorRow], paint: Paint) -> String {
    let columns = [
        ("PATH", false),
        ("STATE", false),
        ("MAILBOX", true),
        ("RESTARTS", true),
        ("KINDS", false),
        ("CAPABILITIES", false),
    ];
    let row = |actor: &ActorRow| {
        let MailboxRow { len, capacity } = actor.mailbox;
        let tone_of_mailbox =
            if capacity > 0 && len * 10 >= capacity * 8 { Tone::Warning } else { Tone::Plain };
        [
            path(&actor.path, actor.shadowed_by.as_deref()),
            Cell::new(&actor.state, tone(&actor.state)),
            Cell::new(&format!("{len}/{capacity}"), tone_of_mailbox),
            Cell::plain(&actor.restarts.to_string()),
            Cell::plain(&actor.kinds.join(" ")),
            Cell::plain(&actor.capabilities.join(" ")),
        ]
    };
    table(columns, &actors.iter().map(row).collect::<Vec<_>>(), paint)
}

pub(crate) fn name_table(names: &[NameRow], paint: Paint) -> String {
    let columns = [("NAME", false), ("PATH", false), ("KINDS", false), ("CAPABILITIES", false)];
    let row = |name: &NameRow| {
        [
            Cell::plain(&name.name),
            path(&name.path, name.shadowed_by.as_deref()),
            Cell::plain(&name.kinds.join(" ")),
            Cell::plain(&name.capabilities.join(" ")),
        ]
    };
    table(columns, &names.iter().map(row).collect::<Vec<_>>(), paint)
}

/// A path, and where its bare name leads if not there.
fn path(path: &str, shadowed_by: Option<&str>) -> Cell {
    match shadowed_by {
        Some(node) => Cell::new(&format!("{path} (shadowed by {node})"), Tone::Warning),
        None => Cell::plain(path),
    }
}

pub(super) fn tone(state: &str) -> Tone {
    match state {
        "alive" | "running" => Tone::Good,
        "suspect" | "starting" | "restarting" | "paused" => Tone::Warning,
        "down" | "failed" => Tone::Bad,
        _ => Tone::Faint,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_a_table_for_people() {
        let members: Members = serde_json::from_value(json!({"members": [
            {"name": "alpha", "id": "1", "state": "alive", "addr": "127.0.0.1:7946", "labels": {}, "actors": 9},
            {"name": "beta", "id": "2", "state": "down", "addr": "b.example:7946",
             "labels": {"gpu": "true", "zone": "a"}, "actors": 0},
        ]}))
        .unwrap();
        insta::assert_snapshot!(node_table(&members.members, Paint(false)), @r"
        NAME   STATE  ADDR            LABELS           ACTORS
        alpha  alive  127.0.0.1:7946  –                     9
        beta   down   b.example:7946  gpu=true zone=a       0
        ");
    }

    #[test]
    fn actors_are_a_table_for_people() {
        let actors: Actors = serde_json::from_value(json!({"actors": [
            {"path": "beta/slow", "kinds": ["lab.work.v1"], "mailbox": {"len": 60, "capacity": 64},
             "state": "running", "restarts": 0},
        ]}))
        .unwrap();
        insta::assert_snapshot!(actor_table(&actors.actors, Paint(false)), @r"
        PATH       STATE    MAILBOX  RESTARTS  KINDS        CAPABILITIES
        beta/slow  running    60/64         0  lab.work.v1  –
        ");
        assert!(actor_table(&actors.actors, Paint(true)).contains("\x1b[33m60/64"));
    }

    #[test]
    fn names_are_a_table_for_people() {
        let row = |node: &str, shadowed_by| NameRow {
            name: "fetcher".to_owned(),
            node: node.to_owned(),
            path: format!("{node}/fetcher"),
            capabilities: vec!["tool:fetch".to_owned()],
            kinds: vec!["web.fetch.v1".to_owned()],
            shadowed_by,
        };
        let rows = [row("alpha", None), row("beta", Some("alpha".to_owned()))];
        insta::assert_snapshot!(name_table(&rows, Paint(false)), @r"
        NAME     PATH                              KINDS         CAPABILITIES
        fetcher  alpha/fetcher                     web.fetch.v1  tool:fetch
        fetcher  beta/fetcher (shadowed by alpha)  web.fetch.v1  tool:fetch
        ");
    }
}
