//! `runs`: the runs of durable agents, wherever they are.
//!
//! Nodes that share a store tell the same runs, and others have their own; which node to speak to about a run is found
//! here.

mod args;
mod show;

use std::time::Duration;

use futures::future::join_all;
use mesh::{Message, WireMessage};
use mesh_agents::durable::{
    CancelRun, DeleteRun, ExportRun, ForkRun, ListRuns, PauseRun, ResumeRun, RunDeleted, RunExported,
    RunList, RunRefused, RunRow, RunShown, RunsActor, ShowRun, StartRun,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

pub(super) use self::args::RunsCommand;
use self::args::{ForkArgs, ListArgs, StartArgs};
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::listing;
use super::output::Output;

/// A node asks its store, which may wait for its disk or its server.
const ASK_MAX: Duration = Duration::from_secs(15);
/// How often a run is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// A run, and the node to speak to about it.
#[derive(Debug, Clone, Serialize)]
struct Listed {
    node: String,
    #[serde(flatten)]
    row: RunRow,
}

pub(super) async fn runs(
    mesh: &Connection,
    command: &RunsCommand,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    match command {
        RunsCommand::List(args) => list(mesh, args, output).await,
        RunsCommand::Show { run, at } => {
            let node = find(mesh, run).await?.node;
            let message = ShowRun { run: run.clone(), at: at.clone() };
            let shown: RunShown = ask(mesh, &node, &message).await?;
            show::shown(&node, &shown, output)
        }
        RunsCommand::Start(args) => start(mesh, args, output).await,
        RunsCommand::Pause { run } => {
            let node = find(mesh, run).await?.node;
            let row = ask(mesh, &node, &PauseRun { run: run.clone() }).await?;
            show::changed(Listed { node, row }, output)
        }
        RunsCommand::Cancel { run } => {
            let node = find(mesh, run).await?.node;
            let row = ask(mesh, &node, &CancelRun { run: run.clone() }).await?;
            show::changed(Listed { node, row }, output)
        }
        RunsCommand::Resume { run, on, wait } => {
            let node = match on {
                Some(node) => node.clone(),
                None => find(mesh, run).await?.node,
            };
            let row: RunRow = ask(mesh, &node, &ResumeRun { run: run.clone() }).await?;
            rested(mesh, Listed { node, row }, *wait, output).await
        }
        RunsCommand::Fork(args) => fork(mesh, args, output).await,
        RunsCommand::Delete { run } => {
            let node = find(mesh, run).await?.node;
            let gone: RunDeleted = ask(mesh, &node, &DeleteRun { run: run.clone() }).await?;
            if output.is_json { Ok(output.document(&gone)?) } else { Ok(()) }
        }
        RunsCommand::Export { run } => {
            let node = find(mesh, run).await?.node;
            let exported: RunExported = ask(mesh, &node, &ExportRun { run: run.clone() }).await?;
            if output.is_json {
                return Ok(output.line(&exported.json)?);
            }
            Ok(output.line(&super::indent::indented(&exported.json))?)
        }
    }
}

async fn list(mesh: &Connection, args: &ListArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let nodes = match &args.on {
        Some(node) => vec![node.clone()],
        None => alive(mesh).await?,
    };
    let filter = ListRuns {
        run: None,
        status: args.status.clone(),
        agent: args.agent.clone(),
        tag: args.tag.clone(),
        after: None,
        limit: 1000,
    };
    show::listed(&all(mesh, nodes, &filter).await?, output)
}

async fn start(mesh: &Connection, args: &StartArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let node = args.on.clone().unwrap_or_else(|| mesh.node());
    let message = StartRun {
        agent: args.agent.clone(),
        task: args.task.clone(),
        run: args.id.clone(),
        tags: args.tag.clone(),
        afresh: args.afresh,
    };
    let row: RunRow = ask(mesh, &node, &message).await?;
    rested(mesh, Listed { node, row }, args.wait, output).await
}

async fn fork(mesh: &Connection, args: &ForkArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let node = find(mesh, &args.run).await?.node;
    let (run, checkpoint) = (args.run.clone(), args.at.clone());
    let message = ForkRun { run, checkpoint, id: args.id.clone(), start: args.start };
    let row = ask(mesh, &node, &message).await?;
    show::changed(Listed { node, row }, output)
}

/// Waits until the run is at rest, if that is wanted, and shows it.
async fn rested(
    mesh: &Connection,
    mut listed: Listed,
    wait: Option<Duration>,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let Some(wait) = wait else { return show::changed(listed, output) };
    let until = Instant::now() + wait;
    while !matches!(listed.row.status.as_str(), "completed" | "failed" | "cancelled" | "paused") {
        if Instant::now() >= until {
            let message =
                format!("run {} is {} after {wait:?}; it goes on", listed.row.run, listed.row.status);
            return Err(Document::own("TIMEOUT", message).into());
        }
        sleep(LOOK).await;
        // It may be elsewhere by now.
        listed = find(mesh, &listed.row.run).await?;
    }
    show::changed(listed, output)
}

/// The node to speak to about a run: the one that works on it, or that has it, or that could.
pub(super) async fn node_of(mesh: &Connection, run: &str) -> Result<String, CtlError> {
    Ok(find(mesh, run).await?.node)
}

/// Finds a run: at the node that works on it, or that has it, or that could.
async fn find(mesh: &Connection, run: &str) -> Result<Listed, CtlError> {
    let only =
        ListRuns { run: Some(run.to_owned()), status: None, agent: None, tag: None, after: None, limit: 1 };
    let found = all(mesh, alive(mesh).await?, &only).await?.into_iter().next();
    found.ok_or_else(|| Document::own("NO_SUCH_RUN", format!("no node has a run {run}")).into())
}

async fn alive(mesh: &Connection) -> Result<Vec<String>, CtlError> {
    let members = listing::members(mesh).await?.into_iter();
    Ok(members.filter(|node| node.state == "alive").map(|node| node.name).collect())
}

/// Asks all of these nodes, and tells each run once.
async fn all(mesh: &Connection, nodes: Vec<String>, filter: &ListRuns) -> Result<Vec<Listed>, CtlError> {
    let asked =
        nodes.iter().map(|node| async move { (node, ask::<ListRuns, RunList>(mesh, node, filter).await) });
    let (mut rows, mut failure) = (Vec::new(), None);
    for (node, answer) in join_all(asked).await {
        match answer {
            Ok(list) => rows.extend(list.runs.into_iter().map(|row| Listed { node: node.clone(), row })),
            // A program of somebody's own need not have runs.
            Err(error) if error.is_code("NO_SUCH_ACTOR") => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let here = mesh.node();
    rows.sort_by(|one, other| one.row.run.cmp(&other.row.run).then(other.rank(&here).cmp(&one.rank(&here))));
    rows.dedup_by(|next, kept| next.row.run == kept.row.run);
    match failure {
        Some(failure) if rows.is_empty() => Err(failure),
        _ => Ok(rows),
    }
}

impl Listed {
    /// How good a node is to be spoken to about the run.
    fn rank(&self, here: &str) -> u8 {
        let holder = self.row.holder.as_deref().and_then(|holder| holder.split('@').next());
        match () {
            () if self.row.is_here => 3,
            () if holder == Some(&self.node) => 2,
            () if self.node == here => 1,
            () => 0,
        }
    }
}

async fn ask<M, T>(mesh: &Connection, node: &str, message: &M) -> Result<T, CtlError>
where
    M: WireMessage + Message<Reply = Result<T, RunRefused>>,
    T: DeserializeOwned,
{
    let path = format!("{node}/{}", RunsActor::NAME);
    let body = serde_json::to_string(message).expect("texts and flags are JSON");
    let reply = mesh.ask(&path, M::KIND, &body, ASK_MAX).await?;
    serde_json::from_str(&reply).map_err(|error| {
        let message = format!("{path} answers in a way that this meshctl does not understand: {error}");
        Document::own("BAD_REPLY", message).into()
    })
}
