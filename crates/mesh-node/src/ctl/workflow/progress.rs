//! What happens in a run, as lines for people.

use std::collections::BTreeMap;
use std::time::Instant;

use mesh_agents::workflow::{Event, ItemError, ItemOutcome, Outcome, StageResult};
use serde_json::Value;

use super::super::error::{CtlError, Document};
use super::super::output::Output;
use super::super::table::{Paint, Tone, printable};

/// Follows the events of one run.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stages: BTreeMap<String, Began>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Began {
    agent: String,
    at: Instant,
}

impl Progress {
    /// The lines that an event is worth. A node of a later version may send events that this one does not know: they
    /// are shown as they are.
    pub(super) fn lines_of(&mut self, item: &str, paint: Paint) -> Vec<String> {
        match serde_json::from_str::<Event>(item) {
            Ok(event) => self.lines_of_event(event, paint),
            Err(_) => vec![paint.text(Tone::Faint, &format!("  · {}", printable(item)))],
        }
    }

    fn lines_of_event(&mut self, event: Event, paint: Paint) -> Vec<String> {
        match event {
            Event::StageStarted { stage, agent, items } => {
                let count = if items == 1 { String::new() } else { format!("  {items} items") };
                let line = format!("  … {}  {}{count}", printable(&stage), printable(&agent));
                self.stages.insert(stage, Began { agent, at: Instant::now() });
                vec![paint.text(Tone::Faint, &line)]
            }
            Event::ItemFinished { stage, index, outcome: ItemOutcome::Failed(error) } => {
                let line =
                    format!("    ✗ {} item {}: {}", printable(&stage), index + 1, printable(&error.message));
                vec![paint.text(Tone::Warning, &line)]
            }
            Event::StageFinished { stage, result } => vec![self.stage_line(&stage, &result, paint)],
            Event::RunFinished { outcome } => {
                self.outcome = Some(outcome);
                Vec::new()
            }
            // What begins or ends well is told by its stage.
            _ => Vec::new(),
        }
    }

    fn stage_line(&self, stage: &str, result: &StageResult, paint: Paint) -> String {
        let (items, answered) = (result.items.len(), result.answers().count());
        let mark = if answered == items {
            paint.text(Tone::Good, "✓")
        } else if answered > 0 {
            paint.text(Tone::Warning, "✓")
        } else {
            paint.text(Tone::Bad, "✗")
        };
        let count = if items == 1 { String::new() } else { format!("  {answered} of {items} items") };
        let (agent, took) = match self.stages.get(stage) {
            Some(began) => (printable(&began.agent), format!("  {:.1} s", began.at.elapsed().as_secs_f64())),
            None => Default::default(),
        };
        format!("  {mark} {}  {agent}{count}{took}", printable(stage))
    }

    /// Prints the result of the run.
    pub(super) fn finish(&mut self, reply: &str, output: &mut Output<'_>) -> Result<(), CtlError> {
        if let Ok(outcome) = serde_json::from_str::<Outcome>(reply) {
            self.outcome = Some(outcome);
        }
        if let Some(Outcome::Completed { result }) = &self.outcome {
            let text: Vec<String> = result.lines().map(printable).collect();
            output.line(&format!("\n{}", text.join("\n")))?;
        }
        Ok(())
    }

    /// Whether the run did what it had to.
    pub(super) fn outcome(self) -> Result<(), CtlError> {
        let failed = |code: &str, message: String, details: Value| {
            Err(Document { details, may_have_run: true, ..Document::own(code, message) }.into())
        };
        match self.outcome {
            Some(Outcome::Completed { .. }) => Ok(()),
            Some(Outcome::Failed { stage, code, error }) => {
                let ItemError { message, .. } = &error;
                failed(
                    &code,
                    format!("stage {stage} got nothing: {message}"),
                    serde_json::json!({ "error": error }),
                )
            }
            Some(Outcome::Cancelled { reason }) => failed("CANCELLED", reason, Value::Null),
            _ => failed("NO_OUTCOME", "the run ended without saying how".to_owned(), Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(events: &[Value]) -> (Vec<String>, Progress) {
        let mut progress = Progress::default();
        let lines = events.iter().flat_map(|event| progress.lines_of(&event.to_string(), Paint(false))).collect();
        (lines, progress)
    }

    fn code(progress: Progress) -> String {
        match progress.outcome() {
            Err(CtlError::Refused { document, .. }) => document.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_is_told_stage_by_stage() {
        let item = |answer: &str| json!({"input": "i", "outcome": {"answered": answer}});
        let failed = json!({"failed": {"code": "TIMEOUT", "message": "no answer within 2m"}});
        let (lines, progress) = lines(&[
            json!({"stage_started": {"stage": "work", "agent": "executor", "items": 2}}),
            json!({"item_started": {"stage": "work", "index": 0}}),
            json!({"item_finished": {"stage": "work", "index": 1, "outcome": failed}}),
            json!({"stage_finished": {"stage": "work", "result": {"items": [item("a"), {"input": "j", "outcome": failed}]}}}),
            json!({"run_finished": {"outcome": {"completed": {"result": "done"}}}}),
        ]);
        insta::assert_snapshot!(lines.join("\n"), @r"
          … work  executor  2 items
            ✗ work item 2: no answer within 2m
          ✓ work  executor  1 of 2 items  0.0 s
        ");
        assert!(progress.outcome().is_ok());
    }

    #[test]
    fn an_event_of_a_later_version_is_shown_as_it_is() {
        assert_eq!(lines(&[json!({"agent_moved": "beta"})]).0, ["  · {\"agent_moved\":\"beta\"}"]);
    }

    #[test]
    fn a_run_that_failed_says_in_which_stage() {
        let outcome = json!({"failed": {"stage": "work", "code": "STAGE_WORK_FAILED", "error": {"code": "TIMEOUT", "message": "m"}}});
        let (_, progress) = lines(&[json!({"run_finished": {"outcome": outcome}})]);
        assert_eq!(code(progress), "STAGE_WORK_FAILED");
    }

    #[test]
    fn a_run_without_an_end_is_no_success() {
        assert_eq!(code(Progress::default()), "NO_OUTCOME");
    }

    #[test]
    fn the_reply_tells_how_the_run_ended_and_its_result_is_printed() {
        let mut text = Vec::new();
        let mut output = Output { is_json: false, paint: Paint(false), to: &mut text };
        let mut progress = Progress::default();
        progress.finish(&json!({"completed": {"result": "one\ntwo\u{1b}[2J"}}).to_string(), &mut output).unwrap();
        assert!(progress.outcome().is_ok());
        assert_eq!(String::from_utf8(text).unwrap(), "\none\ntwo\\u{1b}[2J\n");
    }
}
