//! What became of a context.

use crate::ChatRequest;

/// A request that fits, and what went into it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Built {
    /// The request, ready to be sent.
    pub request: ChatRequest,
    /// What is in it and what is not.
    pub report: ContextReport,
}

/// What is in a request and what is not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ContextReport {
    /// Tokens that might be sent.
    pub budget: u64,
    /// Tokens kept for the answer.
    pub reserve: u64,
    /// Tokens that are sent, by the builder's counter: exactly the sum of `parts`.
    pub total: u64,
    /// The most that the provider may count; never above `budget`.
    pub at_most: u64,
    /// `total`, part by part.
    pub parts: ContextParts,
    /// How many messages are sent.
    pub messages: usize,
    /// Which messages of the given conversation are not sent.
    pub left_out: Vec<usize>,
    /// Which messages were cut.
    pub cuts: Vec<Cut>,
    /// The ids of the memories that are sent, in the order in which they stand.
    pub included: Vec<String>,
    /// The memories that are not sent, and why.
    pub excluded: Vec<(String, Why)>,
}

/// Tokens of a request, part by part, separators and framing included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextParts {
    /// Instructions.
    pub system: u64,
    /// Tools.
    pub tools: u64,
    /// The form of the answer.
    pub schema: u64,
    /// Messages before the question.
    pub history: u64,
    /// Memories, with the words and lines around them.
    pub memories: u64,
    /// The question, and what tools have answered since.
    pub newest: u64,
    /// What belongs to the request as a whole.
    pub framing: u64,
}

impl ContextParts {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.system + self.tools + self.schema + self.history + self.memories + self.newest + self.framing
    }
}

/// A message that lost its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which message of the given conversation.
    pub message: usize,
    /// The tokens of its text before.
    pub from_tokens: u64,
    /// The tokens of its text now.
    pub to_tokens: u64,
}

/// Why a memory is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There was no room, or others were worth more for their size.
    NoRoom {
        /// The tokens that it would have taken.
        tokens: u64,
    },
    /// It is worth nothing, by its `value`.
    Worthless,
}

/// Why no context could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The conversation has no message of the user.
    #[error("a context needs a message of the user")]
    NoQuestion,
    /// What must be there does not fit. Shorten it, or allow more tokens.
    #[error("{what} may be {needed} tokens, and {budget} fit")]
    TooLarge {
        /// What does not fit.
        what: &'static str,
        /// The tokens that it may be, at most.
        needed: u64,
        /// The tokens that there are.
        budget: u64,
    },
}
