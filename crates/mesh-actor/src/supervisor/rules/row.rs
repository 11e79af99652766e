//! One child, as its supervisor's rules see it.

use super::{Restart, Shutdown, Token};

/// What the spec says of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowSpec {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) is_significant: bool,
}

/// How a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not run, and is not about to.
    Down,
    /// It was started, and is not done with that.
    Starting,
    /// It runs.
    Live,
    /// It was told to end, and is killed when this timer is over; 0 is none.
    Stopping(Token),
    /// It has ended, and what is to be done about it waits for the supervisor.
    Ended,
    /// It is to be started, and is not yet (OTP's `restarting`).
    Failed,
    /// It is to be started when this timer is over.
    Waiting(Token),
}

impl State {
    /// Whether it has no task, and nothing waits for the supervisor on its behalf.
    pub(super) fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Failed | Self::Waiting(_))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) spec: RowSpec,
    pub(super) state: State,
    /// Added at runtime and not started yet: a failed start removes it, and a restart of the supervisor forgets it.
    pub(super) is_new: bool,
    pub(super) is_dynamic: bool,
}

impl Row {
    pub(super) fn new(spec: RowSpec, is_dynamic: bool) -> Self {
        Self { spec, state: State::Down, is_new: is_dynamic, is_dynamic }
    }
}
