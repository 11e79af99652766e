//! What one says to a memory, and what it says.

use mesh::{Message, Retry, WireMessage};
use mesh_models::ModelError;
use mesh_store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Remembers something: `memory.add.v1`. What is remembered already gets the metadata besides, and the higher importance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMemory {
    /// What is to be remembered: 1 byte to 16 KiB of text.
    pub content: String,
    /// A JSON object about it, as text, at most 16 KiB; nothing if it is empty.
    #[serde(default)]
    pub metadata: String,
    /// 0 to 1; 0.5 by default.
    #[serde(default)]
    pub importance: Option<f64>,
    /// For how long, in milliseconds, at least 1; for ever by default.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AddedMemory {
    /// Which memory it is.
    pub id: String,
    /// Whether there was none of this content.
    pub is_new: bool,
    /// Whether it is there. At full capacity, everything else may have been worth more.
    pub is_kept: bool,
    /// The importance that it has now.
    pub importance: f64,
    /// The memories that had to go for it.
    pub evicted: Vec<String>,
}

/// Asks for one memory: `memory.get.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMemory {
    /// Which one.
    pub id: String,
}

/// A memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryRow {
    /// Which one.
    pub id: String,
    /// What is remembered. It is data: whoever put it there may have been told to by a text.
    pub content: String,
    /// A JSON object, as text.
    pub metadata: String,
    /// 0 to 1.
    pub importance: f64,
    /// Which node said so first; `here` if it was the memory's own.
    pub by: String,
    /// When it was first said, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
    /// When it was used last, in milliseconds since 1970.
    pub accessed_ms: i64,
    /// How often it was used.
    pub accesses: u64,
    /// From when on it is no more, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// Asks for what has to do with a question: `memory.recall.v1`. What is recalled counts as used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallMemories {
    /// The question.
    pub query: String,
    /// How many at most; 5 by default, 1 to 100.
    #[serde(default)]
    pub limit: Option<u32>,
    /// How similar a memory's embedding must be to the question's: a cosine from 0 to 1, 0.7 by default; 0 is 0. What has
    /// words of the question is found whatever its embedding is.
    #[serde(default)]
    pub min_relevance: Option<f64>,
    /// Only memories whose metadata fit, as for [`SearchMemories`]; all if it is empty.
    #[serde(default)]
    pub filter: String,
}

/// What was recalled, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecalledMemories {
    /// The memories.
    pub memories: Vec<Recalled>,
}

/// A memory, and why it was recalled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recalled {
    /// The memory.
    pub memory: MemoryRow,
    /// How well it fits by both lists, 0 to 1.
    pub score: f64,
    /// The cosine of its embedding and the question's; `None` if one of them has none.
    pub relevance: Option<f64>,
    /// Its place among those that have words of the question, from 1; `None` if it has none of them.
    pub word_rank: Option<u32>,
    /// The same in words.
    pub explanation: String,
}

/// Asks for memories by their metadata: `memory.search.v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchMemories {
    /// A JSON object, as text: `{"topic": "tides", "year": {"$gte": 2020}}`. Operators: `$eq` `$ne` `$gt` `$gte` `$lt`
    /// `$lte` `$in` `$nin` `$contains` `$exists`, and `$and` `$or` `$not` of such objects. A dot goes into objects.
    pub filter: String,
    /// How many at most; 10 by default, 1 to 1,000.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Changes a memory: `memory.update.v1`. What is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMemory {
    /// Which one.
    pub id: String,
    /// What it is to say.
    #[serde(default)]
    pub content: Option<String>,
    /// Its metadata, in place of those that it has: a JSON object, as text.
    #[serde(default)]
    pub metadata: Option<String>,
    /// 0 to 1.
    #[serde(default)]
    pub importance: Option<f64>,
    /// For how long from now, in milliseconds, at least 1.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
}

