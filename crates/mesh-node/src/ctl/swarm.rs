//! `swarm`: tasks for a swarm, and what became of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use mesh::{Message, WireMessage};
use mesh_agents::swarm::{
    CancelTasks, CancelledTasks, DescribeSwarm, FetchResult, FetchedResult, ListTasks, OnFailed, SubmitTasks,
    Submitted, SwarmProgress, SwarmStatus, SwarmTask, TaskList, TaskRow,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::timeout;
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::message::print_reply;
use super::output::Output;
use super::table::{Cell, Tone, printable, table};

/// What a coordinator does within, unless it is to wait.
const ASK_MAX: Duration = Duration::from_secs(30);
/// The longest wait of one message.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What can be done with a swarm. Its coordinator is started with `meshctl actor place swarm swarm-NAME`.
#[derive(Debug, Subcommand)]
pub enum SwarmCommand {
    /// Give a swarm tasks, all of them or none
    Submit {
        /// The swarm
        name: String,
        /// [{"id", "input", "priority", "after": [ids], "needs": [capabilities], "on_failed": "fail|skip|run"}, …]
        #[arg(value_name = "JSON|@FILE")]
        tasks: String,
    },
    /// How far a swarm is
    Status {
        /// The swarm
        name: String,
        /// Wait until all tasks have ended, at most so long and at most a minute
        #[arg(long, value_name = "TIME", value_parser = timeout)]
        wait: Option<Duration>,
    },
    /// What became of tasks; with TASK, what came of that one
    Results {
        /// The swarm
        name: String,
        /// One task, whose result is printed
        task: Option<String>,
        /// Only tasks that stand so: done, failed, poisoned, running …
        #[arg(long, value_name = "STATE", conflicts_with = "task")]
        only: Option<String>,
        /// Wait until the task has ended, at most so long and at most a minute
        #[arg(long, value_name = "TIME", value_parser = timeout, requires = "task")]
        wait: Option<Duration>,
    },
    /// End tasks that nobody wants any more
    Cancel {
        /// The swarm
        name: String,
        /// The tasks
        #[arg(required = true)]
        tasks: Vec<String>,
    },
    /// Print what happens in a swarm, until Ctrl-C
    Watch {
        /// The swarm
        name: String,
    },
}

/// A task as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    id: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    needs: BTreeSet<String>,
    #[serde(default)]
    on_failed: OnFailed,
}

impl From<Given> for SwarmTask {
    fn from(given: Given) -> Self {
        let Given { id, input, priority, after, needs, on_failed } = given;
        Self { id, input: input.to_string(), priority, dependencies: after, capabilities: needs, on_failed }
    }
}

pub(super) async fn swarm(
    mesh: &Connection,
    command: &SwarmCommand,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match command {
        SwarmCommand::Submit { name, tasks } => {
            let tasks = read(tasks)?;
            let done: Submitted = ask(mesh, name, &SubmitTasks { tasks }, ASK_MAX).await?;
            if output.is_json {
                return Ok(output.document(&done)?);
            }
            Ok(output.line(&format!("{} tasks were taken; swarm {name} has {}", done.taken, done.total))?)
        }
        SwarmCommand::Status { name, wait } => {
            let (wait_ms, patience) = waiting(*wait);
            let status: SwarmStatus = ask(mesh, name, &DescribeSwarm { wait_ms }, patience).await?;
            if output.is_json { Ok(output.document(&status)?) } else { Ok(output.line(&sentence(&status))?) }
        }
        SwarmCommand::Results { name, task: None, only, .. } => list(mesh, name, only.as_ref(), output).await,
        SwarmCommand::Results { name, task: Some(task), wait, .. } => {
            let (wait_ms, patience) = waiting(*wait);
            let fetch = FetchResult { task: task.clone(), wait_ms };
            let found: FetchedResult = ask(mesh, name, &fetch, patience).await?;
            match found.result {
                Some(result) => print_reply(&result, output),
                None => Err(not_done(&found.row).into()),
            }
        }
        SwarmCommand::Cancel { name, tasks } => {
            let done: CancelledTasks =
                ask(mesh, name, &CancelTasks { tasks: tasks.clone() }, ASK_MAX).await?;
            if output.is_json {
                return Ok(output.document(&done)?);
            }
            Ok(output.line(&format!(
                "{} of {} had not ended, and are cancelled",
                done.cancelled,
                tasks.len()
            ))?)
        }
        SwarmCommand::Watch { name } => watch(mesh, name, output).await,
    }
}

