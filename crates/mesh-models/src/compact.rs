//! Making a conversation fit again, between any two calls of the model.
//!
//! ```text
//!  ChatRequest ─► groups ─► which of them go: Compaction ─► ChatRequest that fits, and a report
//!                  │              └── Summarize: a model writes what takes their place
//!                  └ a turn that calls tools with all their results is one; it stays or goes as a whole
//! ```
//!
//! Instructions, tools, the newest message of the user and the newest group always stay, so this can be done in the
//! middle of a loop of tools. A conversation begins with the user: what stands before the user's first message that stays
//! goes too, unless it is the newest group.

mod group;
mod order;
mod relevance;
mod summarize;

use std::ops::Range;
use std::sync::Arc;

use crate::{ChatRequest, Message, Role, TokenCounter, Tokens};

pub(crate) use group::{groups, newest_user};
pub use relevance::{Relevance, SharedWords};
pub use summarize::{Summarizer, Summary};

use group::Groups;

/// What goes when not everything fits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Compaction {
    /// The oldest group, and the next, until it fits. What stays is the longest end that fits.
    OldestFirst,
    /// The group that has the least to do with the user's newest message, wherever it stands, until it fits. Of equals the
    /// older goes.
    LowestRelevance(Arc<dyn Relevance>),
    /// All but the last `exchanges`, also when more would fit: a conversation as short as this, whole exchanges, each from
    /// a message of the user to the next. If they don't fit, fewer; of the newest exchange, the oldest groups go last.
    SlidingWindow {
        /// How many exchanges, at least 1.
        exchanges: usize,
    },
    /// The oldest groups, as by [`OldestFirst`](Self::OldestFirst), but a model writes a summary that takes their place. If
    /// it fails, there is none, and the report says so.
    Summarize(Summarizer),
}

impl Compaction {
    /// By the words that messages share with the newest one of the user.
    #[must_use]
    pub fn lowest_relevance() -> Self {
        Self::LowestRelevance(Arc::new(SharedWords))
    }
}

/// Makes conversations fit into a number of tokens.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use mesh_models::{Bpe, ChatRequest, Compactor, Message, Compaction};
///
/// let long = ChatRequest::conversation((0..100).map(|at| Message::user(format!("message {at}"))));
/// let compactor = Compactor::new(Arc::new(Bpe::o200k()), 200, Compaction::OldestFirst);
/// let compacted = compactor.compact(long).await?;
/// assert!(compacted.report.after_tokens <= 200);
/// assert_eq!(compacted.request.messages.last().unwrap().text, "message 99");
/// # Ok::<(), mesh_models::CompactError>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Compactor {
    counter: Arc<dyn TokenCounter>,
    input_tokens: u64,
    strategy: Compaction,
}

/// A request that fits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Compacted {
    /// The request, ready to be sent.
    pub request: ChatRequest,
    /// What was done to it.
    pub report: CompactReport,
}

/// What was done to a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// The tokens that the request had, by the compactor's counter.
    pub before_tokens: u64,
    /// The tokens that it has.
    pub after_tokens: u64,
    /// Which messages of the given conversation are no longer in it.
    pub left_out: Vec<usize>,
    /// What took their place, if a model wrote it.
    pub summary: Option<Summary>,
    /// Why the strategy could not be followed, and the oldest went without a summary; `None` if it was.
    pub degraded: Option<String>,
}

/// Why a conversation cannot fit. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// Instructions and tools alone exceed the budget. Shorten them, or allow more tokens.
    #[error("instructions and tools may be {needed} tokens, and {budget} fit")]
    SystemTooLarge {
        /// The tokens that they may be, at most.
        needed: u64,
        /// The tokens that there are.
        budget: u64,
    },
    /// The newest messages alone, which must stay, exceed it. Shorten them, or allow more tokens.
    #[error("the newest messages may be {needed} tokens with instructions and tools, and {budget} fit")]
    NewestTooLarge {
        /// The tokens that they may be, at most.
        needed: u64,
        /// The tokens that there are.
        budget: u64,
    },
}

impl Compactor {
    /// A compactor that makes requests of at most `input_tokens`, as `counter` counts them
    /// [at worst](crate::ErrorBound::at_most).
    #[must_use]
    pub fn new(counter: Arc<dyn TokenCounter>, input_tokens: u64, strategy: Compaction) -> Self {
        Self { counter, input_tokens, strategy }
    }

