//! What was reserved and used under one key: values and the time, nobody waits here.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::{Cost, Lease, Limit, LimitConfig, LimitError};
use crate::Money;

/// The longest time for which a target's word is taken that it wants to be left alone.
const PENALTY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What was reserved and used under one key.
#[derive(Debug)]
pub(super) struct Ledger {
    /// In the order of [`Limit::RATED`].
    buckets: [Option<Bucket>; 4],
    concurrency: Option<u32>,
    under_way: u32,
    budget: Option<Money>,
    /// What was taken out of the budget.
    spent: Money,
    penalty_until: Option<Instant>,
    /// The lease that this node lives on, if it lives on leases, and when that runs out.
    lease: Option<(u64, Instant)>,
    at: Instant,
}

/// Why a call cannot be made right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortfall {
    /// What it waits for longest.
    pub(super) limit: Limit,
    /// How long at least; `None` where that is not in sight.
    pub(super) needs: Option<Duration>,
}

/// Units ahead in the queue, in the order of [`Limit::RATED`].
pub(super) type Ahead = [u128; 4];

impl Ledger {
    pub(super) fn new(config: &LimitConfig, now: Instant) -> Self {
        Self {
            buckets: config.rates().map(|rate| rate.map(|rate| Bucket::new(rate, now))),
            concurrency: config.concurrency,
            under_way: 0,
            budget: config.budget,
            spent: Money::ZERO,
            penalty_until: None,
            lease: None,
            at: now,
        }
    }

    /// Whether `cost` can be met at all.
    pub(super) fn check(&self, cost: &Cost) -> Result<(), LimitError> {
        for ((limit, bucket), asked) in self.rated().zip(cost.amounts()) {
            if let Some(most) = bucket.map(Bucket::most).filter(|most| asked > *most) {
                return Err(LimitError::TooLarge { limit, asked, most });
            }
        }
        match self.budget_left() {
            // On a lease another piece may come, which is worth waiting for.
            Some(left) if cost.money > left && self.lease.is_none() => {
                Err(LimitError::Exhausted { asked: cost.money, left })
            }
            _ => Ok(()),
        }
    }

    fn rated(&self) -> impl Iterator<Item = (Limit, Option<&Bucket>)> {
        Limit::RATED.into_iter().zip(self.buckets.iter().map(Option::as_ref))
    }

    pub(super) fn budget_left(&self) -> Option<Money> {
        self.budget.map(|budget| budget.saturating_sub(self.spent))
    }

    pub(super) fn spent(&self) -> Money {
        self.spent
    }

    /// Brings it to `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        self.at = now.max(self.at);
        // A share that ran out belongs to others.
        let until = self.lease.map_or(now, |(_, until)| until.min(now));
        self.buckets.iter_mut().flatten().for_each(|bucket| bucket.refill(until));
    }

    /// What stands between `cost` and its call, behind `ahead` others; `None` if nothing does.
    pub(super) fn shortfall(&self, cost: &Cost, ahead: &Ahead) -> Option<Shortfall> {
        let mut worst: Option<Shortfall> = self.penalty();
        let mut note = |limit, needs: Option<Duration>| {
            let is_worse = worst.is_none_or(|worst| match (needs, worst.needs) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(needs), Some(known)) => needs > known,
            });
            if needs != Some(Duration::ZERO) && is_worse {
                worst = Some(Shortfall { limit, needs });
            }
        };
        for (((limit, bucket), units), ahead) in self.rated().zip(cost.amounts()).zip(ahead) {
            note(limit, bucket.map_or(Some(Duration::ZERO), |bucket| bucket.ready_in(*ahead, units)));
        }
        if self.lease.is_some_and(|(_, until)| until <= self.at) {
            note(Limit::Share, None);
        }
        if self.budget_left().is_some_and(|left| cost.money > left) {
            note(Limit::Budget, None);
        }
        if worst.is_none() && self.concurrency.is_some_and(|most| self.under_way >= most) {
            return Some(Shortfall { limit: Limit::Concurrency, needs: None });
        }
        worst
    }

    /// What is left of the time for which the target wants to be left alone.
    pub(super) fn penalty(&self) -> Option<Shortfall> {
        let needs = self.penalty_until?.saturating_duration_since(self.at);
        (!needs.is_zero()).then_some(Shortfall { limit: Limit::Penalty, needs: Some(needs) })
    }

    pub(super) fn penalize(&mut self, retry_after: Duration) {
        let until = self.at.checked_add(retry_after.min(PENALTY_MAX));
        // Of two demands the longer holds.
        self.penalty_until = self.penalty_until.max(until);
    }

    pub(super) fn lower_to(&mut self, limit: Limit, left: u64) {
        let bucket = Limit::RATED.iter().position(|rated| *rated == limit);
        if let Some(bucket) = bucket.and_then(|at| self.buckets[at].as_mut()) {
            bucket.lower_to(left);
        }
    }

    pub(super) fn take(&mut self, cost: &Cost) {
        self.under_way += 1;
        for (bucket, units) in self.buckets.iter_mut().zip(cost.amounts()) {
            if let Some(bucket) = bucket {
                bucket.take(units);
            }
        }
        self.spent = self.spent.saturating_add(cost.money);
    }

    /// A call is over, and used so much of what was reserved.
    pub(super) fn settle(&mut self, reserved: &Cost, used: &Cost) {
        self.under_way = self.under_way.saturating_sub(1);
        let amounts = reserved.amounts().into_iter().zip(used.amounts());
        for (bucket, (reserved, used)) in self.buckets.iter_mut().zip(amounts) {
            if let Some(bucket) = bucket {
                bucket.settle(reserved, used);
            }
        }
        self.spent = self.spent.saturating_sub(reserved.money).saturating_add(used.money);
    }

    pub(super) fn set_share(&mut self, lease: &Lease, until: Instant) {
        let Lease { number, share, spent, .. } = lease;
        for (bucket, amount) in self.buckets.iter_mut().zip(share.amounts()) {
            if let Some(bucket) = bucket {
                bucket.set_amount(amount);
            }
        }
        self.concurrency = self.concurrency.map(|_| share.concurrency);
        self.budget = self.budget.map(|_| spent.saturating_add(share.budget));
        self.lease = Some((*number, until));
    }

    /// The number of the lease that this node lives on; 0 for none.
    pub(super) fn lease(&self) -> u64 {
        self.lease.map_or(0, |(number, _)| number)
    }

    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// The whole rate of each limit, and what of it may be used here.
    pub(super) fn rates(&self) -> [(u64, u64); 4] {
        self.buckets.each_ref().map(|bucket| bucket.as_ref().map_or((0, 0), Bucket::amounts))
    }

    pub(super) fn available(&self) -> [Option<u64>; 4] {
        self.buckets.each_ref().map(|bucket| bucket.as_ref().map(Bucket::available))
    }
}
