//! What became of an item, or of a question to the coordinator, as the run's journal has it.

use std::collections::HashMap;

use mesh_store::{Changes, ContentHash, NewEntry, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Duration, sleep};

use super::super::item::Finished;
use super::super::message::{RunEvent, Tokens};
use super::super::progress::restored;
use super::brief::{Given, text};
use crate::durable::{RunContext, StepError};
use crate::workflow::{Event, ItemError, Outcome, Plan, Run};

/// The kinds of entries.
const ITEM: &str = "workflow.item";
const COORDINATOR: &str = "workflow.coordinator";
/// What is longer than this, as JSON, is a blob.
const INLINE_BYTES_MAX: usize = 256;
/// How often a write is attempted that may succeed later, and the pause after the first attempt, which doubles.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);
/// Entries of the journal that are read at once.
const PAGE: u32 = 1000;

/// Something that has finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::workflows) struct Record {
    /// In which life of the run, from 1.
    generation: u32,
    pub(in crate::workflows) stage: String,
    /// The item's place in its stage's input; 0 for the coordinator.
    index: u64,
    /// The hash of what the agent was given. Another input is another item.
    input: String,
    outcome: Kept,
    node: String,
    model: String,
    attempts: u32,
    tokens: Tokens,
    elapsed_ms: u64,
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Answered(Text),
    Failed { code: String, message: Text },
}

/// A text, or its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Text {
    Inline(String),
    Blob(String),
}

/// All that a finished stage leaves: the result of the run's step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::workflows) struct StageRecord {
    pub(in crate::workflows) items: Vec<Record>,
    pub(in crate::workflows) coordinator: Option<Record>,
}

/// What is known to have finished before: what is not to be done again.
#[derive(Debug, Default)]
pub(in crate::workflows) struct Known {
    items: HashMap<(usize, usize), Done>,
    consults: HashMap<usize, Done>,
}

/// Something that has finished, with its texts.
#[derive(Debug)]
pub(in crate::workflows) struct Done {
    pub(in crate::workflows) record: Record,
    pub(in crate::workflows) answer: Result<String, ItemError>,
}

impl Done {
    pub(in crate::workflows) fn tokens(&self) -> Tokens {
        self.record.tokens
    }
}

impl Known {
    /// What became of an item, if it had this input.
    pub(in crate::workflows) fn item(&mut self, stage: usize, index: usize, input: &str) -> Option<Done> {
        let done = self.items.remove(&(stage, index))?;
        done.record.is_of(input).then_some(done)
    }

    /// What the coordinator said after a stage, if it was told this.
    pub(in crate::workflows) fn consult(&mut self, stage: usize, input: &str) -> Option<Done> {
        let done = self.consults.remove(&stage)?;
        done.record.is_of(input).then_some(done)
    }

    /// Reads what the steps that are done brought, and what the journal has of those that are not.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn read(cx: &RunContext, plan: &Plan) -> Result<Self, StepError> {
        let mut found: HashMap<(bool, usize, u64), Record> = HashMap::new();
        let place = |record: &Record| plan.stages.iter().position(|stage| stage.name == record.stage);
        for (step, result) in cx.results().iter().enumerate() {
            let of: StageRecord = serde_json::from_value(result.clone())
                .map_err(|error| StepError::new("DAMAGED", format!("step {step}: {error}")).fatal())?;
            for record in of.items {
                found.insert((false, step, record.index), record);
            }
            found.extend(of.coordinator.map(|record| ((true, step, 0), record)));
        }
        let mut from = 1;
        loop {
            let page = cx.store().journal(cx.run(), from, PAGE).await?;
            if let Some(damage) = &page.damage {
                tracing::warn!(run = %cx.run(), %damage, "items behind the damage are worked on again");
            }
            for entry in &page.entries {
                let is_consult = match entry.kind.as_str() {
                    ITEM => false,
                    COORDINATOR => true,
                    "step.failed" => {
                        forget_failures(&mut found, &entry.payload);
                        continue;
                    }
                    _ => continue,
                };
                let Ok(record) = serde_json::from_slice::<Record>(&entry.payload) else { continue };
                if record.generation == cx.generation()
                    && let Some(stage) = place(&record)
                {
                    found.entry((is_consult, stage, record.index)).or_insert(record);
                }
            }
            from += page.entries.len() as u64;
            if page.damage.is_some() || page.entries.is_empty() || from > page.last {
                break;
            }
        }
        let mut known = Self::default();
        for ((is_consult, stage, index), record) in found {
            let done = record.done(cx.store()).await?;
            if is_consult {
                known.consults.insert(stage, done);
            } else if let Ok(index) = usize::try_from(index) {
                known.items.insert((stage, index), done);
            }
        }
        Ok(known)
    }
}

