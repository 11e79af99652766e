//! What a run tells those who watch it.

use serde::{Deserialize, Serialize};

use super::coordinator::Decision;
use super::result::{ItemOutcome, StageResult};

/// Something that happened in a run. Stages are named as in the file; items are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage has its input.
    StageStarted {
        /// The stage.
        stage: String,
        /// The agent that works on it.
        agent: String,
        /// How many items its input has; 1 unless the stage is parallel.
        items: usize,
    },
    /// An item was handed out.
    ItemStarted {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: usize,
    },
    /// An item has its answer or has failed.
    ItemFinished {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: usize,
        /// The answer, or why there is none.
        outcome: ItemOutcome,
    },
    /// Every item of a stage is finished.
    StageFinished {
        /// The stage.
        stage: String,
        /// All items with their inputs, in the order of the stage's input.
        result: StageResult,
    },
    /// The coordinator is asked how the run goes on after a stage.
    CoordinatorAsked {
        /// The stage that has finished.
        stage: String,
        /// The agent that coordinates.
        agent: String,
    },
    /// The coordinator has decided, or something else has for it.
    CoordinatorDecided {
        /// The stage that has finished.
        stage: String,
        /// How the run goes on.
        decision: Decision,
        /// Why, in the coordinator's words; often empty.
        reason: String,
    },
    /// The run is over. It is the last event.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every stage has a result.
    Completed {
        /// The result of the file's last stage, as text.
        result: String,
    },
    /// A stage got nothing from any of its items. The stages before it keep their results.
    Failed {
        /// The stage.
        stage: String,
        /// `STAGE_<NAME>_FAILED`.
        code: String,
        /// What the stage's first item failed of.
        error: ItemError,
    },
    /// Somebody ended the run.
    Cancelled {
        /// Why, in the words of whoever did.
        reason: String,
    },
}

/// Why an item has no answer.
///
/// It is the agent's failure or that of the way to it, never of the run: the run goes on with the other items. The text
/// is handed on to the next stage, so it should say nothing that a model must not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ItemError {
    /// A code that stays the same over versions, as in `TIMEOUT`.
    pub code: String,
    /// What happened, for people and for the next stage's model.
    pub message: String,
}

impl ItemError {
    /// An error with a stable code, as in `TIMEOUT`, and a text for people and models.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}
