//! Calls that were answered, so that the same one again is not made again.

use std::collections::{HashMap, VecDeque};

use mesh_store::ContentHash;

use super::call::CallId;
use super::error::ToolError;
use super::message::ToolAnswer;

/// Calls that are remembered.
const CALLS_MAX: usize = 256;

/// Bytes of answers that are remembered.
const BYTES_MAX: usize = 4 << 20;

type Answered = Result<ToolAnswer, ToolError>;

/// The latest calls of one actor, over its restarts.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    calls: HashMap<CallId, Known>,
    /// Those that were answered, the oldest first.
    order: VecDeque<(CallId, usize)>,
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    action: ContentHash,
    answer: Option<Answered>,
}

/// What is known of a call that has come.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    /// Nothing; it is noted as running.
    Never,
    /// It runs.
    Running,
    /// It was answered so.
    Answered(Answered),
    /// The id is that of another action.
    Another,
}

impl Remembered {
    pub(super) fn begin(&mut self, call: CallId, action: ContentHash) -> Seen {
        match self.calls.get(&call) {
            None => {
                self.calls.insert(call, Known { action, answer: None });
                Seen::Never
            }
            Some(known) if known.action != action => Seen::Another,
            Some(Known { answer: Some(answer), .. }) => Seen::Answered(answer.clone()),
            Some(Known { answer: None, .. }) => Seen::Running,
        }
    }

    /// A call that may still be made is forgotten: one that was refused, or whose end nobody knows, which its tool's policy
    /// is for.
    pub(super) fn end(&mut self, call: CallId, answer: Answered) {
        if answer.as_ref().is_err_and(|error| !error.may_have_run || error.in_doubt) {
            self.calls.remove(&call);
            return;
        }
        let bytes = answer.as_ref().map_or(0, |answer| answer.output.len());
        let Some(known) = self.calls.get_mut(&call) else { return };
        known.answer = Some(answer);
        self.order.push_back((call, bytes));
        self.bytes += bytes;
        while self.order.len() > CALLS_MAX || self.bytes > BYTES_MAX {
            let Some((oldest, bytes)) = self.order.pop_front() else { return };
            self.calls.remove(&oldest);
            self.bytes -= bytes;
        }
    }

    /// A call has ended without an answer.
    pub(super) fn forget(&mut self, call: CallId) {
        if self.calls.get(&call).is_some_and(|known| known.answer.is_none()) {
            self.calls.remove(&call);
        }
    }
}
