//! The latest calls of a tool, without the secrets in their arguments.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::call::{Call, CallId, Ended, Ending};
use super::json::canonical;
use super::redact::redacted;
use super::stats::{Counts, Stats};

/// Records that are kept.
const RECORDS_MAX: usize = 256;

/// Of the arguments of one call.
const ARGS_BYTES_MAX: usize = 1024;

/// One call, as it is kept for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Which call.
    pub call: CallId,
    /// Which tool was asked for.
    pub tool: String,
    /// The arguments that the tool was to get, as JSON without secrets, at most 1 KiB of it.
    pub args: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took, hooks and waits included; `None` while it runs.
    pub took: Option<Duration>,
    /// What became of it.
    pub state: RecordState,
    /// The code of its error, if it has one: for a fallback, that of the tool.
    pub code: Option<String>,
    /// Hooks behind it that failed.
    pub hook_failures: u32,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordState {
    /// It has not ended.
    Running,
    /// The tool answered.
    Ok,
    /// The tool failed or was late.
    Failed,
    /// Whoever asked went away.
    Cancelled,
    /// A hook answered in the tool's place.
    Skipped,
    /// The tool failed, and a hook's answer took the place of its own.
    Fallback,
    /// The tool did not begin.
    Refused,
}

impl RecordState {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Fallback => "fallback",
            Self::Refused => "refused",
        }
    }
}

/// What is kept of the calls of one tool.
#[derive(Debug)]
pub(super) struct Log {
    tool: String,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    counts: Counts,
    records: VecDeque<Record>,
    /// How many were there before the first of `records`.
    gone: u64,
}

impl Log {
    pub(super) fn new(tool: &str) -> Self {
        Self { tool: tool.to_owned(), kept: Mutex::default() }
    }

    pub(super) fn stats(&self) -> Stats {
        self.kept.lock().counts.stats()
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.kept.lock().records.iter().cloned().collect()
    }

    pub(super) fn begin(&self, call: &Call) -> Recording<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            call: call.id,
            tool: call.tool.chars().take(80).collect(),
            args: shown(call),
            at_ms: crate::millis(now),
            took: None,
            state: RecordState::Running,
            code: None,
            hook_failures: 0,
        };
        let mut kept = self.kept.lock();
        kept.counts.begin();
        if kept.records.len() == RECORDS_MAX {
            kept.records.pop_front();
            kept.gone += 1;
        }
        kept.records.push_back(record);
        let number = kept.gone + kept.records.len() as u64 - 1;
        Recording {
            log: self,
            number,
            began: std::time::Instant::now(),
            is_unknown: call.tool != self.tool,
            is_over: false,
        }
    }
}

fn shown(call: &Call) -> String {
    let mut args = canonical(&redacted(&call.args));
    args.truncate(args.floor_char_boundary(ARGS_BYTES_MAX));
    args
}

/// A call that is being made. Dropped before its end, it was cancelled.
pub(super) struct Recording<'a> {
    log: &'a Log,
    number: u64,
    began: std::time::Instant,
    is_unknown: bool,
    is_over: bool,
}

impl Recording<'_> {
    pub(super) fn end(mut self, call: &Call, ended: &Ended, hook_failures: u32) {
        let state = match &ended.ending {
            Ending::Ran => RecordState::Ok,
            Ending::Skipped => RecordState::Skipped,
            Ending::Fallback { .. } => RecordState::Fallback,
            Ending::Failed => RecordState::Failed,
            Ending::Cancelled => RecordState::Cancelled,
            Ending::Refused => RecordState::Refused,
        };
        let code = match (&ended.ending, &ended.result) {
            (Ending::Fallback { error }, _) | (_, Err(error)) => Some(error.code.clone()),
            (_, Ok(_)) => None,
        };
        self.close(state, code, hook_failures, Some(shown(call)), ended.elapsed);
    }

    fn close(
        &mut self,
        state: RecordState,
        code: Option<String>,
        hook_failures: u32,
        args: Option<String>,
        took: Duration,
    ) {
        self.is_over = true;
        let mut kept = self.log.kept.lock();
        kept.counts.end(state, self.is_unknown, took, hook_failures);
        let index = self.number.checked_sub(kept.gone).and_then(|index| usize::try_from(index).ok());
        // So many calls may have come since that it is not kept any more.
        if let Some(record) = index.and_then(|index| kept.records.get_mut(index)) {
            record.took = Some(took);
            record.state = state;
            record.code = code;
            record.hook_failures = hook_failures;
            if let Some(args) = args {
                record.args = args;
            }
        }
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let took = self.began.elapsed();
            self.close(RecordState::Cancelled, Some("CANCELLED".to_owned()), 0, None, took);
        }
    }
}
