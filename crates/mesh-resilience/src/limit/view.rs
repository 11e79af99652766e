//! A limiter as it is right now.

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use crate::Money;

/// A limiter as it is right now, for people and for other nodes. What is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitView {
    /// Callers that wait.
    pub waiting: usize,
    /// Calls under way.
    pub under_way: u32,
    /// Requests that could be made at once.
    pub requests: Option<u64>,
    /// Tokens that could be sent at once.
    pub input_tokens: Option<u64>,
    /// Tokens that could be answered at once.
    pub output_tokens: Option<u64>,
    /// Money that could be spent at once.
    #[serde(rename = "money_micros")]
    pub money: Option<Money>,
    /// Money that is left of all the money.
    #[serde(rename = "budget_micros")]
    pub budget: Option<Money>,
    /// For how long the target wants to be left alone yet, in milliseconds.
    pub penalty_ms: Option<u64>,
}

impl LimitView {
    pub(super) fn new(ledger: &Ledger, waiting: usize) -> Self {
        let [requests, input_tokens, output_tokens, money] = ledger.available();
        let penalty = ledger.penalty().and_then(|short| short.needs);
        Self {
            waiting,
            under_way: ledger.under_way(),
            requests,
            input_tokens,
            output_tokens,
            money: money.map(Money::from_micros),
            budget: ledger.budget_left(),
            penalty_ms: penalty.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
