//! How an error crosses the wire.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Why a message brought no reply, as told by the node that knows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, SCREAMING, for programs: `NO_SUCH_ACTOR`, `TIMEOUT`, …
    pub code: String,
    /// One sentence for people, without a final stop.
    pub message: String,
    /// What a program may want beside the code; `null` when there is nothing.
    pub details: Json,
    /// Whether and when trying again can help.
    pub retry: Retry,
    /// Whether the handler may have run, in whole or in part.
    pub may_have_run: bool,
    /// The node that made this failure.
    pub origin: String,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same message will fail again.
    Never,
    /// Not before this many milliseconds.
    AfterMs(u64),
    /// With the caller's usual backoff.
    Backoff,
}

/// A JSON document as bytes, since bincode cannot carry data that describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Json(String);

impl Json {
    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    /// The document of any value; `null` for one that JSON cannot hold.
    #[must_use]
    pub fn of<T: Serialize>(value: &T) -> Self {
        serde_json::to_string(value).map_or_else(|_| Self::null(), Self)
    }

    /// The document's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document as a value; `null` when a peer sent something that is no JSON.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}
