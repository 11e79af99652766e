//! Work in stages, each of which people look at before the next one begins; what was done is kept.

use std::fmt;

use futures::future::BoxFuture;
use mesh_store::{Changes, Lease, NewEntry, Resource, RunId, Store, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Item, Review, Verdict};
use crate::approvals::clock::Clock;
use crate::approvals::decision::{Denial, GateError};
use crate::approvals::gate::Gate;

/// The kinds of a stage's entries in the journal of its run.
const EXECUTED: &str = "review.executed";
const FINISHED: &str = "review.finished";

type Execute = Box<dyn Fn(Vec<StageResult>) -> BoxFuture<'static, Result<Vec<Item>, String>> + Send + Sync>;

/// Stages that run one after the other. What a stage makes is looked at, and what passes goes on to the next.
///
/// It runs under a lease of a run, whose journal has what each stage made and what people left of it: run again, after a
/// crash or on another node, it goes on where it was. A stage that was executed is not executed again, and a review
/// that waits is the same review.
pub struct StagedReview {
    gate: Gate,
    store: Store,
    lease: Lease,
    by: String,
    stages: Vec<Stage>,
}

struct Stage {
    name: String,
    is_reviewed: bool,
    execute: Execute,
}

/// What a stage brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// The stage.
    pub stage: String,
    /// What people said; none where nobody had to look.
    pub verdict: Option<Verdict>,
    /// What goes on.
    pub items: Vec<Item>,
}

/// What a stage made, before anybody looked.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    stage: String,
    items: Vec<Item>,
}

