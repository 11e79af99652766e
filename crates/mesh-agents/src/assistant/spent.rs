//! What a run has used, and what is left of what it may use.

use mesh_resilience::{Budget, BudgetExhausted, Money, Spend};

use super::record::{History, TurnRecord};
use super::spec::AssistantSpec;
use crate::durable::StepError;

/// What is left for the next turn.
///
/// # Errors
/// `BUDGET_EXHAUSTED` when the turns before have used all of it; `NO_PRICE` when one of them cannot be priced, and money is
/// limited.
pub(super) fn left(spec: &AssistantSpec, history: &History) -> Result<Budget, StepError> {
    let money = spec.money_max.unwrap_or(Money::from_micros(u64::MAX));
    let mut budget = Budget::new(spec.tokens_max, money, 0);
    for turn in history.turns() {
        if spec.money_max.is_some() && turn.cost_micros.is_none() {
            let message = format!("there is no price for the model {:?}, and money is limited", turn.model);
            return Err(StepError::new("NO_PRICE", message).fatal());
        }
        budget.charge(spend(turn)).map_err(|error| exhausted(&error))?;
    }
    if spec.money_max.is_some() && budget.money() == Money::ZERO {
        return Err(exhausted(&BudgetExhausted::Money { left: Money::ZERO, wanted: Money::from_micros(1) }));
    }
    Ok(budget)
}

/// Whether a request of so many tokens, with an answer of at least one, is within the budget; and how long the answer may
/// be at most.
pub(super) fn room(budget: &Budget, input_tokens: u64) -> Result<u64, StepError> {
    let wanted = input_tokens.saturating_add(1);
    budget.check(Spend::tokens(wanted)).map_err(|error| exhausted(&error))?;
    Ok(budget.tokens() - input_tokens)
}

fn spend(turn: &TurnRecord) -> Spend {
    let money = Money::from_micros(turn.cost_micros.unwrap_or(0));
    Spend { tokens: turn.input_tokens.saturating_add(turn.output_tokens), money }
}

fn exhausted(error: &BudgetExhausted) -> StepError {
    StepError::new("BUDGET_EXHAUSTED", error.to_string()).fatal()
}
