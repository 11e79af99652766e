//! What a call costs, by a table that its user keeps.
//!
//! Prices change, and differ by contract, so none are built in.

use std::collections::BTreeMap;

use mesh_resilience::Money;
use serde::{Deserialize, Serialize};

use crate::Usage;

/// Prices by model. It is data: a JSON document, or a table of a configuration.
///
/// ```
/// use mesh_models::{PriceTable, Usage};
///
/// let table = PriceTable::from_json(r#"{
///     "as_of": "2026-11-01", "currency": "USD", "source": "the provider's page",
///     "models": { "some-model": { "input": 3.0, "output": 15.0, "cache_read": 0.3 } }
/// }"#)?;
/// let cost = table.cost("some-model-20261001", &Usage::new(1_000_000, 100_000));
/// assert_eq!(cost.unwrap().to_string(), "4.50");
/// assert_eq!(table.cost("some-model-mini", &Usage::new(1, 1)), None);
/// # Ok::<(), mesh_models::PriceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// When the prices were looked up, as `2026-11-01`.
    pub as_of: String,
    /// What the prices are in, as `USD`.
    pub currency: String,
    /// Where they stand.
    #[serde(default)]
    pub source: String,
    /// The prices of each model, by its name without a date.
    pub models: BTreeMap<String, Price>,
}

/// Prices of one model, each for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read that were in no cache.
    pub input: f64,
    /// Tokens written.
    pub output: f64,
    /// Tokens read from the provider's cache; as `input` if it is not said.
    #[serde(default)]
    pub cache_read: Option<f64>,
    /// Tokens written to the provider's cache; as `input` if it is not said.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// What holds instead for a request with a long prompt.
    #[serde(default)]
    pub long: Option<Tier>,
}

/// Prices for requests whose prompt is longer than a limit; they are then those of all its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// From more than this many tokens of input on.
    pub above_tokens: u64,
    /// As [`Price::input`].
    pub input: f64,
    /// As [`Price::output`].
    pub output: f64,
    /// As [`Price::cache_read`].
    #[serde(default)]
    pub cache_read: Option<f64>,
    /// As [`Price::cache_write`].
    #[serde(default)]
    pub cache_write: Option<f64>,
}

/// Why a table of prices cannot be used; its writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// It is no table of prices.
    #[error("the table of prices cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// A price is negative, no number, or more than a million for a million tokens.
    #[error("a price of {model} is no price")]
    NoPrice {
        /// Whose.
        model: String,
    },
}

impl PriceTable {
    /// Reads a table from its JSON document.
    ///
    /// # Errors
    /// [`PriceError`].
    pub fn from_json(json: &str) -> Result<Self, PriceError> {
        let table: Self = serde_json::from_str(json)
            .map_err(|error| PriceError::Unreadable { reason: error.to_string() })?;
        table.check()?;
        Ok(table)
    }

    /// Checks a table that came from elsewhere.
    ///
    /// # Errors
    /// [`PriceError::NoPrice`].
    pub fn check(&self) -> Result<(), PriceError> {
        let wrong = |price: &Price| {
            let long = price
                .long
                .map(|tier| [Some(tier.input), Some(tier.output), tier.cache_read, tier.cache_write]);
            let base = [Some(price.input), Some(price.output), price.cache_read, price.cache_write];
            let all = base.into_iter().chain(long.into_iter().flatten()).flatten();
            all.into_iter().any(|price| !(0.0..=1e6).contains(&price))
        };
        match self.models.iter().find(|(_, price)| wrong(price)) {
            Some((model, _)) => Err(PriceError::NoPrice { model: model.clone() }),
            None => Ok(()),
        }
    }

    /// What a call of `model` costs, rounded up to a millionth; `None` if the table has no price for it.
    ///
    /// A model is the one of the table with its name, or with its name and a date behind it (`-20261001`,
    /// `-2026-10-01`, `-latest`). Another ending is another model.
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        let price = self.models.get(model).or_else(|| self.models.get(without_date(model)?))?;
        Some(price.cost(usage))
    }
}

