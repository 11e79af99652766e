//! Requests, for people.

use std::time::{Duration, UNIX_EPOCH};

use mesh::WireMessage;
use mesh_agents::approvals::{ApprovalDetail, ApprovalRow, ShowApproval};
use serde_json::{Value, json};

use super::super::connection::Connection;
use super::super::error::CtlError;
use super::super::output::Output;
use super::super::table::{Cell, Paint, Tone, printable, table};
use super::diff::diff;
use super::{ask, find, short, short_len};

/// Characters of the arguments in a row.
const ARGS_SHOWN_MAX: usize = 60;

pub(super) async fn show(
    mesh: &Connection,
    id: &str,
    only_args: bool,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let row = find::one(mesh, id).await?;
    let detail = detail(mesh, &row).await?;
    match (only_args, output.is_json) {
        (true, true) => Ok(output.line(&detail.args)?),
        (true, false) => Ok(output.line(&pretty(&detail.args))?),
        (false, true) => Ok(output.document(&detail)?),
        (false, false) => Ok(output.text(&text(&detail, output.paint))?),
    }
}

pub(super) async fn detail(mesh: &Connection, row: &ApprovalRow) -> Result<ApprovalDetail, CtlError> {
    ask(mesh, &row.node, ShowApproval::KIND, &json!({ "id": row.id }).to_string()).await
}

pub(super) fn list(rows: &[ApprovalRow], is_all: bool, paint: Paint) -> String {
    let len = short_len(rows);
    let cells = |row: &ApprovalRow| {
        let level =
            if row.needed > 1 { format!("{} ×{}", row.level, row.needed) } else { row.level.clone() };
        let expires = match row.state.as_str() {
            "pending" => Cell::plain(&format!("in {}", time(row.expires_in_ms))),
            state => Cell::new(state, tone(state)),
        };
        [
            Cell::plain(short(&row.id, len)),
            Cell::plain(&row.agent),
            Cell::plain(&what(row)),
            Cell::plain(&level),
            Cell::plain(&time(row.waits_ms)),
            expires,
        ]
    };
    let last = if is_all { "STATE" } else { "EXPIRES" };
    let columns = [
        ("ID", false),
        ("AGENT", false),
        ("ACTION", false),
        ("LEVEL", false),
        ("WAITS", false),
        (last, false),
    ];
    table(columns, &rows.iter().map(cells).collect::<Vec<_>>(), paint)
}

fn tone(state: &str) -> Tone {
    match state {
        "approved" => Tone::Good,
        "rejected" | "expired" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// The action with as much of its arguments as a row has room for.
pub(super) fn what(row: &ApprovalRow) -> String {
    let parsed = serde_json::from_str(&row.args);
    let args = match &parsed {
        Ok(Value::Object(fields)) if fields.is_empty() => String::new(),
        Ok(Value::Object(fields)) if fields.len() == 1 => {
            let only = fields.values().next();
            only.map_or_else(String::new, |value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            })
        }
        Ok(Value::Null) => String::new(),
        _ => row.args.clone(),
    };
    let shown: String = args.chars().take(ARGS_SHOWN_MAX).collect();
    let cut = if shown.len() < args.len() || parsed.is_err() { "…" } else { "" };
    format!("{} {shown}{cut}", row.action).trim_end().to_owned()
}

/// A few seconds, minutes, hours or days.
fn time(ms: u64) -> String {
    match ms / 1000 {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} m", s / 60),
        s if s < 2 * 86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// Everything about one.
pub(super) fn text(detail: &ApprovalDetail, paint: Paint) -> String {
    let row = &detail.row;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let name = paint.text(Tone::Faint, &format!("{name:<10}"));
            // What an agent says may have several lines, and none of them looks like one of ours.
            let value: Vec<String> = value.lines().map(printable).collect();
            text += &format!("{name} {}\n", value.join(&format!("\n{:11}", "")));
        }
    };
    line("id", &row.id);
    line("action", &row.action);
    line("agent", &row.agent);
    line("run", row.run.as_deref().unwrap_or_default());
    line("for", &detail.description);
    line("doing", &detail.doing);
    line("level", &row.level);
    let waits = match row.state.as_str() {
        "pending" => format!("pending for {}, expires in {}", time(row.waits_ms), time(row.expires_in_ms)),
        state => format!("{state} after {}", time(row.waits_ms)),
    };
    line("state", &waits);
    let by = detail.approved_by.join(", ");
    line("approvals", &format!("{} of {}{}", detail.approved_by.len(), row.needed, behind(": ", &by)));
    line("may answer", &detail.approvers.as_ref().map_or_else(String::new, |people| people.join(", ")));
    line("hash", &row.hash);
    text += &paint.text(Tone::Head, "arguments");
    text.push('\n');
    match &detail.original_args {
        None => pretty(&detail.args).lines().for_each(|line| text += &format!("  {}\n", printable(line))),
        Some(before) => {
            for (sign, line) in diff(&pretty(before), &pretty(&detail.args)) {
                let tone = match sign {
                    '+' => Tone::Good,
                    '-' => Tone::Bad,
                    _ => Tone::Plain,
                };
                text += &format!(
                    "{} {}\n",
                    paint.text(tone, &sign.to_string()),
                    paint.text(tone, &printable(&line))
                );
            }
        }
    }
    text += &paint.text(Tone::Head, "record");
    text.push('\n');
    for event in &detail.events {
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(event.at_ms).unwrap_or(0));
        let at = humantime::format_rfc3339_seconds(at);
        let note = behind(": ", &printable(&event.note));
        text += &format!("  {at}  {}  {}{note}\n", event.what, printable(&event.by));
    }
    text
}