/// Why the stages are not all done. What earlier stages made is kept, and is in `finished`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoStages {
    /// People rejected what a stage made, or nobody looked in time.
    #[error("stage {stage}: {denial}")]
    Rejected {
        /// The stage.
        stage: String,
        /// Who rejected it, and why.
        denial: Denial,
        /// The stages before it.
        finished: Vec<StageResult>,
    },
    /// A stage failed. Run again, it is tried again.
    #[error("stage {stage} failed: {reason}")]
    Failed {
        /// The stage.
        stage: String,
        /// Its own error.
        reason: String,
        /// The stages before it.
        finished: Vec<StageResult>,
    },
    /// There is no decision about what a stage made. Run again, it is asked for again.
    #[error("stage {stage}: {error}")]
    Undecided {
        /// The stage.
        stage: String,
        /// Why.
        error: GateError,
        /// The stages before it.
        finished: Vec<StageResult>,
    },
    /// The run was begun with other stages. Nothing was done.
    #[error("the run was begun with stage {was:?}, where there is {is:?} now")]
    OtherStages {
        /// What the journal has.
        was: String,
        /// What was given.
        is: String,
    },
    /// Two stages have one name. Nothing was done.
    #[error("two stages are called {stage:?}")]
    SameName {
        /// The name.
        stage: String,
    },
    /// The store failed, or the run is somebody else's by now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StagedReview {
    /// No stage yet, for the agent `by`, in the run that the lease is of.
    #[must_use]
    pub fn new(gate: Gate, store: Store, lease: Lease, by: impl Into<String>) -> Self {
        Self { gate, store, lease, by: by.into(), stages: Vec::new() }
    }

    /// Adds a stage. `execute` is given what the stages before it brought, and makes what people look at.
    #[must_use]
    pub fn stage<F>(self, name: &str, execute: impl Fn(Vec<StageResult>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Item>, String>> + Send + 'static,
    {
        self.add(name, true, execute)
    }

    /// Adds a stage whose items go on without anybody's having looked.
    #[must_use]
    pub fn unreviewed<F>(
        self,
        name: &str,
        execute: impl Fn(Vec<StageResult>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<Item>, String>> + Send + 'static,
    {
        self.add(name, false, execute)
    }

    fn add<F>(
        mut self,
        name: &str,
        is_reviewed: bool,
        execute: impl Fn(Vec<StageResult>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<Item>, String>> + Send + 'static,
    {
        let execute: Execute = Box::new(move |before| Box::pin(execute(before)));
        self.stages.push(Stage { name: name.to_owned(), is_reviewed, execute });
        self
    }

    /// Runs the stages that are not done yet, and gives what all of them brought.
    ///
    /// # Errors
    /// [`NoStages`]. Run again, it goes on with the stage that it names; what people rejected stays rejected.
    ///
    /// # Cancel safety
    /// Dropped, it goes on there when it is run again. A stage that was being executed is executed again.
    pub async fn run(&self) -> Result<Vec<StageResult>, NoStages> {
        let Resource::Run(run) = self.lease.resource.clone() else {
            let reason = "the lease is of no run".to_owned();
            return Err(StoreError::Unusable { reason }.into());
        };
        let mut finished: Vec<StageResult> = self.kept(&run, FINISHED).await?;
        let made: Vec<Made> = self.kept(&run, EXECUTED).await?;
        self.check_stages(&finished, &made)?;
        for stage in self.stages.iter().skip(finished.len()) {
            let items = match made.iter().find(|made| made.stage == stage.name) {
                Some(made) => made.items.clone(),
                None => self.execute(stage, &finished).await?,
            };
            let result = self.looked_at(&run, stage, items, &finished).await?;
            self.keep(FINISHED, &result).await?;
            finished.push(result);
        }
        Ok(finished)
    }

    /// What was done under other names, or in another order, is not this.
    fn check_stages(&self, finished: &[StageResult], made: &[Made]) -> Result<(), NoStages> {
        let names: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
        if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            return Err(NoStages::SameName { stage: names[twice].to_owned() });
        }
        let begun = finished.iter().map(|result| &result.stage).chain(
            made.iter().map(|made| &made.stage).filter(|stage| finished.iter().all(|of| of.stage != **stage)),
        );
        for (at, was) in begun.enumerate() {
            let is = names.get(at).copied().unwrap_or("none");
            if is != was {
                return Err(NoStages::OtherStages { was: was.clone(), is: is.to_owned() });
            }
        }
        Ok(())
    }

    async fn execute(&self, stage: &Stage, finished: &[StageResult]) -> Result<Vec<Item>, NoStages> {
        let items = (stage.execute)(finished.to_vec()).await.map_err(|reason| NoStages::Failed {
            stage: stage.name.clone(),
            reason,
            finished: finished.to_vec(),
        })?;
        self.keep(EXECUTED, &Made { stage: stage.name.clone(), items: items.clone() }).await?;
        Ok(items)
    }

    async fn looked_at(
        &self,
        run: &RunId,
        stage: &Stage,
        items: Vec<Item>,
        finished: &[StageResult],
    ) -> Result<StageResult, NoStages> {
        let name = stage.name.clone();
        if !stage.is_reviewed || items.is_empty() {
            return Ok(StageResult { stage: name, verdict: None, items });
        }
        let number = finished.len() + 1;
        let review = Review::new(&self.by, format!("stage {number}: {name}"), items)
            .description(format!("what stage {name} made"))
            .run(run.clone())
            .key(format!("review/{name}"));
        let reviewed = self.gate.review(review).await.map_err(|error| NoStages::Undecided {
            stage: name.clone(),
            error,
            finished: finished.to_vec(),
        })?;
        let verdict = Some(reviewed.verdict);
        match reviewed.passed() {
            Ok(items) => Ok(StageResult { stage: name, verdict, items }),
            Err(denial) => Err(NoStages::Rejected { stage: name, denial, finished: finished.to_vec() }),
        }
    }

    async fn keep<T: Serialize>(&self, kind: &str, what: &T) -> Result<(), StoreError> {
        let payload = serde_json::to_vec(what).expect("items are JSON");
        let entry = NewEntry::new(kind.parse().expect("it is a name"), payload);
        self.store.write(&self.lease, Changes::at(Clock::behind(0).now_ms()).append(entry)).await.map(drop)
    }

    async fn kept<T: DeserializeOwned>(&self, run: &RunId, kind: &str) -> Result<Vec<T>, StoreError> {
        let (mut kept, mut from) = (Vec::new(), 1);
        loop {
            let page = self.store.journal(run, from, 1000).await?;
            if let Some(damage) = page.damage {
                return Err(damage);
            }
            let Some(last) = page.entries.last() else { return Ok(kept) };
            from = last.seq + 1;
            for entry in page.entries.iter().filter(|entry| entry.kind.as_str() == kind) {
                let read = serde_json::from_slice(&entry.payload);
                kept.push(read.map_err(|error| StoreError::Corrupt {
                    what: "stage",
                    run: Some(run.clone()),
                    seq: Some(entry.seq),
                    reason: error.to_string(),
                })?);
            }
        }
    }
}

impl fmt::Debug for StagedReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
        f.debug_struct("StagedReview").field("by", &self.by).field("stages", &stages).finish_non_exhaustive()
    }
}
