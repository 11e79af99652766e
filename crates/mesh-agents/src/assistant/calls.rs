//! The calls of one turn: side by side, each through the ledger.

use std::sync::Arc;

use futures::future::join_all;
use mesh_store::Name;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Assistant;
use super::record::{CallRecord, History, OutcomeRecord};
use super::said::{Saying, Voice};
use crate::durable::{RunContext, StepError};
use crate::tools::{Call, Callable, Ledgered, ToolError};

/// Calls of one turn that are made; a model that asks for more is told so.
const CALLS_MAX: usize = 16;
/// What the model is told of all answers of one turn together: as a step's result they fit, however they are escaped.
const OUTPUTS_BYTES_MAX: usize = 400 << 10;
/// What it is told of one answer.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// Makes the calls that the newest turn asked for, and gives an outcome for each.
pub(super) async fn tools(
    assistant: &Assistant,
    cx: &mut RunContext,
) -> Result<Vec<OutcomeRecord>, StepError> {
    let history = History::of(cx.results())?;
    let wanted = history.wanted();
    // The keys are given in the order of the calls, whichever ends first.
    let keyed: Vec<(Name, &CallRecord)> = wanted.iter().map(|call| (cx.call_key(), call)).collect();
    let offered: Arc<dyn Callable> = assistant.offered(cx)?;
    let ledger = Ledgered::new(cx.store().clone(), cx.lease().clone(), offered);
    let ledger = ledger.map_err(|error| StepError::new(error.code, error.message).fatal())?;
    let share = (OUTPUTS_BYTES_MAX / wanted.len().max(1)).min(OUTPUT_BYTES_MAX);
    let caller = Caller { assistant, cx, ledger, voice: Voice::of(cx), share };
    let calls = keyed.iter().enumerate().map(|(at, (key, call))| caller.outcome(at, key, call));
    // All of them end, also when one has failed: none is left in doubt for another's sake.
    join_all(calls).await.into_iter().collect()
}

/// Who makes the calls of a step.
pub(super) struct Caller<'a> {
    pub(super) assistant: &'a Assistant,
    pub(super) cx: &'a RunContext,
    pub(super) ledger: Ledgered,
    voice: Voice,
    share: usize,
}

impl Caller<'_> {
    async fn outcome(&self, at: usize, key: &Name, wish: &CallRecord) -> Result<OutcomeRecord, StepError> {
        let args = match self.checked(at, wish) {
            Ok(args) => args,
            Err(error) => return Ok(self.told(String::new(), wish, Err(error))),
        };
        let (tool, text) = (wish.tool.clone(), key.to_string());
        self.voice.say(Saying::Calls { tool: tool.clone(), key: text.clone() }).await;
        let ended = self.made(key, || self.call(&tool, &args)).await?;
        self.voice.say(Saying::Brought { tool, key: text.clone(), is_ok: ended.is_ok() }).await;
        Ok(self.told(text, wish, ended))
    }

    /// The arguments of a call that may be made.
    fn checked(&self, at: usize, wish: &CallRecord) -> Result<Value, ToolError> {
        if !self.assistant.spec.tools.contains(&wish.tool) {
            return Err(ToolError::unknown(&wish.tool));
        }
        if at >= CALLS_MAX {
            let message = format!("at most {CALLS_MAX} calls are made in one turn; ask again in the next");
            return Err(ToolError::refused("TOO_MANY_CALLS", message));
        }
        let args = if wish.args.trim().is_empty() { "{}" } else { &wish.args };
        serde_json::from_str(args)
            .map_err(|error| ToolError::refused("BAD_ARGUMENTS", format!("they are no JSON: {error}")))
    }

    fn call(&self, tool: &str, args: &Value) -> Call {
        let deadline = Instant::now() + self.assistant.spec.call_timeout;
        let by = format!("{}, run {}", self.assistant.spec.name, self.cx.run());
        Call::new(tool, args.clone()).deadline(Some(deadline)).cancel_on(self.cx.cancel().clone()).by(by)
    }

    /// Makes a call once; what only people may decide, they do.
    async fn made(
        &self,
        key: &Name,
        call: impl Fn() -> Call + Sync,
    ) -> Result<Result<Value, ToolError>, StepError> {
        let ended = self.ledger.call(key.clone(), call()).await;
        match ended {
            Err(error) if error.in_doubt && error.code == "NEEDS_HUMAN" => self.doubted(key, call).await,
            ended => self.known(ended),
        }
    }

    /// An end that is known, and the model can be told of.
    pub(super) fn known(
        &self,
        ended: Result<Value, ToolError>,
    ) -> Result<Result<Value, ToolError>, StepError> {
        match ended {
            Err(_) if self.cx.cancel().is_cancelled() => Err(StepError::cancelled()),
            // Another attempt at the step finds out, as the tool's policy says.
            Err(error) if error.in_doubt || error.code.starts_with("STORE_") => {
                Err(StepError::new(error.code, error.message))
            }
            ended => Ok(ended),
        }
    }

    fn told(&self, key: String, wish: &CallRecord, ended: Result<Value, ToolError>) -> OutcomeRecord {
        let is_ok = ended.is_ok();
        let mut output = match ended {
            Ok(answer) => answer.to_string(),
            Err(error) => json!({"error": error.code, "message": error.message}).to_string(),
        };
        let whole = output.len();
        output.truncate(output.floor_char_boundary(self.share));
        let left_out_bytes = (whole - output.len()) as u64;
        OutcomeRecord { id: wish.id.clone(), key, tool: wish.tool.clone(), is_ok, output, left_out_bytes }
    }
}
