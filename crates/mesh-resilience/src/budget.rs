//! How much a piece of work may use, itself and all that it starts.

use serde::{Deserialize, Serialize};

use crate::Money;

/// How much a piece of work may use: tokens, money, and how deep it may delegate.
///
/// It only ever shrinks on the way down: what a [`child`](Self::child) gets is taken from its parent, so the parts
/// never add up to more than the whole. What a child has left over comes back by [`reclaim`](Self::reclaim), which
/// gives no more than was lent. The names of the written fields are `tokens`, `money_micros` and `depth`; what is lent
/// is not written, so a budget that was stored or sent can reclaim nothing.
///
/// ```
/// use mesh_resilience::{Budget, Money, Spend};
///
/// let mut run = Budget::new(10_000, Money::from_micros(500_000), 3);
/// let mut research = run.child(run.part(1, 4))?;
/// research.charge(Spend::tokens(2_000))?;
/// run.reclaim(research);
/// assert_eq!(run.tokens(), 8_000);
/// assert!(research.charge(Spend::tokens(501)).is_err());
/// # Ok::<(), mesh_resilience::BudgetExhausted>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    tokens: u64,
    #[serde(rename = "money_micros")]
    money: Money,
    depth: u32,
    #[serde(skip)]
    lent: Spend,
}

/// An amount of tokens and money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spend {
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Money.
    pub money: Money,
}

impl Spend {
    /// So many tokens, and no money.
    #[must_use]
    pub const fn tokens(tokens: u64) -> Self {
        Self { tokens, money: Money::ZERO }
    }

    /// So much money, and no tokens.
    #[must_use]
    pub const fn money(money: Money) -> Self {
        Self { tokens: 0, money }
    }
}

impl Budget {
    /// A budget for the root of some work. `depth` is how many generations of children may follow: 0 for none.
    #[must_use]
    pub const fn new(tokens: u64, money: Money, depth: u32) -> Self {
        Self { tokens, money, depth, lent: Spend { tokens: 0, money: Money::ZERO } }
    }

    /// Tokens that are left.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Money that is left.
    #[must_use]
    pub const fn money(&self) -> Money {
        self.money
    }

    /// How many generations of children may follow.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// `parts` of `whole` equal parts of what is left, rounded down; all of it from `parts == whole` on.
    #[must_use]
    pub fn part(&self, parts: u32, whole: u32) -> Spend {
        let of = |amount: u64| {
            let share = u128::from(amount) * u128::from(parts.min(whole)) / u128::from(whole.max(1));
            u64::try_from(share).unwrap_or(amount)
        };
        Spend { tokens: of(self.tokens), money: Money::from_micros(of(self.money.micros())) }
    }

    /// Takes `share` out of this budget for work one level below.
    ///
    /// # Errors
    /// [`BudgetExhausted`]: there is less left, or no depth. Nothing was taken.
    pub fn child(&mut self, share: Spend) -> Result<Self, BudgetExhausted> {
        let depth = self.depth.checked_sub(1).ok_or(BudgetExhausted::Depth)?;
        self.check(share)?;
        self.take(share);
        self.lent.tokens = self.lent.tokens.saturating_add(share.tokens);
        self.lent.money = self.lent.money.saturating_add(share.money);
        Ok(Self::new(share.tokens, share.money, depth))
    }

    /// Takes back what a child did not use, at most what was lent to children and has not come back.
    pub fn reclaim(&mut self, child: Self) {
        let tokens = child.tokens.min(self.lent.tokens);
        let money = child.money.min(self.lent.money);
        self.lent.tokens -= tokens;
        self.lent.money = self.lent.money.saturating_sub(money);
        self.tokens = self.tokens.saturating_add(tokens);
        self.money = self.money.saturating_add(money);
    }

    /// Whether there is as much left as is about to be used.
    ///
    /// # Errors
    /// [`BudgetExhausted`] names what there is too little of.
    pub fn check(&self, wanted: Spend) -> Result<(), BudgetExhausted> {
        if wanted.tokens > self.tokens {
            return Err(BudgetExhausted::Tokens { left: self.tokens, wanted: wanted.tokens });
        }
        if wanted.money > self.money {
            return Err(BudgetExhausted::Money { left: self.money, wanted: wanted.money });
        }
        Ok(())
    }

