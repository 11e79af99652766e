//! What one says to an agent, and what it says.

use std::time::Duration;

use mesh::{Message, Retry, Streaming, WireMessage};
use mesh_models::{ModelError, Rounded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Work for an agent: `agent.work.v1`. It is answered by a stream of [`Said`], then by the whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// What to work on; the model gets it as the user's message.
    pub input: String,
    /// How often this work was given to an agent, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
}

fn first() -> u32 {
    1
}

impl Work {
    /// Work that is asked for the first time.
    #[must_use]
    pub fn new(input: impl Into<String>) -> Self {
        Self { input: input.into(), attempt: first() }
    }
}

impl Message for Work {
    type Reply = Result<Answer, Refusal>;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.input.len()
    }
}

impl Streaming for Work {
    type Item = Said;
}

impl WireMessage for Work {
    const KIND: &'static str = "agent.work.v1";
}

/// A piece of an answer, as the model makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The model has begun to answer.
    Began {
        /// Its name, as its server gives it.
        model: String,
    },
    /// The next piece of the answer.
    Text {
        /// The piece; at most 16 KiB.
        text: String,
    },
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The whole answer.
    pub text: String,
    /// The model that answered, as its server names it.
    pub model: String,
    /// Whether the answer was cut at the model's token limit.
    pub is_cut: bool,
    /// Tokens that the model read; 0 where its server does not count.
    pub input_tokens: u64,
    /// Tokens that the model wrote; 0 where its server does not count.
    pub output_tokens: u64,
    /// Time from the work's begin to its end.
    pub elapsed_ms: u64,
}

/// Why an agent has no answer. The agent is well; its model, its settings or the work are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable, for programs: those of [`ModelError::code`], and `NO_ANSWER`, `BAD_OUTPUT`, `MODEL_DECLINED`, `TIMEOUT`,
    /// `CANCELLED`.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether the same work may succeed later.
    pub retry: Retry,
    /// Whether a model may have worked on it.
    pub may_have_run: bool,
}

impl Refusal {
    /// One after the model was asked.
    pub(super) fn new(code: &str, message: impl Into<String>, retry: Retry) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry, may_have_run: true }
    }

    /// The agent's arguments make no request.
    pub(super) fn misconfigured(reason: String) -> Self {
        Self { may_have_run: false, ..Self::new("MODEL_MISCONFIGURED", reason, Retry::Never) }
    }

    /// Whoever asked is gone.
    pub(super) fn cancelled() -> Self {
        Self::new("CANCELLED", "nobody waits for the answer", Retry::Never)
    }

    /// The asker's deadline has passed.
    pub(super) fn late(after: Duration) -> Self {
        Self::new("TIMEOUT", format!("no answer within {}", Rounded(after)), Retry::Never)
    }
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        let retry = match error.retry() {
            mesh_models::Retry::Never => Retry::Never,
            mesh_models::Retry::Backoff => Retry::Backoff,
            mesh_models::Retry::After(pause) => Retry::AfterMs(crate::millis(pause)),
        };
        let may_have_run = error.may_have_run();
        Self { may_have_run, ..Self::new(error.code(), error.to_string(), retry) }
    }
}
