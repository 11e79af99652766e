//! A call that may have been made, and that nobody but a person may repeat.
//!
//! Each time that it is to be repeated is asked about by itself, and is a call of its own in the ledger: what was allowed
//! once is done once, whatever becomes of the process that does it.

use mesh_store::Name;
use serde_json::{Value, json};

use super::calls::Caller;
use crate::approvals::{Decision, Gate, Level, Request};
use crate::durable::StepError;
use crate::tools::{Call, ToolError};

impl Caller<'_> {
    /// Asks people, and does what they say.
    pub(super) async fn doubted(
        &self,
        key: &Name,
        call: impl Fn() -> Call + Sync,
    ) -> Result<Result<Value, ToolError>, StepError> {
        let Some(gate) = &self.assistant.gate else {
            let message = format!("call {key} may have been made, and there is nobody to ask");
            return Err(StepError::new("NEEDS_HUMAN", message).fatal());
        };
        let mut ended = None;
        for attempt in 1_u32.. {
            if let Err(refused) = self.may_repeat(gate, key, attempt, &call()).await? {
                ended = Some(Err(refused));
                break;
            }
            let again: Name = format!("{key}.again-{attempt}").parse()?;
            match self.ledger.call(again, call()).await {
                // In doubt once more: it is another question.
                Err(error) if error.in_doubt && error.code == "NEEDS_HUMAN" => {}
                made => {
                    ended = Some(self.known(made)?);
                    break;
                }
            }
        }
        let ended = ended.expect("nobody asks without end");
        let settled = self.ledger.settle(key.clone(), &ended).await;
        settled.map_err(|error| StepError::new(error.code, error.message))?;
        Ok(ended)
    }

    /// Whether people allow that a call is repeated; what the model is told if they don't.
    async fn may_repeat(
        &self,
        gate: &Gate,
        key: &Name,
        attempt: u32,
        call: &Call,
    ) -> Result<Result<(), ToolError>, StepError> {
        let question =
            format!("{} may have been done already (call {key}). Is it to be done again?", call.tool);
        let shown = json!({"tool": call.tool, "args": call.args});
        let request = Request::new(&self.assistant.spec.name, format!("repeat:{}", call.tool), shown)
            .description(&question)
            .doing(format!("run {}, step {:?}", self.cx.run(), self.cx.step().unwrap_or(0)))
            .run(self.cx.run().clone())
            .key(format!("repeat/{key}/{attempt}"))
            .at_least(Level::Confirm)
            .check(|_| Err("what may have been done is repeated as it was, or not at all".to_owned()));
        let decision = self.cx.wait_for_human(&question, gate.ask(request)).await?;
        match decision.map_err(|error| StepError::new(error.code(), error.to_string()))? {
            Decision::Approved(_) => Ok(Ok(())),
            Decision::Denied(denial) => {
                let message = format!("it may have been done already, and is not repeated: {denial}");
                Ok(Err(ToolError::refused("NOT_REPEATED", message)))
            }
        }
    }
}
