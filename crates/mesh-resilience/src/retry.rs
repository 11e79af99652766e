//! Trying again, where that can help, and no more than that.
//!
//! This module does not decide what may be tried again: the error says it ([`Retryable`]). Nor does it know whether an
//! attempt had an effect before it failed; work that must not run twice needs an id that its target remembers.

mod attempt;
mod backoff;
mod budget;
mod config;
mod error;

use std::time::Duration;

use tokio::time::sleep;

pub use attempt::Attempt;
pub use backoff::Backoff;
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use config::{Jitter, RetryConfig};
pub use error::{GaveUp, Outcome, RetryError};

use crate::{CircuitOpen, ConfigError, Deadline, GuardedError, State};

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// With the caller's usual backoff.
    Backoff,
    /// Not before this time has passed, as the target itself says.
    After(Duration),
}

/// An error that says itself whether another attempt can help.
pub trait Retryable {
    /// Whether and when the same call may succeed.
    fn retry(&self) -> Retry;
}

/// How a target's calls are tried again. Cheap to clone.
///
/// ```
/// use mesh_resilience::{Retry, RetryConfig, RetryPolicy, Retryable};
/// # #[derive(Debug)] struct Failed;
/// # impl Retryable for Failed { fn retry(&self) -> Retry { Retry::Backoff } }
/// # async fn search(_: &str) -> Result<u32, Failed> { Ok(3) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
///
/// let policy = RetryPolicy::new(RetryConfig { max_attempts: 5, ..RetryConfig::default() })?;
/// let found = policy.run(|_| search("tides")).await;
/// # assert_eq!(found.unwrap(), 3);
/// # Ok::<(), mesh_resilience::ConfigError>(())
/// # }).unwrap();
/// ```
///
/// Only one layer retries. Work that has a policy of its own says whose attempt it is part of:
/// `policy.within(&attempt).run(…)` makes one attempt, and leaves the rest to the layer above.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    config: RetryConfig,
    budget: Option<RetryBudget>,
    deadline: Option<Deadline>,
    is_nested: bool,
    seed: Option<u64>,
}

impl RetryPolicy {
    /// A policy without a budget, a deadline, or a layer above.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(config: RetryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { config, budget: None, deadline: None, is_nested: false, seed: None })
    }

    /// The same policy, whose retries come out of the target's budget.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same policy with pauses that are the same each time, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The same policy for work that must be done by `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Self {
        let nearer = self.deadline.map_or(deadline, |own| own.min(deadline));
        Self { deadline: Some(nearer), ..self.clone() }
    }

    /// The same policy for work that is part of an attempt already: it makes one attempt, by the deadline of that.
    #[must_use]
    pub fn within(&self, attempt: &Attempt) -> Self {
        let inner = attempt.deadline().map_or_else(|| self.clone(), |deadline| self.until(deadline));
        Self { is_nested: true, ..inner }
    }

    /// Makes attempts until one succeeds, or no more are worth making.
    ///
    /// # Errors
    /// [`RetryError`] with the last error, and why there was no further attempt. It comes at once where the next pause
    /// would outlast the deadline.
    ///
    /// # Cancel safety
    /// Dropping the future drops the attempt that is under way.
    pub async fn run<T, E, F>(&self, work: impl FnMut(Attempt) -> F) -> Result<T, RetryError<E>>
    where
        E: Retryable,
        F: Future<Output = Result<T, E>>,
    {
        self.outcome(work).await.result
    }

    /// The same, told with the attempts and pauses that a success took.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn outcome<T, E, F>(&self, mut work: impl FnMut(Attempt) -> F) -> Outcome<T, E>
    where
        E: Retryable,
        F: Future<Output = Result<T, E>>,
    {
        let mut series = self.begin();
        let mut last = None;
        loop {
            let attempt = series.next_attempt();
            let error = match series.make(work(attempt)).await {
                Some(Ok(value)) => return series.done(Ok(value)),
                Some(Err(error)) => error,
                None => return series.gave_up(GaveUp::Deadline, last),
            };
            match series.pause(error.retry()) {
                Ok(pause) => {
                    sleep(pause).await;
                    series.waited += pause;
                    last = Some(error);
                }
                Err(why) => return series.gave_up(why, Some(error)),
            }
        }
    }

    fn begin(&self) -> Series<'_> {
        if let Some(budget) = self.budget.as_ref().filter(|_| !self.is_nested) {
            budget.deposit();
        }
        let total = self.config.total.map(Deadline::after);
        let deadline = match (self.deadline, total) {
            (Some(own), Some(total)) => Some(own.min(total)),
            (own, total) => own.or(total),
        };
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        Series {
            policy: self,
            backoff: Backoff::new(self.config, seed),
            deadline,
            attempts: 0,
            waited: Duration::ZERO,
        }
    }
}

/// The attempts of one run.
struct Series<'a> {
    policy: &'a RetryPolicy,
    backoff: Backoff,
    deadline: Option<Deadline>,
    attempts: u32,
    waited: Duration,
}

impl Series<'_> {
    fn next_attempt(&mut self) -> Attempt {
        self.attempts += 1;
        let is_last = !self.policy.is_nested && self.attempts >= self.policy.config.max_attempts;
        Attempt::new(self.attempts, is_last, self.deadline)
    }

    /// `None` if the deadline passed.
    async fn make<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        match self.deadline {
            Some(deadline) => deadline.timeout(work).await.ok(),
            None => Some(work.await),
        }
    }

    /// How long to wait before the next attempt, if there shall be one.
    fn pause(&mut self, retry: Retry) -> Result<Duration, GaveUp> {
        if self.policy.is_nested {
            return Err(GaveUp::Nested);
        }
        // An error that comes when time is up anyway is most often about that.
        if self.deadline.is_some_and(|deadline| deadline.is_past()) {
            return Err(GaveUp::Deadline);
        }
        let backoff = self.backoff.pause();
        let pause = match retry {
            Retry::Never => return Err(GaveUp::NotRetryable),
            Retry::Backoff => backoff,
            // To the letter: neither jitter nor our cap may shorten it.
            Retry::After(pause) => pause,
        };
        if self.attempts >= self.policy.config.max_attempts {
            return Err(GaveUp::Attempts);
        }
        if self.deadline.is_some_and(|deadline| pause >= deadline.remaining()) {
            return Err(GaveUp::Deadline);
        }
        // Last, since it takes something.
        let is_affordable = self.policy.budget.as_ref().is_none_or(RetryBudget::withdraw);
        if is_affordable { Ok(pause) } else { Err(GaveUp::Budget) }
    }

    fn done<T, E>(self, result: Result<T, RetryError<E>>) -> Outcome<T, E> {
        Outcome { result, attempts: self.attempts, waited: self.waited }
    }

    fn gave_up<T, E>(self, gave_up: GaveUp, last: Option<E>) -> Outcome<T, E> {
        let (attempts, waited) = (self.attempts, self.waited);
        self.done(Err(RetryError { gave_up, attempts, waited, last }))
    }
}

impl Retryable for CircuitOpen {
    fn retry(&self) -> Retry {
        match (self.retry_after, self.state) {
            (Some(pause), _) => Retry::After(pause),
            (None, State::HalfOpen) => Retry::Backoff,
            // Held open by an operator, who has a reason.
            (None, State::Open | State::Closed) => Retry::Never,
        }
    }
}

impl<E: Retryable> Retryable for GuardedError<E> {
    fn retry(&self) -> Retry {
        match self {
            Self::Open(open) => open.retry(),
            Self::Failed(error) => error.retry(),
        }
    }
}
