//! `workflow check`, `workflow run`, `workflow resume` and `workflow schema`.

mod progress;
mod resume;

pub(super) use self::resume::resume;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh::{JsonItem, WireMessage};
use mesh_agents::workflow::{FILE_BYTES_MAX, Loaded, Report, Strictness, load};
use mesh_agents::workflows::{CreateRun, Created, RunWorkflow, Workflows};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::progress::Progress;
use super::args::RunArgs;
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::output::Output;

/// Tasks beyond this are data, and belong into a file that an agent reads.
const TASK_BYTES_MAX: usize = 1 << 20;
/// People wonder after this time whether anything goes on, and then from second to second.
const SILENCE_MIN: Duration = Duration::from_secs(3);
const SILENCE_STEP: Duration = Duration::from_secs(1);
/// Checking a file and spawning one actor.
const CREATE_MAX: Duration = Duration::from_secs(10);

pub(super) fn schema(output: &mut Output<'_>) -> Result<(), CtlError> {
    let schema = mesh_agents::workflow::schema();
    if output.is_json { Ok(output.document(&schema)?) } else { Ok(output.line(&format!("{schema:#}"))?) }
}

pub(super) fn check(file: &Path, is_strict: bool, output: &mut Output<'_>) -> Result<(), CtlError> {
    let text = read(file, FILE_BYTES_MAX)?;
    let loaded = checked(file, &text, is_strict)?;
    if output.is_json {
        return Ok(output.document(&json!({ "problems": loaded.warnings.diagnostics() }))?);
    }
    print_warnings(&loaded, output)?;
    Ok(output.text(&loaded.plan.describe())?)
}

pub(super) async fn run(mesh: &Connection, args: &RunArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let text = read(&args.file, FILE_BYTES_MAX)?;
    let loaded = checked(&args.file, &text, args.strict)?;
    let task = match args.task.strip_prefix('@') {
        Some(file) => read(Path::new(file), TASK_BYTES_MAX)?,
        None => args.task.clone(),
    };
    if !output.is_json {
        print_warnings(&loaded, output)?;
    }
    let create = CreateRun { name: args.file.display().to_string(), text, task, strict: args.strict };
    let created = create_run(mesh, &create).await?;
    follow(mesh, &created.path, args.timeout, Progress::new(&loaded.plan), output).await
}

/// Reads a run to its end.
async fn follow(
    mesh: &Connection,
    path: &str,
    time: Duration,
    mut progress: Progress,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let mut stream = mesh.stream(path, RunWorkflow::KIND, "{}", time).await?;
    let mut last = Instant::now();
    loop {
        let part = match timeout(SILENCE_STEP, stream.next()).await {
            Ok(Ok(part)) => part,
            Ok(Err(error)) => {
                progress.clear(output)?;
                return Err(progress.resumable(error));
            }
            Err(_silence) => {
                if !output.is_json && last.elapsed() >= SILENCE_MIN {
                    progress.wait(last.elapsed(), output)?;
                }
                continue;
            }
        };
        last = Instant::now();
        let Some(part) = part else { break };
        match part {
            JsonItem::Item(event) => progress.take(&event, output)?,
            JsonItem::Reply(ended) => {
                progress.end(&ended)?;
                if output.is_json {
                    output.line(&format!("{{\"ended\":{ended}}}"))?;
                }
            }
        }
    }
    progress.finish(output)
}

async fn create_run(mesh: &Connection, create: &CreateRun) -> Result<Created, CtlError> {
    let path = format!("{}/{}", mesh.node(), Workflows::NAME);
    let body = serde_json::to_string(create).expect("texts and a flag are JSON");
    match mesh.ask(&path, CreateRun::KIND, &body, CREATE_MAX).await {
        Ok(created) => serde_json::from_str(&created).map_err(|error| {
            let message = format!("{path} answers in a way that this meshctl does not understand: {error}");
            Document::own("BAD_REPLY", message).into()
        }),
        Err(CtlError::Refused(document)) => {
            let report = document.details.get("report").and_then(Value::as_str);
            match report.filter(|report| !report.is_empty()).map(str::to_owned) {
                // A node of another version may know more rules than this program.
                Some(text) => Err(CtlError::BadFile { document, text }),
                None => Err(CtlError::Refused(document)),
            }
        }
        Err(other) => Err(other),
    }
}

fn print_warnings(loaded: &Loaded, output: &mut Output<'_>) -> Result<(), CtlError> {
    if loaded.warnings.is_empty() { Ok(()) } else { Ok(output.line(&loaded.warnings.to_string())?) }
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
    let document =
        Document::own("BAD_WORKFLOW", format!("{} cannot be run", report.file())).with_details(details);
    CtlError::BadFile { document: Box::new(document), text: report.to_string() }
}
