//! What one says to `NODE/workflows` and to a run, and what they say.

use mesh::{Message, Retry, Streaming, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::workflow::{Diagnostic, ItemError, Outcome, Severity};

/// Asks `NODE/workflows` for a run: `workflow.create.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRun {
    /// What stands for the file in reports, as its path.
    pub name: String,
    /// The text of the workflow file, at most 1 MiB.
    pub text: String,
    /// What the workflow is to do, at most 1 MiB; not blank, since no model answers that.
    pub task: String,
    /// Whether unknown keys are errors.
    #[serde(default)]
    pub strict: bool,
}

impl Message for CreateRun {
    type Reply = Result<Created, Refused>;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.text.len() + self.task.len()
    }
}

impl WireMessage for CreateRun {
    const KIND: &'static str = "workflow.create.v1";
}

/// A run that waits to be started, for a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Where the run is found: send it [`RunWorkflow`].
    pub path: String,
    /// The run's id.
    pub run: String,
    /// What the file's author may not have meant, for people; empty when there is nothing.
    pub warnings: String,
}

/// Why there is no run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// `BAD_WORKFLOW`: the file has errors. `BAD_TASK`: the task is blank or too long. `TOO_MANY_RUNS`: the node has
    /// all the runs that it can have; try again later. `NOT_STORED`: the run could not be written down. `NO_SUCH_RUN`: the
    /// node's store has no such run, or it is none of a workflow. `FILE_CHANGED`: it was started with another text.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether the same may be taken later.
    pub retry: Retry,
    /// Always false: what is refused has not run.
    pub may_have_run: bool,
    /// The file's problems, for people; empty unless the file has errors.
    pub report: String,
    /// The file's problems, for programs; empty unless the file has errors.
    pub diagnostics: Vec<Problem>,
}

/// One problem in a workflow file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// The number of characters concerned.
    pub len: u32,
    /// What to say at the place itself.
    pub label: Option<String>,
    /// What to do, or what would be accepted.
    pub help: Option<String>,
}

impl From<&Diagnostic> for Problem {
    fn from(found: &Diagnostic) -> Self {
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self {
            severity: severity.to_owned(),
            message: found.message.clone(),
            line: found.line,
            column: found.column,
            len: found.len,
            label: found.label.clone(),
            help: found.help.clone(),
        }
    }
}

/// Asks `NODE/workflows` for a run that is in the node's store: `workflow.resume.v1`. It goes on when it is read
/// ([`RunWorkflow`]); one that has come to its end is only told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeWorkflow {
    /// The run.
    pub run: String,
    /// The hash of the file's text, as [`Resumed::file_hash`]: the run is refused if it was started with another text.
    #[serde(default)]
    pub file_hash: Option<String>,
}

impl Message for ResumeWorkflow {
    type Reply = Result<Resumed, Refused>;
}

impl WireMessage for ResumeWorkflow {
    const KIND: &'static str = "workflow.resume.v1";
}

/// A run that waits to be read, for a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Where the run is read: send it [`RunWorkflow`].
    pub path: String,
    /// What the file was called.
    pub file: String,
    /// The hash of its text: BLAKE3, in hex.
    pub file_hash: String,
    /// The names of the stages, in their order.
    pub stages: Vec<String>,
}

/// Starts a run that was created, once: `workflow.run.v1`. It is answered by a stream of [`RunEvent`], then [`Ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunWorkflow {}

impl Message for RunWorkflow {
    type Reply = Ended;
}

impl Streaming for RunWorkflow {
    type Item = RunEvent;
}

impl WireMessage for RunWorkflow {
    const KIND: &'static str = "workflow.run.v1";
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// What came of it.
    pub outcome: Outcome,
    /// Tokens of all items.
    pub tokens: Tokens,
    /// Time from the run's start.
    pub elapsed_ms: u64,
    /// Whether the same run may succeed later, if it did not.
    pub retry: Retry,
    /// Whether a model may have been asked.
    pub may_have_run: bool,
}

/// Tokens of model calls; 0 where the model's server does not count. Those of calls that failed are not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens that models read.
    pub input: u64,
    /// Tokens that models wrote.
    pub output: u64,
}

impl Tokens {
    pub(super) fn add(&mut self, more: Self) {
        self.input += more.input;
        self.output += more.output;
    }
}