/// Forgets a memory, with its history: `memory.forget.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetMemory {
    /// Which one.
    pub id: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten {
    /// Whether there was such a memory.
    pub was_there: bool,
}

/// Asks for memories in the order in which they were made: `memory.list.v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMemories {
    /// Only those behind this one; from the first if it is empty.
    #[serde(default)]
    pub after: String,
    /// How many at most; 100 by default, 1 to 1,000.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Memories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryList {
    /// How many the scope has.
    pub total: u64,
    /// Those that were asked for; fewer where they would exceed 1 MiB.
    pub memories: Vec<MemoryRow>,
}

/// Asks what happened to a memory: `memory.history.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryHistory {
    /// Which one.
    pub id: String,
}

/// What happened to it, oldest first; the last 50 changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryHistoryReply {
    /// The changes.
    pub changes: Vec<MemoryChange>,
}

/// Something that happened to a memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryChange {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which node did it.
    pub by: String,
    /// `added`, `merged` or `updated`.
    pub what: String,
    /// What it said before, if that changed.
    pub before: String,
}

/// Why a memory did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct MemoryRefusal {
    /// Stable, for programs: `MEMORY_INVALID`, `MEMORY_NOT_FOUND`, `MEMORY_DUPLICATE`, `EMBEDDING_MISMATCH`,
    /// `EMBEDDING_INVALID`, or those of the store and of models.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether the same message may succeed later.
    pub retry: Retry,
    /// Whether it may have been done.
    pub may_have_run: bool,
}

impl MemoryRefusal {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry: Retry::Never, may_have_run: false }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("MEMORY_INVALID", message)
    }

    pub(super) fn not_found(id: &str) -> Self {
        Self::new("MEMORY_NOT_FOUND", format!("no memory {id:.80}"))
    }
}

impl From<StoreError> for MemoryRefusal {
    fn from(error: StoreError) -> Self {
        let is_transient = error.is_transient() || matches!(error, StoreError::Conflict { .. });
        let retry = if is_transient { Retry::Backoff } else { Retry::Never };
        let may_have_run = error.may_have_been_written();
        Self { retry, may_have_run, ..Self::new(error.code(), error.to_string()) }
    }
}

impl From<ModelError> for MemoryRefusal {
    fn from(error: ModelError) -> Self {
        let retry = match error.retry() {
            mesh_models::Retry::Never => Retry::Never,
            mesh_models::Retry::Backoff => Retry::Backoff,
            mesh_models::Retry::After(pause) => Retry::AfterMs(crate::millis(pause)),
        };
        // Nothing is stored before its embedding is there.
        Self { retry, ..Self::new(error.code(), error.to_string()) }
    }
}

macro_rules! messages {
    ($($message:ty, $kind:literal, $reply:ty, |$given:ident| $bytes:expr;)*) => {$(
        impl Message for $message {
            type Reply = Result<$reply, MemoryRefusal>;

            fn weight_bytes(&self) -> usize {
                let $given = self;
                size_of::<Self>() + $bytes
            }
        }

        impl WireMessage for $message {
            const KIND: &'static str = $kind;
        }
    )*};
}

messages! {
    AddMemory, "memory.add.v1", AddedMemory, |given| given.content.len() + given.metadata.len();
    GetMemory, "memory.get.v1", MemoryRow, |given| given.id.len();
    RecallMemories, "memory.recall.v1", RecalledMemories, |given| given.query.len() + given.filter.len();
    SearchMemories, "memory.search.v1", MemoryList, |given| given.filter.len();
    UpdateMemory, "memory.update.v1", MemoryRow, |given| given.content.as_ref().map_or(0, String::len)
        + given.metadata.as_ref().map_or(0, String::len);
    ForgetMemory, "memory.forget.v1", Forgotten, |given| given.id.len();
    ListMemories, "memory.list.v1", MemoryList, |given| given.after.len();
    MemoryHistory, "memory.history.v1", MemoryHistoryReply, |given| given.id.len();
}
