//! Breakers, retries, limiters and deadlines as plain async Rust.
//!
//! ```text
//!   Deadline ─► RetryPolicy ─► Limiter ─► Breaker ─► the call
//!   how long    whether to     may it     is the     which says by its error what it was:
//!   at all      try again      be made    target     Classify, Retryable
//!               at all         now        well
//! ```
//!
//! Each works alone; together they go in this order, so that each attempt waits for its turn, a 429 makes all callers
//! wait ([`Limiter::penalize`]) and opens no breaker, and an open breaker is waited for as long as it says.
//!
//! | to | write |
//! |---|---|
//! | guard with a breaker | `breaker.call(search("tides")).await` |
//! | try again | `policy.run(\|_\| search("tides")).await` |
//! | wait for a turn | `limiter.reserve(Cost::tokens(900, 2_000), Priority::NORMAL, deadline).await?` |
//! | slow a stream down | `throttle(stream, Rate::default())?` |
//! | stop waiting | `deadline.timeout(search("tides")).await` |
//! | hand on a part of a budget | `budget.child(budget.part(1, 4))?` |
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_resilience::{
//!     Breaker, BreakerConfig, Classify, Deadline, Retry, RetryConfig, RetryPolicy, Retryable, Verdict,
//! };
//!
//! #[derive(Debug)]
//! struct Failed;
//! impl Classify for Failed {
//!     fn classify(&self) -> Verdict { Verdict::Failure }
//! }
//! impl Retryable for Failed {
//!     fn retry(&self) -> Retry { Retry::Backoff }
//! }
//! # async fn search(_: &str) -> Result<u32, Failed> { Ok(3) }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let breaker = Breaker::new("search", BreakerConfig::default())?;
//! let policy = RetryPolicy::new(RetryConfig::default())?.until(Deadline::after(Duration::from_secs(30)));
//! let found = policy.run(|_| breaker.call(search("tides"))).await;
//! # assert_eq!(found.unwrap(), 3);
//! # Ok::<(), mesh_resilience::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! What decides is a value that is given the time ([`Machine`], [`LeaseTable`], [`Backoff`]); what waits uses tokio's
//! clock, so that tests can pause it. Wall clocks are never read. Settings are structs with defaults, which serde reads
//! with durations as `"60s"`, and which report all their mistakes at once.
//!
//! This crate knows no actors, no network and no store; it spawns nothing, makes no calls of its own, and remembers
//! nothing beyond its process. Whether work may run twice is not its to know.

mod breaker;
mod budget;
mod config;
mod deadline;
mod limit;
mod money;
mod retry;
mod throttle;

pub use breaker::{
    Advice, Breaker, BreakerConfig, Change, CircuitOpen, Classify, Decision, Event, GuardedError, Machine,
    Permit, Reaction, Registry, RegistryConfig, RegistryError, Snapshot, State, Transition, Verdict, View,
    Why,
};
pub use budget::{Budget, BudgetExhausted, Spend};
pub use config::{ConfigError, ConfigProblem};
pub use deadline::{Deadline, DeadlineExceeded};
pub use limit::{
    Admission, Cost, Demand, Lease, LeaseConfig, LeaseError, LeaseTable, Limit, LimitConfig, LimitError,
    LimitView, Limiter, Limiters, LimitersError, Priority, Rate, Reservation, Share, keep_leased,
};
pub use money::Money;
pub use retry::{
    Attempt, Backoff, GaveUp, Jitter, Outcome, Retry, RetryBudget, RetryBudgetConfig, RetryConfig,
    RetryError, RetryPolicy, Retryable,
};
pub use throttle::{Throttle, throttle};
