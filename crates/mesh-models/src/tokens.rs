//! How many tokens a text is, before anybody is asked.
//!
//! ```text
//!  text ─► TokenCounter::count      Bpe: OpenAI's own tables     Estimator: any other family
//!                │                        └── Calibrated: either, held to what the provider reports ──┘
//!  ChatRequest ─► Tokens::of        system, tools, messages, schema and framing, each
//!                │
//!  sum ─► ErrorBound::at_most       what a budget is compared with
//! ```
//!
//! A count is never better than its tokenizer: each counter states by its [`ErrorBound`] how much more the provider may
//! count. Whoever must stay below a limit compares [`ErrorBound::at_most`] with it.

mod bpe;
mod calibrated;
mod estimator;
mod family;
mod request;

use std::fmt;

pub use bpe::Bpe;
pub use calibrated::Calibrated;
pub use estimator::Estimator;
pub use family::{Family, counter_for};
pub(crate) use request::of_message;
pub use request::{Framing, Tokens};

/// Counts the tokens of texts.
pub trait TokenCounter: fmt::Debug + Send + Sync + 'static {
    /// How many tokens `text` is by itself. Zero for the empty text only.
    fn count(&self, text: &str) -> u64;

    /// How far the sum of such counts may be below what the provider counts.
    fn bound(&self) -> ErrorBound;

    /// What the provider's own form adds to the texts of a request.
    fn framing(&self) -> Framing;
}

/// How far a count may be below the truth: by a share of itself and a few tokens besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorBound {
    /// The share: 0.2 says that the truth is at most a fifth more.
    pub share: f64,
    /// Tokens besides, which matter for short texts.
    pub tokens: u64,
}

impl ErrorBound {
    /// The count is the truth.
    pub const EXACT: Self = Self { share: 0.0, tokens: 0 };

    /// The most that the truth may be when `counted` were counted.
    #[must_use]
    pub fn at_most(self, counted: u64) -> u64 {
        counted.saturating_add(scaled(counted, self.share)).saturating_add(self.tokens)
    }
}

/// `count * factor`, rounded up.
fn scaled(count: u64, factor: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 tokens")]
    let product = (count as f64 * factor).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and no factor is negative"
    )]
    let rounded = product as u64;
    rounded
}
