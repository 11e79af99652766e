//! How closely people look before something is done.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How closely people look at an action before it is done. A later level is stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Level {
    /// Nobody is asked. It is on record.
    None,
    /// Nobody is asked, and whoever watches is told. It is on record.
    Notify,
    /// It waits until somebody approves it.
    #[default]
    Confirm,
    /// It waits until somebody approves it who says which arguments they have read.
    Review,
}

impl Level {
    /// The word for it, as `confirm`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notify => "notify",
            Self::Confirm => "confirm",
            Self::Review => "review",
        }
    }

    /// The level of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Notify, Self::Confirm, Self::Review]
            .into_iter()
            .find(|level| level.as_str() == word)
    }

    /// Whether an action of this level waits for people.
    #[must_use]
    pub fn waits(self) -> bool {
        self >= Self::Confirm
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
