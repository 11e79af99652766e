//! What can be seen of an actor from outside.

use std::fmt;

use crate::mailbox::Counters;
use crate::spec::Class;

/// One actor, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActorInfo {
    /// Its number in this process; it keeps it when it is restarted.
    pub serial: u64,
    /// The name of its spec.
    pub name: String,
    /// Where it runs.
    pub class: Class,
    /// Messages queued.
    pub len: u32,
    /// Messages that fit.
    pub capacity: u32,
    /// Bytes of the messages queued.
    pub bytes: usize,
    /// Whether the mailbox is nearly full: from 80 % on, until it is down to 30 %.
    pub is_high: bool,
    /// How it is.
    pub state: ActorState,
    /// How often it was started again.
    pub restarts: u32,
    /// Why it crashed last, if it did.
    pub last_crash: Option<String>,
    /// What happened in its mailbox.
    pub counters: Counters,
}

/// How an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActorState {
    /// It was spawned, and has not begun to take messages.
    Starting,
    /// It takes messages.
    Running,
    /// It takes none until it is resumed.
    Paused,
    /// It crashed, and starts again, maybe after a pause.
    Restarting,
    /// It ended for good.
    Stopped,
}

impl ActorState {
    /// The word for people and programs, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ActorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