/// The result of a run all of whose steps are done, with what its stages brought, as a reader is told of it.
///
/// # Errors
/// The store's, or what is damaged.
pub(super) async fn result_of(
    store: &Store,
    given: Given,
    results: &[Value],
) -> Result<(String, Vec<RunEvent>), StepError> {
    let mut known = Known::default();
    for (step, result) in results.iter().enumerate() {
        let of: StageRecord = serde_json::from_value(result.clone())
            .map_err(|error| StepError::new("DAMAGED", format!("step {step}: {error}")).fatal())?;
        for record in of.items {
            let index = usize::try_from(record.index).unwrap_or(usize::MAX);
            known.items.insert((step, index), record.done(store).await?);
        }
        if let Some(record) = of.coordinator {
            known.consults.insert(step, record.done(store).await?);
        }
    }
    // The same walk as that of the run, to the same end.
    let mut run = Run::new(given.plan, given.task);
    let mut stages = Vec::new();
    loop {
        while let Some(item) = run.next_item() {
            let Some(done) = known.item(item.stage, item.index, &item.input) else {
                return Err(incomplete());
            };
            run.on_item(item.stage, item.index, done.answer);
        }
        while let Some(event) = run.next_event() {
            if let Event::StageFinished { stage, result } = event {
                stages.push(restored(stage, &result));
            }
        }
        if let Some(Outcome::Completed { result }) = run.outcome() {
            return Ok((result.clone(), stages));
        }
        let consult = run.next_consult().ok_or_else(incomplete)?;
        let done = known.consult(consult.stage, &consult.input).ok_or_else(incomplete)?;
        run.on_consult(consult.stage, done.answer);
    }
}

fn incomplete() -> StepError {
    StepError::new("DAMAGED", "what the run's stages brought does not make its result").fatal()
}

/// A stage that had failed as a whole, and is gone on with, gets another chance.
fn forget_failures(found: &mut HashMap<(bool, usize, u64), Record>, failed: &[u8]) {
    let step = serde_json::from_slice::<Value>(failed).ok().and_then(|said| said["step"].as_u64());
    let is_of = |stage: usize| step == Some(stage as u64);
    found.retain(|&(is_consult, stage, _), record| {
        is_consult || !is_of(stage) || matches!(record.outcome, Kept::Answered(_))
    });
}

impl Record {
    pub(in crate::workflows) fn index(&self) -> u64 {
        self.index
    }

    fn is_of(&self, input: &str) -> bool {
        self.input == ContentHash::of(input.as_bytes()).to_string()
    }

    async fn done(self, store: &Store) -> Result<Done, StepError> {
        let answer = match &self.outcome {
            Kept::Answered(answer) => Ok(answer.read(store).await?),
            Kept::Failed { code, message } => Err(ItemError::new(code.as_str(), message.read(store).await?)),
        };
        Ok(Done { record: self, answer })
    }
}

impl Text {
    async fn read(&self, store: &Store) -> Result<String, StepError> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::Blob(hash) => text(store, hash).await,
        }
    }
}

/// Writes down that something has finished. When this returns it is on the disk.
///
/// # Errors
/// The store's: fenced when somebody else has the run.
///
/// # Cancel safety
/// Dropped, it may have been written or not.
pub(in crate::workflows) async fn keep(
    cx: &RunContext,
    plan: &Plan,
    finished: &Finished,
) -> Result<Record, StepError> {
    let mut blobs = Vec::new();
    let mut tokens = Tokens::default();
    let (mut node, mut model) = (String::new(), String::new());
    let outcome = match &finished.answer {
        Ok(answered) => {
            let answer = &answered.answer;
            tokens = Tokens { input: answer.input_tokens, output: answer.output_tokens };
            (node, model) = (answered.node.clone(), answer.model.clone());
            Kept::Answered(store_away(&answer.text, &mut blobs))
        }
        Err(failed) => {
            let ItemError { code, message } = &failed.error;
            Kept::Failed { code: code.clone(), message: store_away(message, &mut blobs) }
        }
    };
    let record = Record {
        generation: cx.generation(),
        stage: plan.stages[finished.stage].name.clone(),
        index: finished.index as u64,
        input: ContentHash::of(finished.input.as_bytes()).to_string(),
        outcome,
        node,
        model,
        attempts: finished.attempts,
        tokens,
        elapsed_ms: finished.elapsed_ms,
    };
    let kind = if finished.is_consult { COORDINATOR } else { ITEM };
    let payload = serde_json::to_vec(&record).expect("texts and numbers are JSON");
    let (mut attempt, mut pause) = (1, PAUSE);
    while let Err(error) = write(cx, kind, &payload, &blobs).await {
        let may_retry = error.is_transient() || matches!(error, StoreError::Io { .. });
        if !may_retry || attempt >= ATTEMPTS_MAX {
            return Err(error.into());
        }
        // Written twice, it counts once.
        tracing::warn!(run = %cx.run(), %error, attempt, "what has finished is not written down yet");
        sleep(pause).await;
        (attempt, pause) = (attempt + 1, pause * 2);
    }
    Ok(record)
}

async fn write(cx: &RunContext, kind: &str, payload: &[u8], blobs: &[String]) -> Result<(), StoreError> {
    let (store, now_ms) = (cx.store(), cx.now_ms());
    let mut entry = NewEntry::new(kind.parse().expect("it is a name"), payload.to_vec());
    for text in blobs {
        entry = entry.with_blob(store.put_blob(text.clone().into_bytes(), now_ms).await?);
    }
    store.write(cx.lease(), Changes::at(now_ms).append(entry)).await.map(drop)
}

/// A text as it is stored; a long one is added to the blobs.
fn store_away(text: &str, blobs: &mut Vec<String>) -> Text {
    let json = serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
    if json <= INLINE_BYTES_MAX {
        return Text::Inline(text.to_owned());
    }
    blobs.push(text.to_owned());
    Text::Blob(ContentHash::of(text.as_bytes()).to_string())
}