impl Price {
    fn cost(&self, usage: &Usage) -> Money {
        let tier = self.tier(usage.input);
        let fresh = usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write);
        let parts = [
            (fresh, tier.input),
            (usage.cache_read, tier.cache_read.unwrap_or(tier.input)),
            (usage.cache_write, tier.cache_write.unwrap_or(tier.input)),
            (usage.output, tier.output),
        ];
        // In millionths of a millionth, so that no token is lost: a price is a whole number of those for each token.
        let pico: u128 =
            parts.iter().map(|&(tokens, price)| u128::from(tokens) * u128::from(pico(price))).sum();
        Money::from_micros(u64::try_from(pico.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    fn tier(&self, input: u64) -> Tier {
        let base = Tier {
            above_tokens: 0,
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
        };
        self.long.filter(|long| input > long.above_tokens).unwrap_or(base)
    }
}

/// The price of a single token, in millionths of a millionth.
fn pico(per_million: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a price was checked to be from 0 to a million"
    )]
    let pico = (per_million * 1_000_000.0).round() as u64;
    pico
}

fn without_date(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let parts: Vec<&str> = model.rsplitn(4, '-').collect();
    let is_number =
        |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [day, month, year, name] if is_number(day, 2) && is_number(month, 2) && is_number(year, 4) => {
            Some(name)
        }
        [day, ..] if is_number(day, 8) => model[..model.len() - 8].strip_suffix('-'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PriceTable {
        PriceTable::from_json(
            r#"{ "as_of": "2026-11-01", "currency": "USD", "models": {
                "m-4-5": { "input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75,
                    "long": { "above_tokens": 200000, "input": 6.0, "output": 22.5 } },
                "gpt-x": { "input": 0.05, "output": 0.4 } } }"#,
        )
        .unwrap()
    }

    fn usage(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Usage {
        Usage { input, output, cache_read, cache_write }
    }

    #[test]
    fn cached_tokens_cost_what_cached_tokens_cost() {
        let cost = table().cost("m-4-5", &usage(100_000, 1_000, 60_000, 20_000)).unwrap();
        // 20,000 fresh, 60,000 read, 20,000 written, 1,000 of output.
        assert_eq!(cost, Money::from_micros(60_000 + 18_000 + 75_000 + 15_000));
        let cost = table().cost("gpt-x", &usage(100_000, 0, 60_000, 0)).unwrap();
        assert_eq!(
            cost,
            Money::from_micros(5_000),
            "without a price for it, a cached token costs as any other"
        );
    }

    #[test]
    fn a_single_cheap_token_is_not_free_and_a_million_are_exact() {
        assert_eq!(table().cost("gpt-x", &usage(1, 0, 0, 0)), Some(Money::from_micros(1)));
        assert_eq!(table().cost("gpt-x", &usage(1_000_000, 0, 0, 0)), Some(Money::from_micros(50_000)));
    }

    #[test]
    fn a_long_prompt_is_at_the_long_price_entirely() {
        let at = |input| table().cost("m-4-5", &usage(input, 1_000, 0, 0)).unwrap();
        assert_eq!(at(200_000), Money::from_micros(600_000 + 15_000));
        assert_eq!(at(200_001), Money::from_micros(1_200_006 + 22_500));
    }

    #[test]
    fn a_date_behind_a_name_is_the_same_model_and_anything_else_is_another() {
        let usage = usage(1, 1, 0, 0);
        for model in ["m-4-5", "m-4-5-20250929", "m-4-5-2025-09-29", "m-4-5-latest", "gpt-x-2026-01-01"] {
            assert!(table().cost(model, &usage).is_some(), "{model}");
        }
        for model in
            ["m-4", "m-4-5-mini", "m-4-5-1", "gpt-x-mini-2026-01-01", "", "-", "2026-01-01", "é-latest"]
        {
            assert!(table().cost(model, &usage).is_none(), "{model}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused_with_the_models_name() {
        for price in ["-1", "1e9"] {
            let json = format!(
                r#"{{"as_of": "", "currency": "", "models": {{"m": {{"input": {price}, "output": 1}}}}}}"#
            );
            assert_eq!(PriceTable::from_json(&json), Err(PriceError::NoPrice { model: "m".to_owned() }));
        }
        assert!(matches!(PriceTable::from_json("{}"), Err(PriceError::Unreadable { .. })));
    }
}