    /// Takes what was used. It was used whether there was enough or not, so what there is too little of is nothing
    /// afterwards.
    ///
    /// # Errors
    /// [`BudgetExhausted`]: more was used than there was. Stop.
    pub fn charge(&mut self, used: Spend) -> Result<(), BudgetExhausted> {
        let enough = self.check(used);
        self.take(used);
        enough
    }

    fn take(&mut self, used: Spend) {
        self.tokens = self.tokens.saturating_sub(used.tokens);
        self.money = self.money.saturating_sub(used.money);
    }
}

/// A budget does not allow what was asked: whoever set it wants the work to stop here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetExhausted {
    /// Fewer tokens are left.
    #[error("{wanted} tokens are wanted, and {left} are left of the budget")]
    Tokens {
        /// Tokens that were left.
        left: u64,
        /// Tokens that were asked for.
        wanted: u64,
    },
    /// Less money is left.
    #[error("{wanted} is wanted, and {left} is left of the budget")]
    Money {
        /// Money that was left.
        left: Money,
        /// Money that was asked for.
        wanted: Money,
    },
    /// No more levels of delegation are allowed.
    #[error("the budget allows no further delegation")]
    Depth,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget() -> Budget {
        Budget::new(1_000, Money::from_micros(90), 2)
    }

    #[test]
    fn a_budget_is_written_under_stable_names() {
        let json = serde_json::to_string(&budget()).unwrap();
        assert_eq!(json, r#"{"tokens":1000,"money_micros":90,"depth":2}"#);
        assert_eq!(serde_json::from_str::<Budget>(&json).unwrap(), budget());
    }

    #[test]
    fn depth_ends_delegation() {
        let mut root = budget();
        let mut child = root.child(Spend::tokens(500)).unwrap();
        let mut grandchild = child.child(Spend::tokens(100)).unwrap();
        assert_eq!(grandchild.child(Spend::default()), Err(BudgetExhausted::Depth));
    }

    #[test]
    fn a_child_that_asks_for_too_much_takes_nothing() {
        let mut root = budget();
        let refused = root.child(Spend { tokens: 1, money: Money::from_micros(91) });
        assert!(matches!(refused, Err(BudgetExhausted::Money { .. })), "{refused:?}");
        assert_eq!(root, budget());
    }

    #[test]
    fn what_was_used_beyond_the_budget_leaves_nothing() {
        let mut root = budget();
        let error = root.charge(Spend::tokens(1_001)).unwrap_err();
        assert_eq!(error, BudgetExhausted::Tokens { left: 1_000, wanted: 1_001 });
        assert_eq!(root.tokens(), 0);
    }

    #[test]
    fn no_more_comes_back_than_was_lent() {
        let mut root = budget();
        let child = root.child(Spend::tokens(100)).unwrap();
        root.reclaim(Budget::new(5_000, Money::from_micros(5_000), 9));
        root.reclaim(child);
        assert_eq!((root.tokens(), root.money(), root.depth()), (1_000, Money::from_micros(90), 2));
    }

    proptest! {
        #[test]
        fn the_parts_never_add_up_to_more_than_the_whole(
            steps in prop::collection::vec((0..4_u8, 0..1_500_u64, any::<prop::sample::Index>()), 1..60),
        ) {
            let mut all = vec![Budget::new(1_000, Money::from_micros(1_000), 5)];
            let mut used = Spend::default();
            for (step, amount, index) in steps {
                let at = index.index(all.len());
                let spend = Spend { tokens: amount, money: Money::from_micros(amount / 2) };
                match step {
                    0 | 1 => {
                        if let Ok(child) = all[at].child(spend) {
                            prop_assert!(child.depth() < all[at].depth());
                            all.push(child);
                        }
                    }
                    2 => {
                        if all[at].charge(spend).is_ok() {
                            used.tokens += spend.tokens;
                            used.money = used.money.saturating_add(spend.money);
                        }
                    }
                    _ => {
                        let child = all.pop().unwrap();
                        match all.last_mut() {
                            Some(parent) => parent.reclaim(child),
                            None => all.push(child),
                        }
                    }
                }
                let tokens: u64 = all.iter().map(Budget::tokens).sum();
                prop_assert!(tokens + used.tokens <= 1_000);
                let money: u64 = all.iter().map(|budget| budget.money().micros()).sum();
                prop_assert!(money + used.money.micros() <= 1_000);
            }
        }
    }
}
