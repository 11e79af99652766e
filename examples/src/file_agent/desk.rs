use std::time::Duration;

use anyhow::{Context, Result, bail};
use mesh::{Client, ClientConfig, Mesh, Runtimes};
use mesh_agents::approvals::{
    AnswerApproval, AnswerTaken, ApprovalDetail, Approvals, ListApprovals, Refusal, ShowApproval, Word,
};
use mesh_agents::assistant::StepRecord;
use mesh_agents::durable::{ListRuns, RunList, RunRefused, RunRow, RunShown, ShowRun, StartRun, StepRow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, interval};

use super::{Folder, NodeProcess};

/// How long the agent may take between two questions.
const WORK_MAX: Duration = Duration::from_secs(300);

/// A person, as a client of the node.
#[derive(Debug)]
pub struct Desk {
    mesh: Mesh,
}

/// What waits for a person.
#[derive(Debug)]
pub struct Asked {
    id: String,
    hash: String,
    /// What is to be done.
    pub action: String,
    /// With which arguments, as JSON.
    pub args: String,
}

impl Desk {
    /// Connects, as the user whose state folder it is.
    ///
    /// # Errors
    /// When the node cannot be reached.
    pub async fn open(folder: &Folder, node: &NodeProcess) -> Result<Self> {
        let identity = mesh_node::client_identity(&folder.state().join("client"))?;
        let addrs = [node.addr().to_owned()];
        let mesh = Client::connect(&addrs, &identity, ClientConfig::default(), Runtimes::current()).await?;
        Ok(Self { mesh })
    }

    /// Starts a run of the agent.
    ///
    /// # Errors
    /// When the node does not.
    pub async fn begin(&self, task: &str) -> Result<String> {
        let (agent, task) = ("clerk".to_owned(), task.to_owned());
        let start = StartRun { agent, task, run: None, tags: Vec::new(), afresh: false };
        Ok(self.runs::<RunRow>("runs.start.v1", &start).await?.run)
    }

    /// Waits until the run asks for something; `None` when it has ended.
    ///
    /// # Errors
    /// When it takes too long, or the node cannot be asked.
    pub async fn asked(&self, run: &str) -> Result<Option<Asked>> {
        let (end, mut looks) = (Instant::now() + WORK_MAX, interval(Duration::from_millis(100)));
        while Instant::now() < end {
            looks.tick().await;
            let waiting: Approvals =
                self.approvals("approvals.list.v1", &ListApprovals { all: false }).await?;
            if let Some(row) = waiting.approvals.into_iter().next() {
                let show = ShowApproval { id: row.id.clone() };
                let shown: ApprovalDetail = self.approvals("approvals.show.v1", &show).await?;
                let (id, hash, action, args) = (row.id, row.hash, row.action, shown.args);
                return Ok(Some(Asked { id, hash, action, args }));
            }
            if ["completed", "failed", "cancelled"].contains(&self.row(run).await?.status.as_str()) {
                return Ok(None);
            }
        }
        bail!("the agent neither asks nor ends")
    }

    /// Approves exactly what was asked for.
    ///
    /// # Errors
    /// When it is not that any more.
    pub async fn approve(&self, asked: &Asked) -> Result<()> {
        let (id, hash, note) = (asked.id.clone(), asked.hash.clone(), String::new());
        let answer = AnswerApproval { id, hash, verdict: Word::Approve, args: None, note };
        self.approvals::<AnswerTaken>("approvals.answer.v1", &answer).await?;
        Ok(())
    }

    /// What the run has done, a line for each step, and how it stands.
    ///
    /// # Errors
    /// When the node cannot be asked, or the run has failed.
    pub async fn history(&self, run: &str) -> Result<Vec<String>> {
        let shown: RunShown = self.runs("runs.show.v1", &ShowRun { run: run.to_owned(), at: None }).await?;
        if let Some(fault) = shown.row.fault {
            bail!("{fault}");
        }
        let line = |step: &StepRow| {
            // What is long is cut, and no document then.
            let record = step.result.as_deref().and_then(|result| serde_json::from_str(result).ok());
            format!("{} {}", step.name, record.as_ref().map_or("…".to_owned(), told))
        };
        let mut lines: Vec<_> = shown.steps.iter().map(line).collect();
        lines.push(format!("{}, after it was taken up {} times", shown.row.status, shown.row.epoch));
        Ok(lines)
    }

    async fn row(&self, run: &str) -> Result<RunRow> {
        let run = Some(run.to_owned());
        let only = ListRuns { run, status: None, agent: None, tag: None, after: None, limit: 1 };
        let list: RunList = self.runs("runs.list.v1", &only).await?;
        list.runs.into_iter().next().context("the run is there")
    }

    async fn runs<T: DeserializeOwned>(&self, kind: &str, message: &impl Serialize) -> Result<T> {
        Ok(self.ask::<Result<T, RunRefused>>("alpha/runs", kind, message).await??)
    }

    async fn approvals<T: DeserializeOwned>(&self, kind: &str, message: &impl Serialize) -> Result<T> {
        Ok(self.ask::<Result<T, Refusal>>("alpha/approvals", kind, message).await??)
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, kind: &str, message: &impl Serialize) -> Result<T> {
        let body = serde_json::to_string(message)?;
        let reply = self.mesh.ask_json(path, kind, &body, Duration::from_secs(10)).await;
        let reply = reply.map_err(|failure| anyhow::anyhow!("{}: {}", failure.code, failure.message))?;
        Ok(serde_json::from_str(&reply)?)
    }
}

/// One step, in words.
fn told(record: &StepRecord) -> String {
    match record {
        StepRecord::Turn(turn) if turn.calls.is_empty() => turn.text.trim().to_owned(),
        StepRecord::Turn(turn) => {
            let calls = turn.calls.iter().map(|call| format!("{} {}", call.tool, call.args));
            calls.collect::<Vec<_>>().join(", ")
        }
        StepRecord::Tools(outcomes) => {
            let word = |is_ok| if is_ok { "done" } else { "failed" };
            let outcomes = outcomes.iter().map(|outcome| format!("{} {}", outcome.tool, word(outcome.is_ok)));
            outcomes.collect::<Vec<_>>().join(", ")
        }
    }
}
