//! One call of a tool, from its arguments to its end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mesh::Cancel;
use mesh_store::{ContentHash, Name, RunId};
use serde_json::Value;
use tokio::time::Instant;

use super::error::ToolError;

/// What tells a call from all others: 128 bits, written as 32 hexadecimal digits. The same call again has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u128);

/// Some text that is no call's id; the sender's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a call is 32 hexadecimal digits")]
pub struct InvalidCallId;

impl CallId {
    /// A new id that nobody else has.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::new_v4().as_u128())
    }

    /// The id of the call of a run with this key: the same at every attempt, on every node.
    #[must_use]
    pub fn of_run(run: &RunId, key: &Name) -> Self {
        // No run's id has a slash in it.
        let hash = ContentHash::of(format!("{}/{}", run.as_str(), key.as_str()).as_bytes());
        let bytes = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        Self(u128::from_be_bytes(*bytes))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CallId {
    type Err = InvalidCallId;

    fn from_str(text: &str) -> Result<Self, InvalidCallId> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(InvalidCallId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidCallId)
    }
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct Call {
    /// What tells it from all others.
    pub id: CallId,
    /// Which tool is meant.
    pub tool: String,
    /// The arguments.
    pub args: Value,
    /// When the answer stops being of use.
    pub deadline: Option<Instant>,
    /// Set when nobody waits for the answer any more.
    pub cancel: Cancel,
    /// Who makes it, for those who are asked to approve it, as `client/ann`; empty if it is not known.
    pub by: String,
}

impl Call {
    /// A call under an id of its own, that nobody withdraws.
    #[must_use]
    pub fn new(tool: impl Into<String>, args: Value) -> Self {
        let (id, tool) = (CallId::generate(), tool.into());
        Self { id, tool, args, deadline: None, cancel: Cancel::new(), by: String::new() }
    }

    /// Under this id.
    #[must_use]
    pub fn id(mut self, id: CallId) -> Self {
        self.id = id;
        self
    }

    /// Of no use later than this.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Made by somebody who is called so.
    #[must_use]
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = by.into();
        self
    }

    /// Withdrawn by this signal.
    #[must_use]
    pub fn cancel_on(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }
}

/// A call that is over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// What the caller is told.
    pub result: Result<Value, ToolError>,
    /// How that came about.
    pub ending: Ending,
    /// From its arrival to its end, hooks and waits included.
    pub elapsed: Duration,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The tool ran, and answered.
    Ran,
    /// A hook answered in its place; the tool did not run.
    Skipped,
    /// The tool failed, and a hook's answer took the place of its own.
    Fallback {
        /// How the tool failed.
        error: ToolError,
    },
    /// The tool began, and failed or was late.
    Failed,
    /// Whoever asked went away.
    Cancelled,
    /// The tool did not begin.
    Refused,
}