/// Something that happened in a run. Stages are named as in the file; items are counted from 0, attempts from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// A stage has its input.
    StageStarted {
        /// The stage.
        stage: String,
        /// The agent that works on it.
        agent: String,
        /// How many items its input has; 1 unless the stage is parallel.
        items: u64,
    },
    /// An item was given to an agent: once for each attempt.
    ItemStarted {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
        /// Where the agent is found while it works: `NODE/runs/…`.
        agent: String,
        /// The agent's node.
        node: String,
        /// Which attempt this is.
        attempt: u32,
    },
    /// The next piece of an item's answer. What an attempt said before it failed is of no account.
    ItemText {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
        /// The piece, at most 16 KiB.
        text: String,
    },
    /// An attempt failed, and there will be another one after a pause.
    ItemRetried {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
        /// The attempt that comes.
        attempt: u32,
        /// Why the one before failed.
        reason: String,
        /// The pause before it.
        pause_ms: u64,
    },
    /// An item has its answer.
    ItemFinished {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
        /// The node of the agent that answered.
        node: String,
        /// The attempt that succeeded.
        attempt: u32,
        /// The model that answered, as its server names it.
        model: String,
        /// Whether the answer was cut at the model's token limit.
        is_cut: bool,
        /// Tokens of the call that succeeded.
        tokens: Tokens,
        /// Time from the item's start, failed attempts included.
        elapsed_ms: u64,
    },
    /// An item has failed for good.
    ItemFailed {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
        /// Attempts that were made.
        attempts: u32,
        /// Why the last one failed.
        error: ItemError,
        /// Time from the item's start.
        elapsed_ms: u64,
    },
    /// Every item of a stage is finished.
    StageFinished {
        /// The stage.
        stage: String,
        /// Its items.
        items: u64,
        /// Those of them that were answered.
        answered: u64,
        /// The stage's result as the next stage gets it, at most its first 16 KiB.
        text: String,
        /// Whether the text was longer.
        is_text_cut: bool,
        /// Tokens of the stage's items.
        tokens: Tokens,
        /// Time from the stage's start.
        elapsed_ms: u64,
    },
    /// The run is over; [`Ended`] follows with its outcome. It is the last event.
    RunFinished {
        /// `completed`, `failed` or `cancelled`.
        outcome: String,
        /// Tokens of all items.
        tokens: Tokens,
        /// Time from the run's start.
        elapsed_ms: u64,
    },
    /// The coordinator is told of a stage that has finished, and asked how the run goes on.
    CoordinatorAsked {
        /// The stage.
        stage: String,
        /// The agent that coordinates.
        agent: String,
    },
    /// The coordinator has decided, and the run goes on.
    CoordinatorDecided {
        /// The stage that has finished.
        stage: String,
        /// The agent that coordinates.
        agent: String,
        /// Its node; empty if there was no answer.
        node: String,
        /// The model that answered, as its server names it; empty if there was no answer.
        model: String,
        /// The stage that gets other items; none if the run goes on as planned.
        replanned: Option<String>,
        /// How many items that stage gets.
        items: u64,
        /// Those items, one a line; at most the first 16 KiB.
        text: String,
        /// Why, in the coordinator's words; at most the first 4 KiB, often empty.
        reason: String,
        /// Why the run goes on as planned though the answer was something else, or cannot be read, or is missing.
        problem: Option<String>,
        /// Tokens of the call.
        tokens: Tokens,
        /// Time from the question to the answer, failed attempts included.
        elapsed_ms: u64,
    },
    /// The run is kept in the node's store, and can be resumed. It is the first event, if it comes.
    RunStored {
        /// The run's id.
        run: String,
    },
    /// An item had finished in an earlier life of the run, whose stage had not.
    ItemRestored {
        /// The item's stage.
        stage: String,
        /// The item's place in the stage's input.
        index: u64,
    },
    /// A stage had finished in an earlier life of the run.
    StageRestored {
        /// The stage.
        stage: String,
        /// Its items.
        items: u64,
        /// Those of them that were answered.
        answered: u64,
        /// The stage's result as the next stage gets it, at most its first 16 KiB.
        text: String,
        /// Whether the text was longer.
        is_text_cut: bool,
    },
}
