//! What may be used of a target, and how fast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Check;
use crate::{ConfigError, Money};

/// So much in so much time, evenly, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How much in one `per`: requests, tokens, or millionths of money. From 1.
    pub amount: u64,
    /// The time for it. 1 ms to 31 days.
    #[serde(with = "crate::config::duration")]
    pub per: Duration,
    /// How much may be used at once after a pause, and by one call. From 1; there is no default, since it is the
    /// promise that a provider makes or does not make.
    pub burst: u64,
}

impl Rate {
    /// `amount` in each `per`, and `burst` at once.
    #[must_use]
    pub const fn new(amount: u64, per: Duration, burst: u64) -> Self {
        Self { amount, per, burst }
    }

    pub(crate) fn check(&self, field: &str, check: &mut Check) {
        let month = Duration::from_secs(31 * 86_400);
        check.range(&format!("{field}.amount"), &self.amount, &1, &u64::MAX);
        check.range(&format!("{field}.per"), &self.per, &Duration::from_millis(1), &month);
        check.range(&format!("{field}.burst"), &self.burst, &1, &u64::MAX);
    }
}

/// What may be used of one target under one key. What is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Requests.
    pub requests: Option<Rate>,
    /// Tokens that are sent.
    pub input_tokens: Option<Rate>,
    /// Tokens that are answered.
    pub output_tokens: Option<Rate>,
    /// Money, in millionths.
    pub money: Option<Rate>,
    /// Requests under way at once. From 1.
    pub concurrency: Option<u32>,
    /// Money that may be spent in all, in millionths. It does not come back. From 1.
    pub budget: Option<Money>,
    /// Callers that may wait at once. 1,024; 0 to 10,000.
    pub queue_max: usize,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            requests: None,
            input_tokens: None,
            output_tokens: None,
            money: None,
            concurrency: None,
            budget: None,
            queue_max: 1_024,
        }
    }
}

impl LimitConfig {
    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut check = Check::default();
        for (limit, rate) in Limit::RATED.into_iter().zip(self.rates()) {
            if let Some(rate) = rate {
                rate.check(limit.field(), &mut check);
            }
        }
        if let Some(concurrency) = self.concurrency {
            check.range("concurrency", &concurrency, &1, &u32::MAX);
        }
        if let Some(budget) = self.budget {
            check.that(budget > Money::ZERO, "budget", || "0 allows nothing".to_owned());
        }
        check.range("queue_max", &self.queue_max, &0, &10_000);
        check.done()
    }

    /// In the order of [`Limit::RATED`].
    pub(super) fn rates(&self) -> [Option<Rate>; 4] {
        [self.requests, self.input_tokens, self.output_tokens, self.money]
    }
}

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// Requests in a time.
    Requests,
    /// Tokens sent in a time.
    InputTokens,
    /// Tokens answered in a time.
    OutputTokens,
    /// Money in a time.
    Money,
    /// Requests under way at once.
    Concurrency,
    /// Money in all, or the piece of it that this node has.
    Budget,
    /// The target asked to be left alone.
    Penalty,
    /// The part of the mesh's limit that this node may use ran out, and no new one has come.
    Share,
    /// Time alone: others come first, or the deadline was past already.
    Turn,
}

impl Limit {
    pub(super) const RATED: [Self; 4] = [Self::Requests, Self::InputTokens, Self::OutputTokens, Self::Money];

    /// The field of the settings, or what stands for it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Money => "money",
            Self::Concurrency => "concurrency",
            Self::Budget => "budget",
            Self::Penalty => "penalty",
            Self::Share => "share",
            Self::Turn => "turn",
        }
    }
}

/// What a call uses, or is thought to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Requests; 1 for a call.
    pub requests: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens answered.
    pub output_tokens: u64,
    /// Money.
    #[serde(rename = "money_micros")]
    pub money: Money,
}

impl Cost {
    /// One request that uses nothing else.
    #[must_use]
    pub const fn request() -> Self {
        Self { requests: 1, input_tokens: 0, output_tokens: 0, money: Money::ZERO }
    }

    /// One request of so many tokens.
    #[must_use]
    pub const fn tokens(input_tokens: u64, output_tokens: u64) -> Self {
        Self { requests: 1, input_tokens, output_tokens, money: Money::ZERO }
    }

    /// The same for so much money.
    #[must_use]
    pub const fn for_money(mut self, money: Money) -> Self {
        self.money = money;
        self
    }

    /// In the order of [`Limit::RATED`].
    pub(super) fn amounts(&self) -> [u64; 4] {
        [self.requests, self.input_tokens, self.output_tokens, self.money.micros()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_0_is_an_error_and_so_is_no_burst() {
        let config = LimitConfig {
            requests: Some(Rate::new(0, Duration::from_secs(1), 1)),
            input_tokens: Some(Rate::new(1, Duration::ZERO, 0)),
            concurrency: Some(0),
            budget: Some(Money::ZERO),
            queue_max: 10_001,
            ..LimitConfig::default()
        };
        let problems = config.validate().unwrap_err().problems;
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = [
            "requests.amount",
            "input_tokens.per",
            "input_tokens.burst",
            "concurrency",
            "budget",
            "queue_max",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn burst_is_explicit() {
        let written = "[requests]\namount = 60\nper = \"1m\"\n";
        let error = toml::from_str::<LimitConfig>(written).unwrap_err();
        assert!(error.to_string().contains("missing field `burst`"), "{error}");
        let config: LimitConfig = toml::from_str(&format!("{written}burst = 10\n")).unwrap();
        assert_eq!(config.requests, Some(Rate::new(60, Duration::from_secs(60), 10)));
        assert_eq!(toml::from_str::<LimitConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}
