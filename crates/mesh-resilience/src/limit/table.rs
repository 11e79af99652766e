//! One limit for many nodes: who may use how much of it, until when.

mod fair;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Demand, Lease, Share};
use crate::config::Check;
use crate::{ConfigError, Money};

/// One limit for many nodes: who may use how much of it, until when. Values and the time; it asks nobody.
///
/// Shares follow demand: nobody gets more than it wants while another gets less than its fair part, and what nobody
/// wants is split evenly, so that whoever begins can do so at once. The shares that hold at one moment never add up to
/// more than the whole, whichever answers are lost: a share that shrinks counts as it was until its holder shows by its
/// next question that it knows. So a newcomer may have to wait until others have renewed theirs twice, which is two
/// thirds of a term.
///
/// Money that does not come back is handed out in pieces: at most an even part of what is left, and a sixteenth or
/// what was wanted, whichever is more. The piece of a holder that dies counts as spent.
///
/// ```
/// # use std::time::Duration;
/// use mesh_resilience::{Demand, LeaseConfig, LeaseTable, Share};
/// # let now = tokio::time::Instant::now();
/// let whole = Share { requests: 100, ..Share::default() };
/// let mut table = LeaseTable::new(whole, LeaseConfig::default())?;
/// let mut ask = |holder: &str, lease| {
///     let lease = table.ask(holder, Demand { lease, ..Demand::default() }, now).unwrap();
///     (lease.number, lease.share.requests)
/// };
/// assert_eq!(ask("alpha-7f3a", 0), (1, 100));
/// assert_eq!(ask("beta-91c0", 0), (2, 0));
/// // Alpha hears of its smaller share, and shows that it did: then beta has the other half.
/// assert_eq!(ask("alpha-7f3a", 1), (3, 50));
/// assert_eq!(ask("alpha-7f3a", 3), (4, 50));
/// assert_eq!(ask("beta-91c0", 2), (5, 50));
/// # Ok::<(), mesh_resilience::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct LeaseTable {
    whole: Share,
    config: LeaseConfig,
    holders: BTreeMap<String, Holder>,
    /// Money that was spent for certain, or must be taken for spent.
    spent: Money,
    quiet_until: Option<Instant>,
    /// Leases that were granted.
    granted: u64,
    /// When the first one was.
    began: Option<Instant>,
}

/// The bounds of a [`LeaseTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseConfig {
    /// For how long a share holds. 10 s; 1 s to 1 h. What a dead node had is idle for as long.
    #[serde(with = "crate::config::duration")]
    pub term: Duration,
    /// Nodes that may hold shares at once. 1,024; 1 to 10,000.
    pub holders_max: usize,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { term: Duration::from_secs(10), holders_max: 1_024 }
    }
}

impl LeaseConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut check = Check::default();
        check.range("term", &self.term, &Duration::from_secs(1), &Duration::from_secs(3_600));
        check.range("holders_max", &self.holders_max, &1, &10_000);
        check.done()
    }
}

/// Why a node gets no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Shares may hold that this table does not know of, granted before it was lost. Ask again when they have run out.
    #[error("shares of before may hold for {:.1} s more", retry_after.as_secs_f64())]
    Quiet {
        /// When all of them have run out.
        retry_after: Duration,
    },
    /// As many nodes hold shares as may.
    #[error("{holders_max} nodes hold shares of the limit already")]
    Full {
        /// As many there may be.
        holders_max: usize,
    },
}

#[derive(Debug, Default)]
struct Holder {
    wants: Share,
    /// The lease that it lives on, and the last one that it was granted, which it may have heard of or not.
    grants: Vec<Grant>,
    /// Money that it has reported as spent.
    reported: Money,
}

#[derive(Debug)]
struct Grant {
    lease: Lease,
    until: Instant,
}

impl Holder {
    fn is_holding(&self, now: Instant) -> bool {
        self.grants.iter().any(|grant| now < grant.until)
    }

    /// The most that it may be using of what `of` tells, as far as we know.
    fn most(&self, now: Instant, of: impl Fn(&Share) -> u64) -> u64 {
        let holding = self.grants.iter().filter(|grant| now < grant.until);
        holding.map(|grant| of(&grant.lease.share)).max().unwrap_or(0)
    }

    /// The most that it may have spent without our knowledge: pieces are out until their holder reports, whether
    /// their term is over or not.
    fn unreported(&self) -> Money {
        let allowed =
            self.grants.iter().map(|grant| grant.lease.spent.saturating_add(grant.lease.share.budget));
        allowed.max().unwrap_or_default().saturating_sub(self.reported)
    }
}