    /// Makes `request` fit. One that fits is given back as it is, unless a window is to be kept.
    ///
    /// # Errors
    /// [`CompactError`], when what must stay does not fit. A model that writes no summary is no error.
    ///
    /// # Cancel safety
    /// Dropping the future ends the model's call; nothing else is lost.
    pub async fn compact(&self, request: ChatRequest) -> Result<Compacted, CompactError> {
        let plan = Plan::new(self, &request)?;
        let kept = match &self.strategy {
            Compaction::OldestFirst => plan.without(plan.groups.by_age()),
            Compaction::LowestRelevance(relevance) => {
                plan.without(plan.groups.by_relevance(&request.messages, &**relevance))
            }
            Compaction::SlidingWindow { exchanges } => plan.window((*exchanges).max(1)),
            Compaction::Summarize(_) if plan.fits(&plan.groups.all()) => plan.groups.all(),
            Compaction::Summarize(summarizer) => return Ok(plan.summarized(summarizer, request).await),
        };
        Ok(plan.finish(request, &kept, None))
    }
}

/// Which groups of a conversation stay.
type Kept = Vec<bool>;

/// One request with its groups, their sizes, and the room that there is.
struct Plan<'a> {
    counter: &'a dyn TokenCounter,
    budget: u64,
    before: u64,
    /// Everything but the conversation.
    fixed: u64,
    groups: Groups,
}

impl<'a> Plan<'a> {
    fn new(compactor: &'a Compactor, request: &ChatRequest) -> Result<Self, CompactError> {
        let counter = &*compactor.counter;
        let groups = Groups::of(&request.messages, counter);
        let tokens = Tokens::of(request, counter);
        let fixed = tokens.total() - tokens.messages;
        let plan = Self { counter, budget: compactor.input_tokens, before: tokens.total(), fixed, groups };
        let (bound, budget) = (counter.bound(), plan.budget);
        if bound.at_most(fixed) > budget {
            return Err(CompactError::SystemTooLarge { needed: bound.at_most(fixed), budget });
        }
        let needed = bound.at_most(plan.tokens(&plan.groups.must_stay()));
        if needed > budget {
            return Err(CompactError::NewestTooLarge { needed, budget });
        }
        Ok(plan)
    }

    fn tokens(&self, kept: &Kept) -> u64 {
        self.fixed + self.groups.tokens(kept)
    }

    fn fits(&self, kept: &Kept) -> bool {
        self.fits_with(kept, 0)
    }

    /// Whether there is room for `more` besides.
    fn fits_with(&self, kept: &Kept, more: u64) -> bool {
        self.counter.bound().at_most(self.tokens(kept) + more) <= self.budget
    }

    /// All without as many of `order`, from its beginning, as must go.
    fn without(&self, order: Vec<usize>) -> Kept {
        self.without_for(order, 0)
    }

    /// As [`without`](Self::without), with room for `more` tokens.
    fn without_for(&self, order: Vec<usize>, more: u64) -> Kept {
        let mut kept = self.groups.all();
        for group in order {
            if self.fits_with(&kept, more) {
                break;
            }
            kept[group] = false;
        }
        self.groups.begin_with_the_user(kept)
    }

    fn window(&self, exchanges: usize) -> Kept {
        let begins = self.groups.exchanges();
        let first = begins.len().saturating_sub(exchanges);
        // Fewer and fewer exchanges, down to the newest alone.
        for &begin in begins.iter().skip(first) {
            let kept = self.groups.from(begin);
            if self.fits(&kept) {
                return kept;
            }
        }
        let newest = begins.last().copied().unwrap_or(0);
        let mut kept = self.groups.from(newest);
        for group in self.groups.by_age() {
            if self.fits(&kept) {
                break;
            }
            kept[group] = false;
        }
        self.groups.begin_with_the_user(kept)
    }

    fn finish(&self, request: ChatRequest, kept: &Kept, degraded: Option<String>) -> Compacted {
        let left_out = self.groups.left_out(kept);
        let stays = |at: usize| left_out.binary_search(&at).is_err();
        let messages = request.messages.into_iter().enumerate().filter(|(at, _)| stays(*at));
        let messages = messages.map(|(_, message)| message).collect();
        let request = ChatRequest { messages, ..request };
        let after_tokens = self.tokens(kept);
        if !left_out.is_empty() {
            tracing::debug!(left_out = left_out.len(), after_tokens, "a conversation was made shorter");
        }
        let report =
            CompactReport { before_tokens: self.before, after_tokens, left_out, summary: None, degraded };
        Compacted { request, report }
    }
}

/// The texts of some messages, as one reads a conversation.
fn transcript(messages: &[Message], range: Range<usize>) -> String {
    let mut text = String::new();
    for message in &messages[range] {
        let who = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        text.push_str(who);
        text.push_str(": ");
        text.push_str(&message.text);
        for call in &message.calls {
            text.push_str(&format!(" [calls {}({})]", call.name, call.args));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
