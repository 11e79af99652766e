//! What all settings of this crate have in common: how they are checked, and how they are written.

pub(crate) mod duration;

use std::fmt;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The field's path, such as `max_attempts` or `requests.burst`.
    pub field: String,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

/// Settings that cannot be used: the operator's mistake. Nothing was made of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// Every problem that was found, in the order of the fields; never empty.
    pub problems: Vec<ConfigProblem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ConfigProblem { field, problem }) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{field}: {problem}")?;
        }
        Ok(())
    }
}

/// Collects all problems before it reports any.
#[derive(Debug, Default)]
pub(crate) struct Check {
    problems: Vec<ConfigProblem>,
}

impl Check {
    pub(crate) fn range<T: PartialOrd + fmt::Debug>(&mut self, field: &str, value: &T, min: &T, max: &T) {
        // Not `value < min || value > max`: a number that is not one lies within no range.
        let is_within = value >= min && value <= max;
        self.that(is_within, field, || format!("{value:?} is not within {min:?} to {max:?}"));
    }

    pub(crate) fn that(&mut self, holds: bool, field: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(ConfigProblem { field: field.to_owned(), problem: problem() });
        }
    }

    pub(crate) fn done(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }
}