impl LeaseTable {
    /// A table of which no share has been granted yet.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(whole: Share, config: LeaseConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let holders = BTreeMap::new();
        Ok(Self { whole, config, holders, spent: Money::ZERO, quiet_until: None, granted: 0, began: None })
    }

    /// A table in place of one that was lost: it grants nothing for a term, since shares of the lost one may hold. Of
    /// the money, `spent` is known to be spent; what holders report comes on top.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn after_loss(
        whole: Share,
        config: LeaseConfig,
        spent: Money,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Ok(Self { quiet_until: Some(now + config.term), spent, ..Self::new(whole, config)? })
    }

    /// Grants `holder` a share, in place of the one that it has. `holder` names one life of one process.
    ///
    /// # Errors
    /// [`LeaseError`]; nothing was granted, and what it has holds on.
    pub fn ask(&mut self, holder: &str, demand: Demand, now: Instant) -> Result<Lease, LeaseError> {
        if let Some(until) = self.quiet_until.filter(|until| now < *until) {
            return Err(LeaseError::Quiet { retry_after: until - now });
        }
        self.make_room(holder, now)?;
        self.began.get_or_insert(now);
        let holder = holder.to_owned();
        let known = self.holders.entry(holder.clone()).or_default();
        self.spent = self.spent.saturating_add(demand.spent.saturating_sub(known.reported));
        known.reported = known.reported.max(demand.spent);
        known.wants = demand.share;
        known.grants.retain(|grant| grant.lease.number == demand.lease);
        let spent = known.reported;
        self.granted += 1;
        let share = self.share_of(&holder, now);
        let lease = Lease { number: self.granted, share, spent, term: self.config.term };
        if let Some(known) = self.holders.get_mut(&holder) {
            known.grants.push(Grant { lease, until: now + self.config.term });
        }
        Ok(lease)
    }

    /// A holder says goodbye, and uses its share no more; its last report may tell what it spent. Without one the
    /// money that it held counts as spent.
    ///
    /// For a holder that is only thought to be dead this is too early: cut off from us, it may use its share until
    /// that runs out, which it does by itself.
    pub fn release(&mut self, holder: &str, last: Option<Demand>) {
        let Some(gone) = self.holders.remove(holder) else { return };
        let used = last.map_or(gone.unreported(), |last| last.spent.saturating_sub(gone.reported));
        self.spent = self.spent.saturating_add(used);
    }

    /// Who holds which share at `now`, by name: the one that it was granted last.
    pub fn holders(&self, now: Instant) -> impl Iterator<Item = (&str, Share)> {
        let last = move |known: &Holder| {
            known.grants.last().filter(|grant| now < grant.until).map(|grant| grant.lease.share)
        };
        self.holders.iter().filter_map(move |(holder, known)| Some((holder.as_str(), last(known)?)))
    }

    /// Money that is spent, or must be taken for spent.
    #[must_use]
    pub fn spent(&self) -> Money {
        self.spent
    }

    fn make_room(&mut self, holder: &str, now: Instant) -> Result<(), LeaseError> {
        let holders_max = self.config.holders_max;
        if self.holders.contains_key(holder) || self.holders.len() < holders_max {
            return Ok(());
        }
        let over =
            self.holders.iter().find(|(_, known)| !known.is_holding(now)).map(|(holder, _)| holder.clone());
        let over = over.ok_or(LeaseError::Full { holders_max })?;
        self.release(&over, None);
        Ok(())
    }

    fn share_of(&self, holder: &str, now: Instant) -> Share {
        let is_in = |(name, known): &(&String, &Holder)| *name == holder || known.is_holding(now);
        let holding: Vec<(&String, &Holder)> = self.holders.iter().filter(is_in).collect();
        let at = holding.iter().position(|(name, _)| *name == holder).unwrap_or_default();
        let turn = self.turn(now);
        let part = |whole: u64, of: &dyn Fn(&Share) -> u64| {
            let wants: Vec<u64> = holding.iter().map(|(_, known)| of(&known.wants)).collect();
            let others = holding.iter().filter(|(name, _)| *name != holder);
            let others: u64 = others.map(|(_, known)| known.most(now, of)).sum();
            fair::parts(whole, &wants, turn)[at].min(whole.saturating_sub(others))
        };
        let whole = self.whole.amounts();
        let amounts = std::array::from_fn(|limit| part(whole[limit], &|share| share.amounts()[limit]));
        let concurrency = part(u64::from(self.whole.concurrency), &|share| u64::from(share.concurrency));
        let budget = self.piece_of_budget(holder, holding.len());
        Share::of_amounts(amounts, u32::try_from(concurrency).unwrap_or(u32::MAX), budget)
    }

    /// Who is first to get what cannot be split changes from term to term. Not from grant to grant: holders ask one
    /// after the other, and the same ones would always be lucky.
    fn turn(&self, now: Instant) -> usize {
        let elapsed = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        usize::try_from(elapsed.as_millis() / self.config.term.as_millis().max(1)).unwrap_or_default()
    }

    fn piece_of_budget(&self, holder: &str, holders: usize) -> Money {
        let others = self.holders.iter().filter(|(name, _)| *name != holder);
        let out: u64 = others.map(|(_, known)| known.unreported().micros()).sum();
        let left = self.whole.budget.saturating_sub(self.spent).micros();
        let even = left / u64::try_from(holders.max(1)).unwrap_or(u64::MAX);
        let wanted = self.holders.get(holder).map_or(0, |known| known.wants.budget.micros());
        let piece = wanted.max(left / 16).max(1).min(even);
        Money::from_micros(piece.min(left.saturating_sub(out)))
    }
}

#[cfg(test)]
mod tests;
