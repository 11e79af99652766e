//! Where an agent stands in its work, and what may follow: a state machine of values.
//!
//! ```text
//!            Start           Planned              Saved, more steps
//!   idle ──────────► planning ─────► checkpointing ─────────────► executing ──┐
//!                       ▲ │              ▲   │                      ▲ │       │ AttemptFailed,
//!                       │ │              │   │ Saved, none left     │ │       │ attempts left
//!     Start, from any   │ │    StepDone  └───┼──────────────────────┼─┤       │
//!     end ──────────────┘ │                  ▼                      │ └───────┘
//!                         │              completed                  │
//!                         └─► paused, waiting_human ────────────────┘   and back to where it was
//!                             failed (Retry leads back), cancelled
//! ```
//!
//! What is to be done in a new state is a list of [`LifecycleAction`]s. This module does nothing itself: it knows no
//! store, no actor and no time.

mod table;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It has a task and has not begun.
    Idle,
    /// It decides on its steps.
    Planning,
    /// It is at a step.
    Executing,
    /// A step's result, or the plan, is being made durable.
    Checkpointing,
    /// Every step is done.
    Completed,
    /// It gave up: no attempts were left, or an error said that none would help.
    Failed,
    /// It was asked to hold, and does so between two steps.
    Paused,
    /// It was asked to end.
    Cancelled,
    /// A step waits for what a person decides.
    WaitingHuman,
}

impl AgentState {
    /// All states, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Planning,
        Self::Executing,
        Self::Checkpointing,
        Self::Completed,
        Self::Failed,
        Self::Paused,
        Self::Cancelled,
        Self::WaitingHuman,
    ];

    /// The state as it is written: `waiting_human`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Planning => "planning",
            Self::Executing => "executing",
            Self::Checkpointing => "checkpointing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::WaitingHuman => "waiting_human",
        }
    }

    /// Whether nothing follows by itself: completed, failed or cancelled.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether somebody is at work, or has to be: planning, executing, checkpointing or waiting for a person.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Planning | Self::Executing | Self::Checkpointing | Self::WaitingHuman)
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AgentState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| UnknownState { text: text.chars().take(80).collect() })
    }
}

/// Some text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no state of an agent")]
pub struct UnknownState {
    /// What was given, at most 80 characters of it.
    pub text: String,
}

/// What happens to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// It is to begin, or to begin anew after an end.
    Start,
    /// It is taken up again where it was left, by another process or after a crash.
    Continue,
    /// It has decided on this many steps; none is a plan too.
    Planned {
        /// How many.
        steps: u64,
    },
    /// A step has found that more are needed: they stand behind all others.
    Extended {
        /// How many.
        more: u64,
    },
    /// A step has its result.
    StepDone,
    /// The result, and that the step is done, are durable.
    Saved,
    /// An attempt at the plan, at a step or at saving failed.
    AttemptFailed {
        /// Whether another attempt can help.
        may_retry: bool,
    },
    /// It is to hold.
    Pause,
    /// It is to go on after a pause.
    Resume,
    /// It is to end.
    Cancel,
    /// A step waits for a person.
    AskHuman,
    /// The person has decided.
    Answered,
    /// It is to go on after it had failed, with all its attempts.
    Retry,
    /// It cannot go on for a reason outside of its steps: a hook failed, or its code is another.
    Break,
}

impl LifecycleEvent {
    /// The event's name: `step_done`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Continue => "continue",
            Self::Planned { .. } => "planned",
            Self::Extended { .. } => "extended",
            Self::StepDone => "step_done",
            Self::Saved => "saved",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::AskHuman => "ask_human",
            Self::Answered => "answered",
            Self::Retry => "retry",
            Self::Break => "break",
        }
    }
}

/// What is to be done after a transition, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleAction {
    /// Make the new state durable, and the result that led to it, in one write.
    Save,
    /// Wait before another attempt.
    BackOff {
        /// How many attempts have failed in a row.
        failures: u32,
    },
    /// Decide on the steps.
    Plan,
    /// Execute a step.
    Execute {
        /// Which one, from 0.
        step: u64,
    },
    /// Do nothing until somebody says so.
    Hold,
    /// It is over.
    End,
}

/// An event that cannot happen in a state. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to an agent that is {from}", event = .event.name())]
pub struct IllegalTransition {
    /// The state.
    pub from: AgentState,
    /// The event.
    pub event: LifecycleEvent,
}

/// Where an agent stands, with all that decides on what follows.
///
/// ```
/// use mesh_agents::lifecycle::{AgentState, Lifecycle, LifecycleAction, LifecycleEvent};
///
/// let (agent, _) = Lifecycle::new(3).on(LifecycleEvent::Start)?;
/// let (agent, _) = agent.on(LifecycleEvent::Planned { steps: 2 })?;
/// let (agent, actions) = agent.on(LifecycleEvent::Saved)?;
/// assert_eq!((agent.state(), actions), (AgentState::Executing, vec![LifecycleAction::Execute { step: 0 }]));
/// assert!(agent.on(LifecycleEvent::Resume).is_err());
/// # Ok::<(), mesh_agents::lifecycle::IllegalTransition>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    state: AgentState,
    /// To where a pause, a wait or a failure leads back: planning or executing.
    back: Option<AgentState>,
    /// How many steps the plan has; `None` before there is one.
    steps: Option<u64>,
    /// The step that is next, from 0.
    current_step: u64,
    /// Attempts that failed since anything succeeded.
    failures: u32,
    attempts_max: u32,
}

impl Lifecycle {
    /// An idle agent that makes at most `attempts_max` attempts (at least 1) at its plan, and at each step.
    #[must_use]
    pub fn new(attempts_max: u32) -> Self {
        Self {
            state: AgentState::Idle,
            back: None,
            steps: None,
            current_step: 0,
            failures: 0,
            attempts_max: attempts_max.max(1),
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.state
    }

    /// How many steps the plan has; `None` before there is one.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        self.steps
    }

    /// The step that is next, from 0; as many as there are steps when none is left.
    #[must_use]
    pub fn current_step(&self) -> u64 {
        self.current_step
    }

    /// How many attempts have failed since anything succeeded.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// An idle agent with as many attempts.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.attempts_max)
    }

    /// The same place in the same plan, paused, with all its attempts.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        let back = if self.steps.is_none() { AgentState::Planning } else { AgentState::Executing };
        Self { state: AgentState::Paused, back: Some(back), failures: 0, ..self.clone() }
    }

    /// What follows an event: the agent as it is then, and what is to be done.
    ///
    /// # Errors
    /// [`IllegalTransition`] where the event cannot happen.
    pub fn on(&self, event: LifecycleEvent) -> Result<(Self, Vec<LifecycleAction>), IllegalTransition> {
        table::next(self, event).ok_or(IllegalTransition { from: self.state, event })
    }

    /// Whether every step of the plan is done.
    fn is_done(&self) -> bool {
        self.steps.is_some_and(|steps| self.current_step >= steps)
    }
}
