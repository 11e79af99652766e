//! What one says to `NODE/runs`, and what it says.

use mesh::{Message, Retry, Verb, WireMessage};
use mesh_store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunError;

/// Why a node did not do what it was asked about runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RunRefused {
    /// Stable, for programs: those of [`RunError::code`].
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether the same may be done later.
    pub retry: Retry,
    /// Whether it may have been done.
    pub may_have_run: bool,
}

impl From<RunError> for RunRefused {
    fn from(error: RunError) -> Self {
        let (retry, may_have_run) = match &error {
            RunError::Store(store) => (
                if store.is_transient() { Retry::Backoff } else { Retry::Never },
                store.may_have_been_written(),
            ),
            RunError::Unavailable { .. } | RunError::AtWork { .. } => (Retry::Backoff, false),
            _ => (Retry::Never, false),
        };
        Self { code: error.code().to_owned(), message: error.to_string(), retry, may_have_run }
    }
}

impl From<StoreError> for RunRefused {
    fn from(error: StoreError) -> Self {
        RunError::from(error).into()
    }
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $verb:ident, $reply:ty, { $($(#[$field_doc:meta])* $field:ident: $of:ty,)* };)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $of,)* }

        impl Message for $name {
            type Reply = Result<$reply, RunRefused>;
        }

        impl WireMessage for $name {
            const KIND: &'static str = $kind;
            const VERB: Option<Verb> = Some(Verb::$verb);
        }
    )*};
}

messages! {
    /// Lists runs of the node's store, in the order of their ids: `runs.list.v1`.
    ListRuns, "runs.list.v1", Read, RunList, {
        /// Only the one with this id.
        #[serde(default)] run: Option<String>,
        /// Only those that stand here, as `paused`.
        #[serde(default)] status: Option<String>,
        /// Only those of this kind of agent.
        #[serde(default)] agent: Option<String>,
        /// Only those that have this tag.
        #[serde(default)] tag: Option<String>,
        /// Only those behind this one.
        #[serde(default)] after: Option<String>,
        /// How many at most; 100 for 0, 1,000 at most.
        #[serde(default)] limit: u32,
    };
    /// Shows a run with its steps and checkpoints: `runs.show.v1`.
    ShowRun, "runs.show.v1", Read, RunShown, {
        /// The run.
        run: String,
        /// As it was in this checkpoint, rather than as it is.
        #[serde(default)] at: Option<String>,
    };
    /// Gives all that the store has of a run, as JSON that a person can read: `runs.export.v1`.
    ExportRun, "runs.export.v1", Read, RunExported, {
        /// The run.
        run: String,
    };
    /// Creates a run and starts it on this node: `runs.start.v1`. A run of that id that has come to an end is started
    /// anew if `afresh` says so.
    StartRun, "runs.start.v1", Spawn, RunRow, {
        /// The kind of agent.
        agent: String,
        /// What it is to do, at most 1 MiB.
        task: String,
        /// The run's id; none for a new one.
        #[serde(default)] run: Option<String>,
        /// Words to find it by.
        #[serde(default)] tags: Vec<String>,
        /// Whether to begin anew with a run that is there already, whatever it has done.
        #[serde(default)] afresh: bool,
    };
    /// Takes a run up on this node, where it was left: `runs.resume.v1`. One that failed gets all its attempts again.
    ResumeRun, "runs.resume.v1", Spawn, RunRow, {
        /// The run.
        run: String,
    };
    /// Makes another run that goes on from a checkpoint of this one: `runs.fork.v1`.
    ForkRun, "runs.fork.v1", Spawn, RunRow, {
        /// The run.
        run: String,
        /// The checkpoint; the latest if none is given.
        #[serde(default)] checkpoint: Option<String>,
        /// The new run's id; none for a new one.
        #[serde(default)] id: Option<String>,
        /// Whether to start it at once; it is paused otherwise.
        #[serde(default)] start: bool,
    };
    /// Has a run hold after the step at which it is: `runs.pause.v1`. The answer comes at once.
    PauseRun, "runs.pause.v1", Admin, RunRow, {
        /// The run.
        run: String,
    };
    /// Ends a run, without waiting for the step at which it is: `runs.cancel.v1`. The answer comes at once.
    CancelRun, "runs.cancel.v1", Admin, RunRow, {
        /// The run.
        run: String,
    };
    /// Deletes a run that is at rest, with all that the store has of it: `runs.delete.v1`.
    DeleteRun, "runs.delete.v1", Admin, RunDeleted, {
        /// The run.
        run: String,
    };
}

/// Runs of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// One row for each.
    pub runs: Vec<RunRow>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// The kind of agent.
    pub agent: String,
    /// Where it stands, as `executing`.
    pub status: String,
    /// What is wanted of it and has not taken effect: `pause`, `cancel` or `hand_over`.
    pub wanted: Option<String>,
    /// The step that is next, from 0; with as many as there are steps, none is left.
    pub current_step: u64,
    /// How many steps there are; none before they were decided on.
    pub steps: Option<u64>,
    /// Who has it, as `NODE@BOOT`, if anybody has.
    pub holder: Option<String>,
    /// Whether that is the node that answers.
    pub is_here: bool,
    /// How often somebody took it up.
    pub epoch: u64,
    /// Why it failed, or why the last attempt did.
    pub fault: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The checkpoint of another run from which it was forked.
    pub forked_from: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last written to, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// A run with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunShown {
    /// The run.
    pub row: RunRow,
    /// What it is to do.
    pub task: String,
    /// Its steps.
    pub steps: Vec<StepRow>,
    /// The checkpoints that are kept, newest first.
    pub checkpoints: Vec<CheckpointRow>,
    /// Its tool calls.
    pub calls: Vec<CallRow>,
    /// The last entries of its journal.
    pub journal: Vec<EntryRow>,
    /// What is damaged.
    pub damage: Vec<String>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    /// Which one, from 0.
    pub step: u64,
    /// What it is called.
    pub name: String,
    /// `done`, `next` or `planned`.
    pub state: String,
    /// What it brought, as JSON; at most the first 4 KiB.
    pub result: Option<String>,
}

/// A checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointRow {
    /// Which one.
    pub id: String,
    /// The one before it.
    pub parent: Option<String>,
    /// The step that was next.
    pub step: u64,
    /// When it was saved, in milliseconds since 1970.
    pub at_ms: i64,
    /// Words to find it by.
    pub tags: Vec<String>,
}

/// A tool call of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallRow {
    /// What tells it from the run's other calls.
    pub key: String,
    /// Which tool.
    pub tool: String,
    /// `in_doubt`, `ok` or `failed`.
    pub state: String,
}

/// An entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryRow {
    /// Its number, from 1.
    pub seq: u64,
    /// What kind of entry it is, as `step.done`.
    pub kind: String,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it says; at most the first 4 KiB.
    pub text: String,
}

/// A run as a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunExported {
    /// JSON.
    pub json: String,
}

/// A run that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDeleted {
    /// Its id.
    pub run: String,
}
