//! What shows runs: list and show.

use mesh::{Context, Handler};
use mesh_store::{Lease, Resource, Run, RunFilter, RunId, StoreError};

use super::RunsActor;
use super::change::{checkpoint_id, no_checkpoint, run_id};
use crate::durable::control::{Seen, Wanted};
use crate::durable::load::{document_of, load};
use crate::durable::message::{
    CallRow, CheckpointRow, EntryRow, ListRuns, RunList, RunRefused, RunRow, RunShown, ShowRun, StepRow,
};
use crate::durable::pack::{UnpackError, peek};
use crate::durable::{RunDocument, RunError};

/// How much of a result or an entry is shown.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// How many entries of the journal are shown.
const ENTRIES: u64 = 30;

impl Handler<ListRuns> for RunsActor {
    async fn handle(&mut self, list: ListRuns, _: &mut Context<Self>) -> Result<RunList, RunRefused> {
        Ok(RunList { runs: self.list(list).await? })
    }
}

impl Handler<ShowRun> for RunsActor {
    async fn handle(&mut self, show: ShowRun, _: &mut Context<Self>) -> Result<RunShown, RunRefused> {
        Ok(self.show(&run_id(&show.run)?, show.at.as_deref()).await?)
    }
}

impl RunsActor {
    async fn list(&mut self, list: ListRuns) -> Result<Vec<RunRow>, RunError> {
        let name = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
        let found = if let Some(run) = &list.run {
            match self.runs.store.run(&run_id(run)?).await {
                Ok(run) => vec![run],
                Err(StoreError::NotFound { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            }
        } else {
            let filter = RunFilter {
                status: name(&list.status)?,
                tag: name(&list.tag)?,
                kind: name(&list.agent)?,
                after: list.after.as_deref().map(run_id).transpose()?,
                limit: if list.limit == 0 { 100 } else { list.limit },
            };
            self.runs.store.runs(filter).await?
        };
        let mut rows = Vec::with_capacity(found.len());
        for run in &found {
            rows.push(self.row_of(run).await?);
        }
        Ok(rows)
    }

    /// The row of a run as it is now.
    pub(super) async fn row(&mut self, run: &RunId) -> Result<RunRow, RunError> {
        let found = self.runs.store.run(run).await?;
        self.row_of(&found).await
    }

    async fn row_of(&mut self, run: &Run) -> Result<RunRow, RunError> {
        let store = &self.runs.store;
        let lease = store.holder(Resource::Run(run.id.clone())).await?;
        let latest = match store.latest_checkpoint(&run.id).await {
            // The list is of all; what is wrong with one is told where that is shown.
            Err(StoreError::Corrupt { .. }) => None,
            latest => latest?.checkpoint,
        };
        let document = latest.and_then(|checkpoint| peek(&checkpoint.payload));
        let control = self.control(&run.id);
        let mut row = row(run, lease.as_ref(), document.as_ref(), self.runs.settings.clock.now_ms());
        if let Some(control) = control {
            let Seen { state, current_step, .. } = control.seen();
            row.is_here = true;
            row.status = state.to_string();
            row.current_step = current_step;
            row.wanted = wanted(control.wanted());
        }
        Ok(row)
    }

    async fn show(&mut self, run: &RunId, at: Option<&str>) -> Result<RunShown, RunError> {
        let store = self.runs.store.clone();
        let found = store.run(run).await?;
        let row = self.row_of(&found).await?;
        let mut damage = Vec::new();
        let document = match at {
            Some(id) => {
                let checkpoint = store.checkpoint(checkpoint_id(id)?).await?;
                match document_of(&store, &found, &checkpoint).await {
                    Ok(document) => document,
                    Err(UnpackError::Foreign(reason)) => return Err(no_checkpoint(run.as_str(), &reason)),
                    Err(UnpackError::Store(error)) => return Err(error.into()),
                }
            }
            None => load(&store, &found, self.runs.settings.attempts.max_attempts).await?.document,
        };
        let checkpoints = match store.checkpoints(run, None, 1000).await {
            Ok(checkpoints) => checkpoints,
            Err(error) => {
                damage.push(error.to_string());
                Vec::new()
            }
        };
        let checkpoints = checkpoints.into_iter().map(|checkpoint| CheckpointRow {
            id: checkpoint.id.to_string(),
            parent: checkpoint.parent.map(|parent| parent.to_string()),
            step: checkpoint.step,
            at_ms: checkpoint.at_ms,
            tags: checkpoint.tags.iter().map(ToString::to_string).collect(),
        });
        let calls = store.calls(run).await?.into_iter().map(|call| CallRow {
            key: call.key.to_string(),
            tool: call.tool.to_string(),
            state: call
                .outcome
                .map_or("in_doubt", |outcome| if outcome.is_ok { "ok" } else { "failed" })
                .to_owned(),
        });
        let from = found.entries.saturating_sub(ENTRIES) + 1;
        let page = store.journal(run, from, 1000).await?;
        damage.extend(page.damage.map(|damage| damage.to_string()));
        let journal = page.entries.into_iter().map(|entry| EntryRow {
            seq: entry.seq,
            kind: entry.kind.to_string(),
            at_ms: entry.at_ms,
            text: cut(&String::from_utf8_lossy(&entry.payload)),
        });
        Ok(RunShown {
            row,
            task: document.context.task.clone(),
            steps: steps(&document),
            checkpoints: checkpoints.collect(),
            calls: calls.collect(),
            journal: journal.collect(),
            damage,
        })
    }
}

fn row(run: &Run, lease: Option<&Lease>, document: Option<&RunDocument>, now_ms: i64) -> RunRow {
    let lifecycle = document.map(|document| &document.lifecycle);
    RunRow {
        run: run.id.to_string(),
        agent: run.kind.to_string(),
        status: run.status.to_string(),
        wanted: None,
        current_step: lifecycle.map_or(0, |lifecycle| lifecycle.current_step()),
        steps: lifecycle.and_then(|lifecycle| lifecycle.steps()),
        holder: lease.filter(|lease| lease.until_ms > now_ms).map(|lease| lease.holder.to_string()),
        is_here: false,
        epoch: lease.map(|lease| lease.epoch).or(document.map(|document| document.epoch)).unwrap_or_default(),
        fault: document
            .and_then(|document| document.fault.as_ref())
            .map(|fault| format!("{}: {}", fault.code, fault.message)),
        tags: run.tags.iter().map(ToString::to_string).collect(),
        forked_from: run.origin.map(|origin| origin.to_string()),
        created_ms: run.created_ms,
        updated_ms: run.updated_ms,
    }
}

fn wanted(wanted: Wanted) -> Option<String> {
    let word = match wanted {
        Wanted::Run => return None,
        Wanted::Pause => "pause",
        Wanted::HandOver => "hand_over",
        Wanted::Cancel => "cancel",
    };
    Some(word.to_owned())
}

fn steps(document: &RunDocument) -> Vec<StepRow> {
    let context = &document.context;
    let plan = context.plan.as_deref().unwrap_or_default();
    let row = |(at, step): (usize, &crate::durable::Step)| {
        let result = context.results.get(at).map(|result| cut(&result.to_string()));
        let state = match (at as u64).cmp(&context.current_step) {
            std::cmp::Ordering::Less => "done",
            std::cmp::Ordering::Equal => "next",
            std::cmp::Ordering::Greater => "planned",
        };
        StepRow { step: at as u64, name: step.name.clone(), state: state.to_owned(), result }
    };
    plan.iter().enumerate().map(row).collect()
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