fn behind(gap: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{gap}{text}") }
}

fn pretty(args: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(args);
    value.map_or_else(|_| args.to_owned(), |value| format!("{value:#}"))
}

#[cfg(test)]
pub(super) mod tests {
    use mesh_agents::approvals::EventRow;

    use super::*;

    pub(in super::super) fn row(id: &str) -> ApprovalRow {
        ApprovalRow {
            id: id.to_owned(),
            node: "beta".to_owned(),
            agent: "ops@beta".to_owned(),
            run: None,
            action: "delete_files".to_owned(),
            args: r#"{"glob":"logs/*.gz"}"#.to_owned(),
            hash: "0f".repeat(32),
            level: "confirm".to_owned(),
            state: "pending".to_owned(),
            needed: 1,
            requested_ms: 1_800_000_000_000,
            waits_ms: 125_000,
            expires_in_ms: 185_000,
        }
    }

    #[test]
    fn requests_are_a_table_for_people() {
        let rows = [
            row("3f9c0000"),
            ApprovalRow {
                level: "review".to_owned(),
                needed: 2,
                action: "deploy".to_owned(),
                args: r#"{"to":"prod","n":1}"#.to_owned(),
                expires_in_ms: 7_200_000,
                ..row("3f9d1111")
            },
        ];
        insta::assert_snapshot!(list(&rows, false, Paint(false)), @r#"
        ID    AGENT     ACTION                      LEVEL      WAITS  EXPIRES
        3f9c  ops@beta  delete_files logs/*.gz      confirm    2 m    in 3 m
        3f9d  ops@beta  deploy {"to":"prod","n":1}  review ×2  2 m    in 2 h
        "#);
    }

    #[test]
    fn what_an_agent_says_cannot_command_the_terminal() {
        let evil = ApprovalRow {
            args: r#"{"x":"\u001b[2J"}"#.to_owned(),
            agent: "\x1b]0;x\x07@b".to_owned(),
            ..row("3f9c")
        };
        assert!(!list(&[evil], false, Paint(false)).contains('\x1b'));
    }

    #[test]
    fn one_is_shown_with_what_was_edited() {
        let event = |what: &str, by: &str, note: &str| EventRow {
            at_ms: 1_800_000_000_000,
            by: by.to_owned(),
            what: what.to_owned(),
            hash: "0f".repeat(32),
            note: note.to_owned(),
        };
        let detail = ApprovalDetail {
            row: ApprovalRow { state: "approved".to_owned(), ..row("3f9c0000") },
            description: "the disk is full\nreally".to_owned(),
            doing: String::new(),
            args: r#"{"glob":"logs/2019*.gz","n":1}"#.to_owned(),
            original_args: Some(r#"{"glob":"logs/*.gz","n":1}"#.to_owned()),
            approvers: None,
            approved_by: vec!["client/ann".to_owned()],
            events: vec![
                event("requested", "ops@beta", ""),
                event("edited", "client/ann", "not all of them"),
            ],
        };
        insta::assert_snapshot!(text(&detail, Paint(false)), @r#"
        id         3f9c0000
        action     delete_files
        agent      ops@beta
        for        the disk is full
                   really
        level      confirm
        state      approved after 2 m
        approvals  1 of 1: client/ann
        hash       0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
        arguments
          {
        -   "glob": "logs/*.gz",
        +   "glob": "logs/2019*.gz",
            "n": 1
          }
        record
          2027-01-15T08:00:00Z  requested  ops@beta
          2027-01-15T08:00:00Z  edited  client/ann: not all of them
        "#);
    }
}
