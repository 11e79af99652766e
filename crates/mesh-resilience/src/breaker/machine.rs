//! The breaker as a state machine: events and the time go in, decisions come out.

use std::time::Duration;

use tokio::time::Instant;

use super::view::millis;
use super::window::Window;
use super::{BreakerConfig, Change, Decision, Event, Reaction, State, Verdict, View, Why};
use crate::ConfigError;

/// The breaker as a state machine. It asks nobody for the time.
///
/// [`Breaker`](super::Breaker) is this behind a lock, for callers; an actor that owns its breaker can use it as it is.
#[derive(Debug)]
pub struct Machine {
    config: BreakerConfig,
    state: State,
    is_held: bool,
    since: Instant,
    generation: u64,
    window: Window,
    probes: u32,
    successes: u32,
    rejected: u64,
    opened: u64,
}

impl Machine {
    /// A closed breaker that has seen nothing.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(config: BreakerConfig, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            window: Window::new(config.window_calls, config.window),
            config,
            state: State::Closed,
            is_held: false,
            since: now,
            generation: 0,
            probes: 0,
            successes: 0,
            rejected: 0,
            opened: 0,
        })
    }

    /// Takes in what happened at `now`. A `now` before the last one counts as the same moment.
    pub fn on(&mut self, event: Event, now: Instant) -> Reaction {
        match event {
            Event::Acquire => self.acquire(now),
            Event::Finished { generation, .. } if generation != self.generation => {
                Reaction { decision: Decision::Stale, change: None }
            }
            Event::Finished { verdict, took, .. } => Self::noted(self.finished(verdict, took, now)),
            Event::Trip if self.is_held => Self::noted(None),
            Event::Trip => Self::noted(self.enter(State::Open, Why::Tripped, now)),
            Event::ForceOpen => Self::noted(self.hold(State::Open, now)),
            Event::ForceClose => Self::noted(self.hold(State::Closed, now)),
            Event::Reset => {
                self.is_held = false;
                Self::noted(self.enter(State::Closed, Why::Reset, now))
            }
        }
    }

    fn noted(change: Option<Change>) -> Reaction {
        Reaction { decision: Decision::Noted, change }
    }

    fn acquire(&mut self, now: Instant) -> Reaction {
        let is_due = self.state == State::Open && self.retry_after(now) == Some(Duration::ZERO);
        let change = if is_due { self.enter(State::HalfOpen, Why::ResetElapsed, now) } else { None };
        let is_admitted = match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => self.probes < self.config.half_open_probes,
        };
        if !is_admitted {
            self.rejected += 1;
            return Reaction { decision: Decision::Refused { retry_after: self.retry_after(now) }, change };
        }
        self.probes += u32::from(self.state == State::HalfOpen);
        Reaction { decision: Decision::Admitted { generation: self.generation }, change }
    }

    fn finished(&mut self, verdict: Verdict, took: Duration, now: Instant) -> Option<Change> {
        self.probes -= u32::from(self.state == State::HalfOpen);
        let is_failure = match verdict {
            Verdict::Ignore => return None,
            Verdict::Success => false,
            Verdict::Failure => true,
        };
        let is_slow = self.config.slow_ratio.is_some() && took >= self.config.slow_after;
        match self.state {
            // What was let through while it was open does not exist: opening begins a generation.
            State::Open => None,
            State::Closed => {
                self.window.push(now, is_failure, is_slow);
                let why = self.reason_to_open().filter(|_| !self.is_held)?;
                self.enter(State::Open, why, now)
            }
            State::HalfOpen if is_failure || is_slow => self.enter(State::Open, Why::ProbeFailed, now),
            State::HalfOpen => {
                self.successes += 1;
                let is_well = self.successes >= self.config.success_threshold;
                is_well.then(|| self.enter(State::Closed, Why::Recovered, now)).flatten()
            }
        }
    }

    fn reason_to_open(&self) -> Option<Why> {
        let (calls, failures) = (self.window.calls(), self.window.failures());
        if calls < self.config.volume() {
            return None;
        }
        let reaches = |count: u32, ratio: f64| f64::from(count) >= ratio * f64::from(calls);
        if failures >= self.config.failure_threshold
            && self.config.failure_ratio.is_none_or(|ratio| reaches(failures, ratio))
        {
            return Some(Why::Failures);
        }
        self.config.slow_ratio.filter(|&ratio| reaches(self.window.slow(), ratio)).map(|_| Why::SlowCalls)
    }

    fn hold(&mut self, state: State, now: Instant) -> Option<Change> {
        let was_held = std::mem::replace(&mut self.is_held, true);
        if was_held && self.state == state {
            return None;
        }
        self.enter(state, Why::Forced, now)
    }

    /// Begins a generation. Even without a change of state: what was under way no longer counts.
    fn enter(&mut self, to: State, why: Why, now: Instant) -> Option<Change> {
        let from = std::mem::replace(&mut self.state, to);
        self.generation += 1;
        self.since = now.max(self.since);
        self.window.clear();
        (self.probes, self.successes) = (0, 0);
        self.opened += u64::from(to == State::Open && from != State::Open);
        Some(Change { from, to, why })
    }

    /// The state. An open breaker whose time is over stays open until a call asks to pass.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether an operator holds it in its state.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// Whether the next call would pass.
    #[must_use]
    pub fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open => self.retry_after(now) == Some(Duration::ZERO),
            State::HalfOpen => self.probes < self.config.half_open_probes,
        }
    }

    /// How long it stays open yet, where that is known.
    pub(super) fn retry_after(&self, now: Instant) -> Option<Duration> {
        let is_timed = self.state == State::Open && !self.is_held;
        is_timed.then(|| self.config.reset.saturating_sub(now.saturating_duration_since(self.since)))
    }

    /// What there is to see of it at `now`.
    #[must_use]
    pub fn view(&mut self, now: Instant) -> View {
        self.window.forget_old(now);
        View {
            state: self.state,
            is_held: self.is_held,
            generation: self.generation,
            since_ms: millis(now.saturating_duration_since(self.since)),
            retry_after_ms: self.retry_after(now).map(millis),
            calls: self.window.calls(),
            failures: self.window.failures(),
            slow: self.window.slow(),
            probes: self.probes,
            probe_successes: self.successes,
            rejected: self.rejected,
            opened: self.opened,
        }
    }
}

#[cfg(test)]
mod tests;
