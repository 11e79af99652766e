//! Amounts of money, without fractions that get lost.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money in millionths of its currency's unit, so that the price of a single token is a whole number.
///
/// The currency is the reader's to know: all amounts of one limit or budget are of one. Written as a whole number of
/// millionths.
///
/// ```
/// use mesh_resilience::Money;
/// assert_eq!(Money::from_micros(1_250_000).to_string(), "1.25");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// How many millionths it is.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The sum, or the most that can be written.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        // Cents stay, as people write them; what is beyond them only where it is something.
        let cents = text.len() - 4;
        f.write_str(&text[..cents])?;
        f.write_str(text[cents..].trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn an_amount_is_written_with_its_cents_and_no_idle_zeros() {
        for (micros, text) in
            [(0, "0.00"), (1, "0.000001"), (10_000, "0.01"), (2_500_000, "2.50"), (1_234_500, "1.2345")]
        {
            assert_eq!(Money::from_micros(micros).to_string(), text);
        }
    }
}
