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
/// more than the whole; so a newcomer may have to wait until others renew theirs, which is a third of a term.
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
/// let alpha = table.ask("alpha-7f3a", Demand::default(), now).unwrap();
/// assert_eq!(alpha.share.requests, 100);
/// // Alpha renews, and beta has a part.
/// assert_eq!(table.ask("beta-91c0", Demand::default(), now).unwrap().share.requests, 0);
/// assert_eq!(table.ask("alpha-7f3a", Demand::default(), now).unwrap().share.requests, 50);
/// assert_eq!(table.ask("beta-91c0", Demand::default(), now).unwrap().share.requests, 50);
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
    /// When the first share was granted.
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

#[derive(Debug)]
struct Holder {
    wants: Share,
    has: Share,
    until: Instant,
    /// Money that it has reported as spent.
    reported: Money,
}

impl LeaseTable {
    /// A table of which no share has been granted yet.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(whole: Share, config: LeaseConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let holders = BTreeMap::new();
        Ok(Self { whole, config, holders, spent: Money::ZERO, quiet_until: None, began: None })
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
        let reported = self.holders.get(holder).map_or(Money::ZERO, |known| known.reported);
        self.spent = self.spent.saturating_add(demand.spent.saturating_sub(reported));
        let until = now + self.config.term;
        // It holds nothing while it is decided what it gets.
        let reported = reported.max(demand.spent);
        let known = Holder { wants: demand.share, has: Share::default(), until, reported };
        self.holders.insert(holder.to_owned(), known);
        let share = self.share_of(holder, now);
        if let Some(known) = self.holders.get_mut(holder) {
            known.has = share;
        }
        Ok(Lease { share, term: self.config.term })
    }

    /// A holder says goodbye, and uses its share no more; its last report may tell what it spent. Without one the
    /// money that it held counts as spent.
    ///
    /// For a holder that is only thought to be dead this is too early: cut off from us, it may use its share until
    /// that runs out, which it does by itself.
    pub fn release(&mut self, holder: &str, last: Option<Demand>) {
        let Some(gone) = self.holders.remove(holder) else { return };
        let used = last.map_or(gone.has.budget, |last| last.spent.saturating_sub(gone.reported));
        self.spent = self.spent.saturating_add(used);
    }

    /// Who holds which share at `now`, by name.
    pub fn holders(&self, now: Instant) -> impl Iterator<Item = (&str, Share)> {
        let holding = self.holders.iter().filter(move |(_, known)| now < known.until);
        holding.map(|(holder, known)| (holder.as_str(), known.has))
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
            self.holders.iter().find(|(_, known)| known.until <= now).map(|(holder, _)| holder.clone());
        let over = over.ok_or(LeaseError::Full { holders_max })?;
        self.release(&over, None);
        Ok(())
    }

    fn share_of(&self, holder: &str, now: Instant) -> Share {
        let holding: Vec<(&String, &Holder)> =
            self.holders.iter().filter(|(_, known)| now < known.until).collect();
        let at = holding.iter().position(|(name, _)| *name == holder).unwrap_or_default();
        let turn = self.turn(now);
        let part = |whole: u64, of: &dyn Fn(&Share) -> u64| {
            let wants: Vec<u64> = holding.iter().map(|(_, known)| of(&known.wants)).collect();
            let others: u64 = holding.iter().map(|(_, known)| of(&known.has)).sum();
            fair::parts(whole, &wants, turn)[at].min(whole.saturating_sub(others))
        };
        let whole = self.whole.amounts();
        let amounts = std::array::from_fn(|limit| part(whole[limit], &|share| share.amounts()[limit]));
        let concurrency = part(u64::from(self.whole.concurrency), &|share| u64::from(share.concurrency));
        let wanted = holding.get(at).map_or(Money::ZERO, |(_, known)| known.wants.budget);
        let budget = self.piece_of_budget(wanted, holding.len());
        Share::of_amounts(amounts, u32::try_from(concurrency).unwrap_or(u32::MAX), budget)
    }

    /// Who is first to get what cannot be split changes from term to term. Not from grant to grant: holders ask one
    /// after the other, and the same ones would always be lucky.
    fn turn(&self, now: Instant) -> usize {
        let elapsed = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        usize::try_from(elapsed.as_millis() / self.config.term.as_millis().max(1)).unwrap_or_default()
    }

    fn piece_of_budget(&self, wanted: Money, holders: usize) -> Money {
        // Pieces are out until their holder reports, whether its term is over or not.
        let out: u64 = self.holders.values().map(|known| known.has.budget.micros()).sum();
        let left = self.whole.budget.saturating_sub(self.spent).micros();
        let even = left / u64::try_from(holders.max(1)).unwrap_or(u64::MAX);
        let piece = wanted.micros().max(left / 16).max(1).min(even);
        Money::from_micros(piece.min(left.saturating_sub(out)))
    }
}

#[cfg(test)]
mod tests;
