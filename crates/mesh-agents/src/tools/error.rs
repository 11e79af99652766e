//! Why a tool did not do what it was asked.

use mesh::{AskError, Retry, RetryHint};
use serde::{Deserialize, Serialize};

/// Why a tool did not do what it was asked.
///
/// | code | means |
/// |---|---|
/// | `UNKNOWN_TOOL` | no node offers it, or the actor is another tool |
/// | `BAD_ARGUMENTS` | they do not fit the tool's schema; nothing ran |
/// | `HOOK_CANCELLED` | a hook denied it; nothing ran |
/// | `HOOK_FAILED` | a hook before the call failed, panicked or was late; nothing ran |
/// | `APPROVAL_REQUIRED` | a hook wants an approval, and there is nobody to give it; nothing ran |
/// | `USER_CANCELLED` | whoever was asked for approval said no; nothing ran |
/// | `TOO_BUSY` | as many calls wait as may; nothing ran |
/// | `UNAVAILABLE` | what the tool is made of is out of reach for now; nothing ran |
/// | `TIMEOUT` | it did not end in time |
/// | `CANCELLED` | whoever asked went away |
/// | `EXECUTION_ERROR` | the tool says that it failed, or panicked |
/// | `BAD_OUTPUT` | it ran, and what it answered is too large or no JSON |
/// | `NEEDS_HUMAN` | a call is in doubt, and its tool's policy lets nobody but a human decide |
/// | others | of the tool itself, of the store (`STORE_…`), or of the way to the tool ([`AskError::code`]) |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// Stable, for programs.
    pub code: String,
    /// What happened, for people and for models: no secrets.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retry: Retry,
    /// Whether the tool may have had an effect.
    pub may_have_run: bool,
    /// Whether it is not known how the tool ended: it may have done all of it. It may have run then.
    pub in_doubt: bool,
}

impl ToolError {
    /// One where nothing has run.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { code, message, retry: Retry::Never, may_have_run: false, in_doubt: false }
    }

    /// `EXECUTION_ERROR`: the tool has ended, and says that it failed.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { may_have_run: true, ..Self::refused("EXECUTION_ERROR", message) }
    }

    /// The tool does not know whether it has done what it was asked, such as after a lost connection.
    #[must_use]
    pub fn unsure(code: &str, message: impl Into<String>) -> Self {
        Self { may_have_run: true, in_doubt: true, ..Self::refused(code, message) }
    }

    /// With a hint that the same call may succeed later.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Nobody offers it.
    #[must_use]
    pub fn unknown(tool: &str) -> Self {
        let shown: String = tool.chars().take(80).collect();
        Self::refused("UNKNOWN_TOOL", format!("there is no tool {shown:?}"))
    }

    pub(super) fn cancelled(has_begun: bool) -> Self {
        let message = "nobody waits for the answer any more";
        if has_begun { Self::unsure("CANCELLED", message) } else { Self::refused("CANCELLED", message) }
    }

    pub(super) fn late(what: &str, has_begun: bool) -> Self {
        let message = format!("{what} did not end in time");
        let error =
            if has_begun { Self::unsure("TIMEOUT", message) } else { Self::refused("TIMEOUT", message) };
        error.retry(Retry::Backoff)
    }
}

impl From<AskError> for ToolError {
    fn from(error: AskError) -> Self {
        let retry = match error.retry() {
            RetryHint::Never => Retry::Never,
            RetryHint::After(pause) => Retry::AfterMs(crate::millis(pause)),
            RetryHint::Backoff => Retry::Backoff,
        };
        let made = if error.may_have_run() { Self::unsure } else { Self::refused };
        made(error.code(), error.to_string()).retry(retry)
    }
}

impl From<mesh_store::StoreError> for ToolError {
    fn from(error: mesh_store::StoreError) -> Self {
        let retry = if error.is_transient() { Retry::Backoff } else { Retry::Never };
        Self::refused(error.code(), error.to_string()).retry(retry)
    }
}
