//! `approve` and `reject`.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use mesh::WireMessage;
use mesh_agents::approvals::{ARGS_BYTES_MAX, AnswerApproval, AnswerTaken, ApprovalRow, Level, Word};
use serde_json::json;

use super::super::connection::Connection;
use super::super::error::{CtlError, Document};
use super::super::output::Output;
use super::args::ApproveArgs;
use super::{ask, find, short};

pub(super) async fn approve(
    mesh: &Connection,
    given: &ApproveArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let edit = given.edit.as_deref().map(read).transpose()?;
    let row = find::one(mesh, &given.id).await?;
    check_read(&row, given.hash.as_deref())?;
    let verdict = if edit.is_some() { Word::Edit } else { Word::Approve };
    let answer = AnswerApproval { args: edit, note: given.note.clone(), ..answer(&row, verdict) };
    tell(&row, &send(mesh, &row, &answer).await?, output)
}

pub(super) async fn reject(
    mesh: &Connection,
    id: &str,
    reason: &str,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let row = find::one(mesh, id).await?;
    let answer = AnswerApproval { note: reason.to_owned(), ..answer(&row, Word::Reject) };
    tell(&row, &send(mesh, &row, &answer).await?, output)
}

/// An answer to what was seen.
pub(super) fn answer(row: &ApprovalRow, verdict: Word) -> AnswerApproval {
    let (id, hash) = (row.id.clone(), row.hash.clone());
    AnswerApproval { id, hash, verdict, args: None, note: String::new() }
}

pub(super) async fn send(
    mesh: &Connection,
    row: &ApprovalRow,
    answer: &AnswerApproval,
) -> Result<AnswerTaken, CtlError> {
    let body = serde_json::to_string(answer).expect("texts are JSON");
    ask(mesh, &row.node, AnswerApproval::KIND, &body).await
}

/// Who approves what is to be reviewed says what they have read.
fn check_read(row: &ApprovalRow, hash: Option<&str>) -> Result<(), CtlError> {
    match hash {
        Some(hash) if row.hash.starts_with(hash) => Ok(()),
        Some(_) => {
            let message = format!("{} is another action by now, {}; look again", short(&row.id, 8), row.hash);
            Err(Document::own("OTHER_ACTION", message).into())
        }
        None if row.level == Level::Review.as_str() && row.state == "pending" => {
            let id = short(&row.id, 8);
            Err(CtlError::Usage(format!(
                "{id} is to be reviewed: read it by `meshctl approvals show {id}`, and give the hash that stands there \
                 (--hash)"
            )))
        }
        None => Ok(()),
    }
}

fn tell(row: &ApprovalRow, taken: &AnswerTaken, output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json {
        let AnswerTaken { state, missing, hash } = taken;
        let document =
            json!({"id": row.id, "node": row.node, "state": state, "missing": missing, "hash": hash});
        return Ok(output.document(&document)?);
    }
    Ok(output.line(&said(row, taken))?)
}

pub(super) fn said(row: &ApprovalRow, taken: &AnswerTaken) -> String {
    let what = format!("{} of {}", row.action, row.agent);
    match taken.missing {
        0 => format!("{} {what}", taken.state),
        1 => format!("counted: {what} needs one more to approve"),
        more => format!("counted: {what} needs {more} more to approve"),
    }
}

/// New arguments; a mistake in them is found here, with its place.
fn read(file: &Path) -> Result<String, CtlError> {
    let unreadable =
        |reason: &dyn std::fmt::Display| CtlError::Usage(format!("cannot read {}: {reason}", file.display()));
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).map_err(|error| unreadable(&error))?)
    };
    let mut text = String::new();
    from.take(ARGS_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    if text.len() > ARGS_BYTES_MAX {
        return Err(unreadable(&format!("it has more than {ARGS_BYTES_MAX} bytes")));
    }
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unreadable(&format!("not JSON: {error}")))?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::row;
    use super::*;

    #[test]
    fn what_is_to_be_reviewed_needs_the_hash_that_was_read() {
        let confirm = ApprovalRow { hash: "0123456789".to_owned(), ..row("3f9c") };
        let review = ApprovalRow { level: "review".to_owned(), ..confirm.clone() };
        assert!(check_read(&confirm, None).is_ok());
        assert!(matches!(check_read(&review, None), Err(CtlError::Usage(_))));
        for row in [confirm, review] {
            assert!(check_read(&row, Some("01234567")).is_ok());
            assert!(check_read(&row, Some("01234568")).unwrap_err().is_code("OTHER_ACTION"));
        }
    }

    #[test]
    fn edited_arguments_that_are_no_json_are_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("args.json");
        fs::write(&file, "{\"a\": 1,\n}").unwrap();
        let Err(CtlError::Usage(said)) = read(&file) else { panic!("it is no JSON") };
        assert!(said.contains("line 2 column 1"), "{said}");
        fs::write(&file, "{\"a\":\n 1}").unwrap();
        assert_eq!(read(&file).unwrap(), "{\"a\":1}");
        assert!(matches!(read(&folder.path().join("none")), Err(CtlError::Usage(_))));
    }
}
