//! `workflow check`, `workflow run` and `workflow schema`.

mod progress;

use std::fs;
use std::io::Read;
use std::path::Path;

use mesh::JsonItem;
use mesh_agents::workflow::{FILE_BYTES_MAX, Loaded, Report, Strictness, load};
use serde_json::json;

use self::progress::Progress;
use super::args::RunArgs;
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::output::Output;

/// Tasks beyond this are data, and belong into a file that an agent reads.
const TASK_BYTES_MAX: usize = 1 << 20;

pub(super) fn schema(output: &mut Output<'_>) -> Result<(), CtlError> {
    let schema = mesh_agents::workflow::schema();
    if output.is_json {
        Ok(output.document(&schema)?)
    } else {
        Ok(output.line(&format!("{:#}", json!(schema)))?)
    }
}

pub(super) fn check(file: &Path, is_strict: bool, output: &mut Output<'_>) -> Result<(), CtlError> {
    let text = read(file, FILE_BYTES_MAX)?;
    let loaded = checked(file, &text, is_strict)?;
    if output.is_json {
        return Ok(output.document(&json!({ "problems": loaded.warnings.diagnostics() }))?);
    }
    if !loaded.warnings.is_empty() {
        output.line(&loaded.warnings.to_string())?;
    }
    Ok(output.text(&loaded.plan.describe())?)
}

pub(super) async fn run(mesh: &Connection, args: &RunArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let text = read(&args.file, FILE_BYTES_MAX)?;
    let loaded = checked(&args.file, &text, args.strict)?;
    let task = match args.task.strip_prefix('@') {
        Some(file) => read(Path::new(file), TASK_BYTES_MAX)?,
        None => args.task.clone(),
    };
    if !output.is_json && !loaded.warnings.is_empty() {
        output.line(&loaded.warnings.to_string())?;
    }
    let body = json!({
        "name": args.file.to_string_lossy(),
        "text": text,
        "task": task,
        "strict": args.strict,
    });
    let path = format!("{}/workflows", mesh.node());
    let mut stream = mesh.stream(&path, "workflow.run.v1", &body.to_string(), args.timeout).await?;
    let mut progress = Progress::default();
    while let Some(event) = stream.next().await? {
        match event {
            JsonItem::Item(item) if output.is_json => output.line(&item)?,
            JsonItem::Reply(_) if output.is_json => {}
            JsonItem::Item(item) => {
                for line in progress.lines_of(&item, output.paint) {
                    output.line(&line)?;
                }
            }
            JsonItem::Reply(reply) => progress.finish(&reply, output)?,
        }
    }
    progress.outcome()
}

fn read(file: &Path, bytes_max: usize) -> Result<String, CtlError> {
    let unreadable =
        |reason: &dyn std::fmt::Display| CtlError::Usage(format!("cannot read {}: {reason}", file.display()));
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(|error| unreadable(&error))?;
    opened.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > bytes_max {
        return Err(unreadable(&format!("it has more than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(&"it is not text"))
}

/// A file's mistakes are told before anything is sent.
fn checked(file: &Path, text: &str, is_strict: bool) -> Result<Loaded, CtlError> {
    let strictness = if is_strict { Strictness::Strict } else { Strictness::Lenient };
    load(&file.to_string_lossy(), text, strictness).map_err(|report| refused(&report))
}

fn refused(report: &Report) -> CtlError {
    let details = json!({ "problems": report.diagnostics() });
    let message = format!("{} cannot be run", report.file());
    let document = Document::own("BAD_WORKFLOW", message).with_details(details);
    CtlError::Refused { document: Box::new(document), text: Some(report.to_string()) }
}
