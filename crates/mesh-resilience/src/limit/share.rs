//! The part of a limit that one node may use, and for how long.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::ledger::Shortfall;
use super::{Cost, Limit, LimitConfig, Limiter};
use crate::Money;

/// A part of the limits of one target, or all of it. Each amount is for the period of its own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// Requests.
    pub requests: u64,
    /// Tokens that are sent.
    pub input_tokens: u64,
    /// Tokens that are answered.
    pub output_tokens: u64,
    /// Money.
    #[serde(rename = "money_micros")]
    pub money: Money,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Money that does not come back.
    #[serde(rename = "budget_micros")]
    pub budget: Money,
}

impl Share {
    /// All that these settings allow; 0 for what they do not limit.
    #[must_use]
    pub fn whole(config: &LimitConfig) -> Self {
        let [requests, input_tokens, output_tokens, money] =
            config.rates().map(|rate| rate.map_or(0, |rate| rate.amount));
        Self {
            requests,
            input_tokens,
            output_tokens,
            money: Money::from_micros(money),
            concurrency: config.concurrency.unwrap_or(0),
            budget: config.budget.unwrap_or_default(),
        }
    }

    /// In the order of [`Limit::RATED`](super::Limit::RATED).
    pub(super) fn amounts(&self) -> [u64; 4] {
        [self.requests, self.input_tokens, self.output_tokens, self.money.micros()]
    }

    pub(super) fn of_amounts(amounts: [u64; 4], concurrency: u32, budget: Money) -> Self {
        let [requests, input_tokens, output_tokens, money] = amounts;
        Self { requests, input_tokens, output_tokens, money: Money::from_micros(money), concurrency, budget }
    }
}

/// What a node wants of a limit, and what it has used of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// What it could use, as it looks.
    pub share: Share,
    /// Money that it has spent since it lives: a sum, so that a report that is lost or comes twice does no harm.
    #[serde(rename = "spent_micros")]
    pub spent: Money,
}

/// A share for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The share.
    pub share: Share,
    /// For how long it holds. The holder counts from when it *asked*, the grantor from when it granted, so that the
    /// holder's end comes first, however long the answer took.
    #[serde(with = "crate::config::duration")]
    pub term: Duration,
}

/// Who grants shares of one limit: a [`LeaseTable`](super::LeaseTable), here or behind an actor of another node.
///
/// ```
/// use std::sync::Mutex;
///
/// use mesh_resilience::{Admission, Demand, Lease, LeaseError, LeaseTable};
/// use tokio::time::Instant;
///
/// struct Here(Mutex<LeaseTable>);
///
/// impl Admission for Here {
///     type Error = LeaseError;
///
///     async fn lease(&self, holder: &str, demand: Demand) -> Result<Lease, LeaseError> {
///         self.0.lock().unwrap().ask(holder, demand, Instant::now())
///     }
/// }
/// ```
pub trait Admission {
    /// Why there is no share.
    type Error: fmt::Display;

    /// A share for `holder`, which names one life of one process.
    ///
    /// # Errors
    /// Whatever keeps the grantor from answering.
    fn lease(&self, holder: &str, demand: Demand) -> impl Future<Output = Result<Lease, Self::Error>> + Send;
}

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// How long until the next try when there was none.
const AGAIN: Duration = Duration::from_secs(1);

/// Has `limiter`, made by [`Limiter::leased`], live on shares of `admission`: each is renewed when a third of its term is
/// over, and when no new one comes nothing is allowed after its term. Runs until it is dropped.
///
/// # Cancel safety
/// Dropped, it leaves the limiter its last share until that runs out.
pub async fn keep_leased<A: Admission>(limiter: &Limiter, holder: &str, admission: &A) -> Infallible {
    loop {
        let asked = Instant::now();
        let pause = match timeout(ANSWER, admission.lease(holder, limiter.demand())).await {
            Ok(Ok(lease)) => {
                limiter.set_share(&lease.share, asked + lease.term);
                lease.term / 3
            }
            Ok(Err(error)) => {
                tracing::warn!(holder, %error, "no share of the limit");
                AGAIN
            }
            Err(_) => {
                tracing::warn!(holder, "no answer about a share of the limit");
                AGAIN
            }
        };
        sleep(pause).await;
    }
}

/// What was asked for since the last report.
#[derive(Debug)]
pub(super) struct Meter {
    asked: [u128; 4],
    /// Whether a call had to wait for this limit.
    is_short: [bool; 4],
    periods: [Duration; 4],
    since: Instant,
    spent: Money,
    spent_before: Money,
}

impl Meter {
    pub(super) fn new(config: &LimitConfig, now: Instant) -> Self {
        let periods = config.rates().map(|rate| rate.map_or(Duration::ZERO, |rate| rate.per));
        Self {
            asked: [0; 4],
            is_short: [false; 4],
            periods,
            since: now,
            spent: Money::ZERO,
            spent_before: Money::ZERO,
        }
    }

    pub(super) fn note(&mut self, cost: &Cost) {
        for (sum, units) in self.asked.iter_mut().zip(cost.amounts()) {
            *sum = sum.saturating_add(u128::from(units));
        }
    }

    pub(super) fn missed(&mut self, short: Option<Shortfall>) {
        for (is_short, limit) in self.is_short.iter_mut().zip(Limit::RATED) {
            *is_short |= short.is_some_and(|short| short.limit == limit);
        }
    }

    /// `rates` are the whole of each limit and what this node has of it.
    pub(super) fn report(
        &mut self,
        spent: Money,
        concurrency: u32,
        rates: [(u64, u64); 4],
        now: Instant,
    ) -> Demand {
        let elapsed = now.saturating_duration_since(self.since).as_nanos().max(1_000_000);
        let asked = std::mem::take(&mut self.asked);
        let is_short = std::mem::take(&mut self.is_short);
        let amounts = std::array::from_fn(|limit| {
            let scaled = asked[limit].saturating_mul(self.periods[limit].as_nanos()).div_ceil(elapsed);
            let (scaled, (whole, has)) = (u64::try_from(scaled).unwrap_or(u64::MAX), rates[limit]);
            // From nothing, doubling alone would take for ever: an eighth is a beginning.
            if is_short[limit] { scaled.max(has).saturating_mul(2).max(whole / 8).max(1) } else { scaled }
        });
        self.since = now;
        // What was given back after it was reported stays reported.
        self.spent = self.spent.max(spent);
        let lately = self.spent.saturating_sub(std::mem::replace(&mut self.spent_before, self.spent));
        let share = Share::of_amounts(amounts, concurrency, lately.saturating_add(lately));
        Demand { share, spent: self.spent }
    }
}
