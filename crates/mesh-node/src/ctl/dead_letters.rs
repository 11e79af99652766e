//! `dead-letters`: the messages that nobody will handle, and sending them again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::DeadLettersCommand;
use super::connection::Connection;
use super::each_node;
use super::error::{CtlError, Document};
use super::output::Output;
use super::table::{Cell, Paint, Tone, table};

/// What the actor `NODE/mesh` answers to `mesh.dead_letters.v1`.
#[derive(Debug, Deserialize)]
struct Reply {
    letters: Vec<Letter>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    id: u64,
    actor: String,
    kind: String,
    reason: String,
    why: String,
    times: u32,
    age_ms: u64,
    bytes: u64,
    is_replayable: bool,
}

/// A dead letter, with the node that keeps it.
#[derive(Debug, Serialize)]
struct Row {
    node: String,
    #[serde(flatten)]
    letter: Letter,
}

/// What became of a letter that was to be sent again.
#[derive(Debug, Serialize)]
struct Replayed {
    node: String,
    id: u64,
    /// `null` where its actor has it.
    error: Option<Document>,
}

pub(super) async fn dead_letters(
    mesh: &Connection,
    command: &DeadLettersCommand,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match command {
        DeadLettersCommand::List { on } => list(mesh, on.as_deref(), output).await,
        DeadLettersCommand::Replay { on, ids } => replay(mesh, on.as_deref(), ids, output).await,
    }
}

async fn look(mesh: &Connection, node: Option<&str>) -> Result<(Vec<Row>, Option<CtlError>), CtlError> {
    let nodes = each_node::names(mesh, node).await?;
    let (answers, failure) = each_node::ask::<Reply>(mesh, &nodes, "mesh.dead_letters.v1").await;
    let rows = answers.into_iter().flat_map(|(node, reply)| {
        reply.letters.into_iter().map(move |letter| Row { node: node.clone(), letter })
    });
    Ok((rows.collect(), failure))
}

async fn list(mesh: &Connection, node: Option<&str>, output: &mut Output<'_>) -> Result<(), CtlError> {
    let (rows, failure) = look(mesh, node).await?;
    if output.is_json {
        output.document(&rows)?;
    } else if failure.is_none() || !rows.is_empty() {
        output.text(&text(&rows, output.paint))?;
    }
    failure.map_or(Ok(()), Err)
}

/// Sends the letters that were named again, or all that can be; one after the other, since their order may matter.
async fn replay(
    mesh: &Connection,
    node: Option<&str>,
    ids: &[u64],
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let (wanted, failure) = match node {
        Some(node) if !ids.is_empty() => (ids.iter().map(|id| (node.to_owned(), *id)).collect(), None),
        _ => {
            let (rows, failure) = look(mesh, node).await?;
            let rows = rows.into_iter().filter(|row| row.letter.is_replayable);
            (rows.map(|row| (row.node, row.letter.id)).collect::<Vec<_>>(), failure)
        }
    };
    let mut rows = Vec::new();
    for (node, id) in wanted {
        let body = json!({ "id": id });
        let error = match each_node::order(mesh, &node, "mesh.replay_dead_letter.v1", &body).await {
            Ok(()) => None,
            Err(CtlError::Refused(document)) => Some(*document),
            Err(error) => return Err(error),
        };
        rows.push(Replayed { node, id, error });
    }
    if output.is_json {
        output.document(&rows)?;
    } else {
        output.text(&replay_text(&rows, output.paint))?;
    }
    let refused = rows.iter().filter(|row| row.error.is_some()).count();
    if refused > 0 {
        let message =
            format!("{refused} of {} dead letters were not sent again; they are still there", rows.len());
        return Err(Document::own("NOT_REPLAYED", message).into());
    }
    failure.map_or(Ok(()), Err)
}

fn text(rows: &[Row], paint: Paint) -> String {
    let columns = [
        ("NODE", false),
        ("ID", true),
        ("ACTOR", false),
        ("KIND", false),
        ("AGE", true),
        ("BYTES", true),
        ("REPLAY", false),
        ("WHY", false),
    ];
    let row = |Row { node, letter }: &Row| {
        let age = humantime::format_duration(Duration::from_secs(letter.age_ms / 1000)).to_string();
        let replay = if letter.is_replayable { Cell::plain("yes") } else { Cell::new("no", Tone::Faint) };
        [
            Cell::plain(node),
            Cell::plain(&letter.id.to_string()),
            Cell::plain(&letter.actor),
            Cell::plain(&letter.kind),
            Cell::plain(&age),
            Cell::plain(&letter.bytes.to_string()),
            replay,
            Cell::new(&letter.reason, Tone::Warning),
        ]
    };
    table(columns, &rows.iter().map(row).collect::<Vec<_>>(), paint)
}

fn replay_text(rows: &[Replayed], paint: Paint) -> String {
    let columns = [("NODE", false), ("ID", true), ("RESULT", false), ("WHY", false)];
    let row = |row: &Replayed| {
        let (result, why) = match &row.error {
            None => (Cell::new("sent", Tone::Good), Cell::plain("")),
            Some(error) => (Cell::new(&error.code, Tone::Bad), Cell::plain(&error.message)),
        };
        [Cell::plain(&row.node), Cell::plain(&row.id.to_string()), result, why]
    };
    table(columns, &rows.iter().map(row).collect::<Vec<_>>(), paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_is_a_row_for_people() {
        let letter = |id, is_replayable| Letter {
            id,
            actor: "crash".to_owned(),
            kind: "lab.crash.v1".to_owned(),
            reason: "crashed its actor 1 times: as it was told".to_owned(),
            why: "poison".to_owned(),
            times: 1,
            age_ms: 61_900,
            bytes: 2,
            is_replayable,
        };
        let row = |letter| Row { node: "beta".to_owned(), letter };
        insta::assert_snapshot!(text(&[row(letter(9, false)), row(letter(10, true))], Paint(false)), @r"
        NODE  ID  ACTOR  KIND            AGE  BYTES  REPLAY  WHY
        beta   9  crash  lab.crash.v1  1m 1s      2  no      crashed its actor 1 times: as it was told
        beta  10  crash  lab.crash.v1  1m 1s      2  yes     crashed its actor 1 times: as it was told
        ");
        let refused = Document::own("NOT_RUNNING", "crash is not running");
        let rows = [
            Replayed { node: "beta".to_owned(), id: 9, error: None },
            Replayed { node: "beta".to_owned(), id: 10, error: Some(refused) },
        ];
        insta::assert_snapshot!(replay_text(&rows, Paint(false)), @r"
        NODE  ID  RESULT       WHY
        beta   9  sent         –
        beta  10  NOT_RUNNING  crash is not running
        ");
    }
}
