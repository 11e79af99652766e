//! Breakers, retries, limiters and deadlines as plain async Rust.

mod budget;
mod config;
mod deadline;
mod money;

pub use budget::{Budget, BudgetExhausted, Spend};
pub use config::{ConfigError, ConfigProblem};
pub use deadline::{Deadline, DeadlineExceeded};
pub use money::Money;
