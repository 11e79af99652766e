//! How runs are shown to people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_agents::durable::{RunRow, RunShown};
use serde::Serialize;

use super::super::error::CtlError;
use super::super::output::Output;
use super::super::table::{Cell, Paint, Tone, printable, table};
use super::Listed;

/// How much of a result fits into a line.
const RESULT_CHARS_MAX: usize = 70;

pub(super) fn listed(runs: &[Listed], output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json {
        return Ok(output.document(&runs)?);
    }
    let now = now_ms();
    Ok(output.text(&list(runs, now, output.paint))?)
}

pub(super) fn changed(run: Listed, output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json {
        return Ok(output.document(&run)?);
    }
    listed(&[run], output)
}

pub(super) fn shown(node: &str, run: &RunShown, output: &mut Output<'_>) -> Result<(), CtlError> {
    #[derive(Serialize)]
    struct Whole<'a> {
        node: &'a str,
        #[serde(flatten)]
        run: &'a RunShown,
    }
    if output.is_json {
        return Ok(output.document(&Whole { node, run })?);
    }
    let row = Listed { node: node.to_owned(), row: run.row.clone() };
    let mut text = list(&[row], now_ms(), output.paint);
    text += &format!("\ntask   {}\n", printable(&run.task));
    for (name, value) in [("fault", &run.row.fault), ("fork", &run.row.forked_from)] {
        if let Some(value) = value {
            text += &format!("{name:<6} {}\n", printable(value));
        }
    }
    text += &format!("\n{}", steps(run, output.paint));
    if !run.calls.is_empty() {
        let rows: Vec<_> = run
            .calls
            .iter()
            .map(|call| [Cell::plain(&call.key), Cell::plain(&call.tool), Cell::plain(&call.state)])
            .collect();
        text += &format!(
            "\n{}",
            table([("CALL", false), ("TOOL", false), ("STATE", false)], &rows, output.paint)
        );
    }
    let rows: Vec<_> = run
        .checkpoints
        .iter()
        .map(|saved| {
            [
                Cell::plain(&saved.id),
                Cell::plain(&saved.step.to_string()),
                Cell::plain(&age(saved.at_ms, now_ms())),
                Cell::plain(&saved.tags.join(" ")),
            ]
        })
        .collect();
    let columns = [("CHECKPOINT", false), ("NEXT STEP", true), ("AGE", true), ("TAGS", false)];
    text += &format!("\n{}", table(columns, &rows, output.paint));
    for damage in &run.damage {
        text += &format!("{}\n", output.paint.text(Tone::Bad, &printable(damage)));
    }
    Ok(output.text(&text)?)
}

fn list(runs: &[Listed], now_ms: i64, paint: Paint) -> String {
    let rows: Vec<_> = runs
        .iter()
        .map(|Listed { node, row }| {
            [
                Cell::plain(&row.run),
                Cell::plain(&row.agent),
                state(row),
                Cell::plain(&place(row)),
                Cell::plain(if row.holder.is_some() { node } else { "" }),
                Cell::plain(&age(row.updated_ms, now_ms)),
                Cell::plain(&row.tags.join(" ")),
                Cell::new(&row.fault.as_deref().map(cut).unwrap_or_default(), Tone::Warning),
            ]
        })
        .collect();
    let columns = [
        ("RUN", false),
        ("AGENT", false),
        ("STATE", false),
        ("STEP", true),
        ("NODE", false),
        ("CHANGED", true),
        ("TAGS", false),
        ("FAULT", false),
    ];
    table(columns, &rows, paint)
}

fn state(row: &RunRow) -> Cell {
    let tone = match row.status.as_str() {
        "completed" => Tone::Good,
        "failed" => Tone::Bad,
        "paused" | "waiting_human" => Tone::Warning,
        _ => Tone::Plain,
    };
    match &row.wanted {
        Some(wanted) => Cell::new(&format!("{} (to {wanted})", row.status), tone),
        None => Cell::new(&row.status, tone),
    }
}

/// `2/5`: two steps are done of five.
fn place(row: &RunRow) -> String {
    row.steps.map_or_else(String::new, |steps| format!("{}/{steps}", row.current_step))
}

fn steps(run: &RunShown, paint: Paint) -> String {
    let rows: Vec<_> = run
        .steps
        .iter()
        .map(|step| {
            let tone = match step.state.as_str() {
                "done" => Tone::Good,
                "next" => Tone::Warning,
                _ => Tone::Faint,
            };
            [
                Cell::plain(&step.step.to_string()),
                Cell::plain(&step.name),
                Cell::new(&step.state, tone),
                Cell::plain(&step.result.as_deref().map(cut).unwrap_or_default()),
            ]
        })
        .collect();
    table([("STEP", true), ("NAME", false), ("STATE", false), ("RESULT", false)], &rows, paint)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(RESULT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn age(then_ms: i64, now_ms: i64) -> String {
    let age = Duration::from_millis(u64::try_from(now_ms - then_ms).unwrap_or_default());
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_where_each_run_stands() {
        let row = RunRow {
            run: "report-1".to_owned(),
            agent: "report".to_owned(),
            status: "executing".to_owned(),
            wanted: Some("pause".to_owned()),
            current_step: 2,
            steps: Some(5),
            holder: Some("beta@1".to_owned()),
            is_here: true,
            epoch: 1,
            fault: None,
            tags: vec!["red".to_owned()],
            forked_from: None,
            created_ms: 0,
            updated_ms: 1_000,
        };
        let failed = RunRow {
            run: "report-2".to_owned(),
            status: "failed".to_owned(),
            wanted: None,
            steps: None,
            holder: None,
            fault: Some("NOT_YET: not yet".to_owned()),
            tags: Vec::new(),
            ..row.clone()
        };
        let runs = [row, failed].map(|row| Listed { node: "beta".to_owned(), row });
        insta::assert_snapshot!(list(&runs, 66_000, Paint(false)), @r"
        RUN       AGENT   STATE                 STEP  NODE  CHANGED  TAGS  FAULT
        report-1  report  executing (to pause)   2/5  beta    1m 5s  red   –
        report-2  report  failed                   –  –       1m 5s  –     NOT_YET: not yet
        ");
    }
}
