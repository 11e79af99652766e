//! The part of a limit that one node may use, and for how long.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::ledger::{Ledger, Shortfall};
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
    /// The number of the lease that it lives on; 0 for none. So a grantor whose answer was lost knows that what it
    /// granted before still holds.
    pub lease: u64,
    /// What it could use, as it looks.
    pub share: Share,
    /// Money that it has spent since it lives: a sum, so that a report that is lost or comes twice does no harm.
    #[serde(rename = "spent_micros")]
    pub spent: Money,
}

/// A share for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which lease it is, from 1.
    pub number: u64,
    /// The share.
    pub share: Share,
    /// What the holder had reported as spent: the share's budget counts from there.
    #[serde(rename = "spent_micros")]
    pub spent: Money,
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
                limiter.set_share(&lease, asked);
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
    /// The most that a call wanted for which a piece of the budget was too small.
    wanted: Money,
}

impl Meter {
    pub(super) fn new(config: &LimitConfig, now: Instant) -> Self {
        let periods = config.rates().map(|rate| rate.map_or(Duration::ZERO, |rate| rate.per));
        let (asked, is_short, none) = ([0; 4], [false; 4], Money::ZERO);
        Self { asked, is_short, periods, since: now, spent: none, spent_before: none, wanted: none }
    }

    pub(super) fn note(&mut self, cost: &Cost) {
        for (sum, units) in self.asked.iter_mut().zip(cost.amounts()) {
            *sum = sum.saturating_add(u128::from(units));
        }
    }

    /// A call for `cost` has to wait.
    pub(super) fn missed(&mut self, cost: &Cost, short: Option<Shortfall>) {
        let Some(Shortfall { limit: missed, .. }) = short else { return };
        for (is_short, limit) in self.is_short.iter_mut().zip(Limit::RATED) {
            *is_short |= missed == limit;
        }
        if missed == Limit::Budget {
            self.wanted = self.wanted.max(cost.money);
        }
    }

    pub(super) fn report(&mut self, ledger: &Ledger, waiting: usize, now: Instant) -> Demand {
        let rates = ledger.rates();
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
        self.spent = self.spent.max(ledger.spent());
        let lately = self.spent.saturating_sub(std::mem::replace(&mut self.spent_before, self.spent));
        let budget = lately.saturating_add(lately).max(std::mem::take(&mut self.wanted));
        let concurrency = ledger.under_way().saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
        let share = Share::of_amounts(amounts, concurrency, budget);
        Demand { lease: ledger.lease(), share, spent: self.spent }
    }
}
