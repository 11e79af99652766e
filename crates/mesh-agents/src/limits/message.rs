//! What nodes and the grantor of a limit say to each other.

use std::time::Duration;

use mesh::{Failure, Message, WireMessage};
use mesh_resilience::{Demand, Lease, Money, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a limit: each amount is for the period of its own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShareRow {
    /// Requests.
    pub requests: u64,
    /// Tokens that are sent.
    pub input_tokens: u64,
    /// Tokens that are answered.
    pub output_tokens: u64,
    /// Money, in millionths.
    pub money_micros: u64,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Money that does not come back, in millionths.
    pub budget_micros: u64,
}

impl From<Share> for ShareRow {
    fn from(share: Share) -> Self {
        Self {
            requests: share.requests,
            input_tokens: share.input_tokens,
            output_tokens: share.output_tokens,
            money_micros: share.money.micros(),
            concurrency: share.concurrency,
            budget_micros: share.budget.micros(),
        }
    }
}

impl From<ShareRow> for Share {
    fn from(row: ShareRow) -> Self {
        Self {
            requests: row.requests,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            money: Money::from_micros(row.money_micros),
            concurrency: row.concurrency,
            budget: Money::from_micros(row.budget_micros),
        }
    }
}

/// Asks for a share, in place of the one that the asker has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AskLease {
    /// One life of one limiter of the asking node; whose node it is, the grantor knows by itself.
    pub life: String,
    /// The number of the lease that it lives on; 0 for none.
    pub lease: u64,
    /// What it could use.
    pub wants: ShareRow,
    /// Money that it has spent since it lives, in millionths.
    pub spent_micros: u64,
}

impl AskLease {
    pub(super) fn new(life: &str, demand: Demand) -> Self {
        let Demand { lease, share, spent } = demand;
        Self { life: life.to_owned(), lease, wants: share.into(), spent_micros: spent.micros() }
    }

    pub(super) fn demand(&self) -> Demand {
        Demand { lease: self.lease, share: self.wants.into(), spent: Money::from_micros(self.spent_micros) }
    }
}

/// A share for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Which lease it is, from 1.
    pub number: u64,
    /// The share.
    pub share: ShareRow,
    /// What the asker had reported as spent, in millionths: the share's budget counts from there.
    pub spent_micros: u64,
    /// For how long it holds, from the asking on, in milliseconds.
    pub term_ms: u64,
    /// How long the provider wants to be left alone yet, in milliseconds, as somebody has heard.
    pub penalty_ms: u64,
}

impl LeaseRow {
    pub(super) fn new(lease: Lease, penalty: Duration) -> Self {
        let Lease { number, share, spent, term } = lease;
        let (term_ms, penalty_ms) = (crate::millis(term), crate::millis(penalty));
        Self { number, share: share.into(), spent_micros: spent.micros(), term_ms, penalty_ms }
    }

    pub(super) fn lease(&self) -> Lease {
        Lease {
            number: self.number,
            share: self.share.into(),
            spent: Money::from_micros(self.spent_micros),
            term: Duration::from_millis(self.term_ms),
        }
    }
}

impl Message for AskLease {
    type Reply = Result<LeaseRow, Failure>;
}

impl WireMessage for AskLease {
    const KIND: &'static str = "limit.lease.v1";
}

/// A limiter ends, and gives its share back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GiveBack {
    /// What it would have asked for next: its last report.
    pub last: AskLease,
}

impl Message for GiveBack {
    type Reply = ();
}

impl WireMessage for GiveBack {
    const KIND: &'static str = "limit.give_back.v1";
}

/// The provider has answered 429, and wants to be left alone by all.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TellPenalty {
    /// For how long, in milliseconds. More than a day is taken for a day.
    pub retry_after_ms: u64,
}

impl Message for TellPenalty {
    type Reply = ();
}

impl WireMessage for TellPenalty {
    const KIND: &'static str = "limit.penalty.v1";
}
