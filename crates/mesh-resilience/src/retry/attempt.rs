//! One attempt of several.

use crate::Deadline;

/// One attempt of several, as the work sees it.
///
/// Retries at two layers multiply: three attempts of three attempts are nine calls to a target that is not well. So
/// work that has a retry of its own passes this on to it, and runs once ([`RetryPolicy::within`]). It is an argument
/// that one sees, and not a hidden variable of the task, since work crosses tasks and machines; there,
/// [`Attempt::continued`] makes it anew from what the message says.
///
/// [`RetryPolicy::within`]: super::RetryPolicy::within
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    number: u32,
    is_last: bool,
    deadline: Option<Deadline>,
}

impl Attempt {
    pub(super) fn new(number: u32, is_last: bool, deadline: Option<Deadline>) -> Self {
        Self { number, is_last, deadline }
    }

    /// An attempt that was begun in another task or on another machine.
    #[must_use]
    pub fn continued(number: u32, deadline: Option<Deadline>) -> Self {
        Self { number, is_last: false, deadline }
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether there is surely none after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The deadline of all attempts together, if there is one. The work is dropped when it passes.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }
}
