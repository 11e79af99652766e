//! How a model's context is shared out.

/// What the parts of a context may have. The default is 0.1 for instructions, 0.3 for memories, 0.5 for the conversation,
/// and 8,192 of 200,000 tokens for the answer.
///
/// What the shares leave over, a tenth by default, is the safety between counts and truth.
///
/// ```
/// use mesh_models::BudgetSettings;
///
/// let budget = BudgetSettings::default().allocate()?;
/// assert_eq!((budget.input, budget.system, budget.memory, budget.conversation), (191_808, 19_180, 57_542, 95_904));
/// # Ok::<(), mesh_models::BudgetError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetSettings {
    /// Tokens that the model can have before it, its answer included; 200,000 by default.
    pub context_tokens: u64,
    /// Tokens kept for the answer; 8,192 by default. 0 means none.
    pub output_reserve: u64,
    /// Share of the input for instructions and tools, 0 to 1.
    pub system_ratio: f64,
    /// Share of the input for memories, 0 to 1.
    pub memory_ratio: f64,
    /// Share of the input for the conversation, 0 to 1. The three are at most 1 together.
    pub conversation_ratio: f64,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            context_tokens: 200_000,
            output_reserve: 8_192,
            system_ratio: 0.1,
            memory_ratio: 0.3,
            conversation_ratio: 0.5,
        }
    }
}

/// Tokens for each part of a context. The parts are at most `input` together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenBudget {
    /// All that the model can have before it.
    pub total: u64,
    /// What may be sent: `total` without `output_reserve`.
    pub input: u64,
    /// For instructions and tools.
    pub system: u64,
    /// For memories.
    pub memory: u64,
    /// For the conversation.
    pub conversation: u64,
    /// For the answer.
    pub output_reserve: u64,
}

/// Settings that no budget fits; their writer's mistake.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A share is less than 0, more than 1, or no number.
    #[error("{key} is {value}; a share is a number from 0 to 1")]
    NoShare {
        /// Which one, as `memory_ratio`.
        key: &'static str,
        /// What it is.
        value: f64,
    },
    /// The shares are more than the whole.
    #[error("the shares are {sum} together, which is more than 1")]
    TooMuch {
        /// Their sum.
        sum: f64,
    },
    /// The answer's part leaves nothing to send.
    #[error("an output reserve of {output_reserve} leaves nothing of {context_tokens} tokens")]
    NoInput {
        /// What was to be kept for the answer.
        output_reserve: u64,
        /// What there is.
        context_tokens: u64,
    },
}

impl BudgetSettings {
    /// Shares the context out, each share rounded down.
    ///
    /// # Errors
    /// [`BudgetError`], for the first thing that is wrong.
    pub fn allocate(&self) -> Result<TokenBudget, BudgetError> {
        let shares = [
            ("system_ratio", self.system_ratio),
            ("memory_ratio", self.memory_ratio),
            ("conversation_ratio", self.conversation_ratio),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(BudgetError::NoShare { key, value });
            }
        }
        // 0.1 + 0.2 + 0.7 is a little more than 1.
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if sum > 1.0 + 1e-9 {
            return Err(BudgetError::TooMuch { sum });
        }
        let (context_tokens, output_reserve) = (self.context_tokens, self.output_reserve);
        if output_reserve >= context_tokens {
            return Err(BudgetError::NoInput { output_reserve, context_tokens });
        }
        let input = context_tokens - output_reserve;
        let system = part(input, self.system_ratio);
        let memory = part(input, self.memory_ratio).min(input - system);
        Ok(TokenBudget {
            total: context_tokens,
            input,
            system,
            memory,
            conversation: part(input, self.conversation_ratio).min(input - system - memory),
            output_reserve,
        })
    }
}

pub(crate) fn part(of: u64, share: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 tokens")]
    let part = of as f64 * share;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and a share is from 0 to 1"
    )]
    let part = part as u64;
    part.min(of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_output_reserve_of_zero_is_zero() {
        let settings = BudgetSettings { output_reserve: 0, ..BudgetSettings::default() };
        let budget = settings.allocate().unwrap();
        assert_eq!((budget.input, budget.output_reserve), (200_000, 0));
    }

    #[test]
    fn shares_that_cannot_be_are_refused() {
        let with = |change: fn(&mut BudgetSettings)| {
            let mut settings = BudgetSettings::default();
            change(&mut settings);
            settings.allocate()
        };
        for (key, refused) in [
            ("system_ratio", with(|settings| settings.system_ratio = -0.1)),
            ("memory_ratio", with(|settings| settings.memory_ratio = f64::NAN)),
            ("conversation_ratio", with(|settings| settings.conversation_ratio = 1.1)),
        ] {
            assert!(matches!(refused, Err(BudgetError::NoShare { key: named, .. }) if named == key));
        }
        let refused = with(|settings| settings.conversation_ratio = 0.7);
        assert!(matches!(refused, Err(BudgetError::TooMuch { .. })), "{refused:?}");
        let refused = with(|settings| settings.output_reserve = 200_000);
        assert!(matches!(refused, Err(BudgetError::NoInput { .. })), "{refused:?}");
    }

    #[test]
    fn shares_that_are_the_whole_are_taken_in_spite_of_binary_fractions() {
        let (system_ratio, memory_ratio, conversation_ratio) = (0.1, 0.2, 0.7);
        let settings =
            BudgetSettings { system_ratio, memory_ratio, conversation_ratio, ..BudgetSettings::default() };
        settings.allocate().unwrap();
    }

    proptest! {
        #[test]
        fn the_parts_are_never_more_than_the_whole(
            context_tokens in 1..u64::MAX,
            output_reserve in 0..1_000_000_u64,
            (a, b, c) in (0.0..=1.0, 0.0..=1.0, 0.0..=1.0),
        ) {
            let settings = BudgetSettings {
                context_tokens,
                output_reserve,
                system_ratio: a,
                memory_ratio: b,
                conversation_ratio: c,
            };
            if let Ok(budget) = settings.allocate() {
                prop_assert!(budget.system + budget.memory + budget.conversation <= budget.input);
                prop_assert_eq!(budget.input + budget.output_reserve, budget.total);
            }
        }
    }
}