fn read(tasks: &str) -> Result<Vec<SwarmTask>, CtlError> {
    let unread = |reason: String| CtlError::Usage(reason);
    let text = match tasks.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(Path::new(path)).map_err(|error| unread(format!("{path}: {error}")))?
        }
        None => tasks.to_owned(),
    };
    let given: Vec<Given> =
        serde_json::from_str(&text).map_err(|error| unread(format!("these are no tasks: {error}")))?;
    Ok(given.into_iter().map(SwarmTask::from).collect())
}

async fn ask<M, T>(mesh: &Connection, swarm: &str, message: &M, timeout: Duration) -> Result<T, CtlError>
where
    M: WireMessage + Message<Reply = Result<T, mesh::Failure>>,
    T: DeserializeOwned,
{
    let body = serde_json::to_string(message).expect("texts and numbers are JSON");
    let reply = mesh.ask(&format!("swarm-{swarm}"), M::KIND, &body, timeout).await?;
    let unknown =
        |error| Document::own("BAD_REPLY", format!("swarm {swarm} answers what is not known here: {error}"));
    serde_json::from_str(&reply).map_err(|error| unknown(error).into())
}

/// The wait, and the time that it may take with everything.
fn waiting(wait: Option<Duration>) -> (u64, Duration) {
    let wait = wait.unwrap_or_default().min(WAIT_MAX);
    (u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), wait + ASK_MAX)
}

fn sentence(status: &SwarmStatus) -> String {
    let SwarmStatus { swarm, node, life, done, not_done, running, ready, blocked, .. } = status;
    let turned = match (status.is_stopped, status.is_draining) {
        (true, _) => ", stopped",
        (false, true) => ", draining",
        (false, false) => "",
    };
    format!(
        "swarm {swarm} on {node} (life {life}{turned}): {done} done, {not_done} not done, {running} running, {ready} ready, \
         {blocked} blocked; {} workers wait",
        status.waiting_workers
    )
}

fn not_done(row: &TaskRow) -> Document {
    let TaskRow { task, state, detail, .. } = row;
    let why = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
    Document::own("SWARM_NOT_DONE", format!("task {task} is {state}{why}, and has no result"))
}

async fn list(
    mesh: &Connection,
    name: &str,
    state: Option<&String>,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let mut rows = Vec::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let list = ListTasks { state: state.cloned(), from: at, limit: 1000 };
        let page: TaskList = ask(mesh, name, &list, ASK_MAX).await?;
        rows.extend(page.tasks);
        from = page.next;
    }
    if output.is_json {
        return Ok(output.document(&rows)?);
    }
    let cells = |row: &TaskRow| {
        let tone = match row.state.as_str() {
            "done" => Tone::Good,
            "blocked" | "ready" | "running" => Tone::Plain,
            _ => Tone::Bad,
        };
        let attempts = row.attempts.to_string();
        [
            Cell::plain(&row.task),
            Cell::new(&row.state, tone),
            Cell::plain(&attempts),
            Cell::plain(&row.detail),
        ]
    };
    let cells: Vec<_> = rows.iter().map(cells).collect();
    let columns = [("TASK", false), ("STATE", false), ("ATTEMPTS", true), ("WHO, OR WHY", false)];
    Ok(output.text(&table(columns, &cells, output.paint))?)
}

async fn watch(mesh: &Connection, name: &str, output: &mut Output<'_>) -> Result<(), CtlError> {
    let mut following = mesh.follow(&format!("swarm/{name}"), Some(SwarmProgress::KIND)).await?;
    while let Some(published) = following.next().await {
        let body = published?.body;
        if output.is_json {
            output.line(&body)?;
            continue;
        }
        let Ok(progress) = serde_json::from_str::<SwarmProgress>(&body) else { continue };
        for change in &progress.changes {
            let attempt = change.attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
            let line = format!("{} {}{attempt} {}", change.task, change.state, change.detail);
            output.line(printable(line.trim_end()).as_ref())?;
        }
        output.line(&sentence(&progress.status))?;
    }
    let message = format!("{} has ended the stream of swarm/{name}: it leaves", mesh.node());
    Err(Document::own("ENDED", message).into())
}
