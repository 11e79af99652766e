//! What a model's stream is made of.

use std::fmt;

/// One step of a model's answer, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelEvent {
    /// The server has begun to answer. [`HttpProvider`](crate::HttpProvider) always begins with it.
    Started {
        /// The model's name as the server gives it, which may be more exact than the one asked for; the latter where
        /// the server gives none.
        model: String,
    },
    /// The next piece of the answer; never empty.
    Text(String),
    /// The next piece of the model's thinking, where the server shows it; never empty.
    Reasoning(String),
    /// The model begins to ask for a tool.
    ToolCall {
        /// Which of the answer's calls it is, as the server numbers them.
        index: u32,
        /// The server's name for the call.
        id: String,
        /// The tool.
        name: String,
    },
    /// The next piece of the arguments of a call that has begun; never empty. They are complete when the next call
    /// begins, or the answer has finished.
    ToolArgs {
        /// Which of the answer's calls it belongs to.
        index: u32,
        /// The piece: a part of a JSON text.
        piece: String,
    },
    /// Tokens counted so far for the whole call. A later one replaces an earlier one.
    Usage(Usage),
    /// The answer is complete. Always the last event.
    Finished {
        /// Why the model stopped.
        reason: FinishReason,
    },
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens read: the whole prompt, whether it came from a cache or not.
    pub input: u64,
    /// Tokens written, thinking included.
    pub output: u64,
    /// The part of `input` that came from the provider's prompt cache.
    pub cache_read: u64,
    /// The part of `input` that was written to the provider's prompt cache.
    pub cache_write: u64,
}

impl Usage {
    /// A count without a prompt cache.
    #[must_use]
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// It had said everything, or met a stop sequence.
    Stop,
    /// It reached `max_tokens` or the end of its context: the answer is cut.
    Length,
    /// It wants a tool to be called.
    ToolCalls,
    /// The model or a filter of the provider declined to go on.
    Refused,
    /// The server ended the stream properly and gave no reason.
    Unstated,
    /// A reason that this list does not have, as the server wrote it.
    Other(String),
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Refused => "refused",
            Self::Unstated => "unstated",
            Self::Other(reason) => reason,
        })
    }
}
