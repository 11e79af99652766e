//! Breakers, retries, limiters and deadlines as plain async Rust.

mod breaker;
mod budget;
mod config;
mod deadline;
mod money;
mod retry;

pub use breaker::{
    Advice, Breaker, BreakerConfig, Change, CircuitOpen, Classify, Decision, Event, GuardedError, Machine,
    Permit, Reaction, Registry, RegistryConfig, RegistryError, Snapshot, State, Transition, Verdict, View,
    Why,
};
pub use budget::{Budget, BudgetExhausted, Spend};
pub use config::{ConfigError, ConfigProblem};
pub use deadline::{Deadline, DeadlineExceeded};
pub use money::Money;
pub use retry::{
    Attempt, Backoff, GaveUp, Jitter, Outcome, Retry, RetryBudget, RetryBudgetConfig, RetryConfig,
    RetryError, RetryPolicy, Retryable,
};
