//! Why a limiter lets a call not pass.

use std::time::Duration;

use super::Limit;
use crate::{Classify, Money, Retry, Retryable, Verdict};

/// Why a limiter lets a call not pass. The call was not made, and nothing is reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// One call asks for more than may ever be used at once. Make it smaller, or raise the burst.
    #[error("{asked} at once is more than the limit of {} allows, which is {most}", limit.field())]
    TooLarge {
        /// The limit.
        limit: Limit,
        /// What was asked for.
        asked: u64,
        /// What is allowed.
        most: u64,
    },
    /// The call's turn would come after its deadline, or did not come before it. Come back later, or with more time.
    #[error("the limit of {} leaves no room in time{}", limit.field(), hint(*needs))]
    NotInTime {
        /// What it waits for longest.
        limit: Limit,
        /// How long it would have to wait from now, at least; `None` where nobody can know.
        needs: Option<Duration>,
        /// How long it has waited; nothing if that was hopeless from the start.
        waited: Duration,
    },
    /// As many callers wait as may. Come back later.
    #[error("{waiting} callers wait for the limit already")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// The money for all calls together is used up. Waiting does not help.
    #[error("{asked} is wanted, and {left} is left of all the money for this target")]
    Exhausted {
        /// What was asked for.
        asked: Money,
        /// What is left.
        left: Money,
    },
}

fn hint(needs: Option<Duration>) -> String {
    needs.map_or_else(String::new, |needs| format!(", which takes {:.1} s", needs.as_secs_f64()))
}

impl Retryable for LimitError {
    fn retry(&self) -> Retry {
        match self {
            Self::TooLarge { .. } | Self::Exhausted { .. } => Retry::Never,
            Self::NotInTime { needs: Some(needs), .. } => Retry::After(*needs),
            Self::NotInTime { needs: None, .. } | Self::QueueFull { .. } => Retry::Backoff,
        }
    }
}

/// The target had no part in it.
impl Classify for LimitError {
    fn classify(&self) -> Verdict {
        Verdict::Ignore
    }
}
