//! What servers tell of calls that run.

use std::collections::HashMap;

use mesh::{Message, WireMessage};
use parking_lot::Mutex;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The topic on which a node tells how far calls of its servers' tools are.
pub const PROGRESS_TOPIC: &str = "tools/progress";

/// Tellings that wait to be published. A server that tells faster than that is not heard to the last.
const QUEUE: usize = 64;

/// The longest message that is passed on.
const MESSAGE_BYTES_MAX: usize = 1024;

/// How far a call is: `tool.progress.v1`, on the topic `tools/progress`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolProgress {
    /// The tool's name on the mesh.
    pub tool: String,
    /// The call's id.
    pub call: String,
    /// How much is done; it grows.
    pub progress: f64,
    /// Of how much, where the server knows.
    pub total: Option<f64>,
    /// What the server says about it; untrusted, at most 1 KiB.
    pub message: String,
}

impl Message for ToolProgress {
    type Reply = ();
}

impl WireMessage for ToolProgress {
    const KIND: &'static str = "tool.progress.v1";
}

/// Which calls may be told of, and where to.
#[derive(Debug)]
pub(super) struct Progress {
    calls: Mutex<HashMap<ProgressToken, (String, String)>>,
    told: mpsc::Sender<ToolProgress>,
}

impl Progress {
    pub(super) fn channel() -> (Self, mpsc::Receiver<ToolProgress>) {
        let (told, heard) = mpsc::channel(QUEUE);
        (Self { calls: Mutex::default(), told }, heard)
    }

    /// Lets a call be told of, until [`forget`](Self::forget).
    pub(super) fn expect(&self, token: ProgressToken, tool: &str, call: String) {
        self.calls.lock().insert(token, (tool.to_owned(), call));
    }

    pub(super) fn forget(&self, token: &ProgressToken) {
        self.calls.lock().remove(token);
    }

    /// Takes what a server tells; of a call that does not run, nothing.
    pub(super) fn tell(&self, said: &ProgressNotificationParam) {
        let Some((tool, call)) = self.calls.lock().get(&said.progress_token).cloned() else { return };
        let message = crate::cut(said.message.as_deref().unwrap_or_default(), MESSAGE_BYTES_MAX).0.to_owned();
        tracing::debug!(tool, call, progress = said.progress, total = said.total, "tool is under way");
        let progress = ToolProgress { tool, call, progress: said.progress, total: said.total, message };
        // With no room the next one tells more anyway.
        let _ = self.told.try_send(progress);
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::NumberOrString;

    use super::*;

    #[test]
    fn only_calls_that_run_are_told_of_and_a_flood_is_dropped() {
        let (progress, mut heard) = Progress::channel();
        let token = ProgressToken(NumberOrString::Number(7));
        let said = ProgressNotificationParam::new(token.clone(), 1.0).with_message("é".repeat(1000));
        progress.tell(&said);
        assert!(heard.try_recv().is_err(), "nobody calls");
        progress.expect(token.clone(), "a__b", "id".to_owned());
        for _ in 0..1000 {
            progress.tell(&said);
        }
        let first = heard.try_recv().unwrap();
        assert_eq!((first.tool.as_str(), first.call.as_str()), ("a__b", "id"));
        assert!(first.message.len() <= MESSAGE_BYTES_MAX);
        assert_eq!(heard.len(), QUEUE - 1);
        progress.forget(&token);
        while heard.try_recv().is_ok() {}
        progress.tell(&said);
        assert!(heard.try_recv().is_err(), "it has ended");
    }
}
