//! What the steps of a run brought, as it is stored, and the conversation that it makes.

use mesh_models::{Collected, Message, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TOOLS, TURN};
use crate::durable::StepError;

/// What a step brought: what is in [`ExecutionContext::results`](crate::durable::ExecutionContext::results).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepRecord {
    /// Of a step `turn`.
    Turn(TurnRecord),
    /// Of a step `tools`: an outcome for each call of the turn before, in its order.
    Tools(Vec<OutcomeRecord>),
}

/// One turn of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// What it said.
    pub text: String,
    /// The tools that it asked for.
    pub calls: Vec<CallRecord>,
    /// The model that answered, as its server names it.
    pub model: String,
    /// Why it stopped, as `stop` or `tool_calls`.
    pub reason: String,
    /// Tokens that it read; an estimate where its server does not count.
    pub input_tokens: u64,
    /// Tokens that it wrote; an estimate where its server does not count.
    pub output_tokens: u64,
    /// What it cost, in millionths, where that is known.
    pub cost_micros: Option<u64>,
    /// The answer to the task, if this is the turn that has it.
    pub answer: Option<Value>,
    /// Why what was said is no answer, where it should be one.
    pub problem: Option<String>,
}

/// A model's wish that a tool be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The model's name for the call.
    pub id: String,
    /// Which tool.
    pub tool: String,
    /// The arguments, as the model wrote them.
    pub args: String,
}

/// What became of a call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// The model's name for the call.
    pub id: String,
    /// Its key in the run's ledger; empty for a call that was not made.
    pub key: String,
    /// Which tool.
    pub tool: String,
    /// Whether it did what it was asked.
    pub is_ok: bool,
    /// What the model is told: the tool's answer as JSON, or its error.
    pub output: String,
    /// Bytes of the answer that the model is not told, since it was too long.
    pub left_out_bytes: u64,
}

impl StepRecord {
    /// The step behind it, if there is one.
    pub(super) fn next(&self) -> Option<&'static str> {
        match self {
            Self::Turn(turn) if !turn.calls.is_empty() => Some(TOOLS),
            Self::Turn(TurnRecord { answer: Some(_), .. }) => None,
            Self::Turn(_) | Self::Tools(_) => Some(TURN),
        }
    }
}

impl TurnRecord {
    pub(super) fn of(collected: &Collected) -> Self {
        let call = |call: &ToolCall| CallRecord {
            id: call.id.clone(),
            tool: call.name.clone(),
            args: call.args.clone(),
        };
        Self {
            text: collected.text.clone(),
            calls: collected.calls.iter().map(call).collect(),
            model: collected.model.clone(),
            reason: collected.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            input_tokens: collected.usage.input,
            output_tokens: collected.usage.output,
            ..Self::default()
        }
    }
}

/// What a run has come to.
#[derive(Debug)]
pub(super) struct History(Vec<StepRecord>);

impl History {
    /// Reads the results of a run.
    pub(super) fn of(results: &[Value]) -> Result<Self, StepError> {
        let read = |result: &Value| serde_json::from_value(result.clone());
        let records: Result<Vec<_>, _> = results.iter().map(read).collect();
        records.map(Self).map_err(|error| StepError::new("FOREIGN_RUN", error.to_string()).fatal())
    }

    pub(super) fn turns(&self) -> impl DoubleEndedIterator<Item = &TurnRecord> {
        self.0.iter().filter_map(|record| match record {
            StepRecord::Turn(turn) => Some(turn),
            StepRecord::Tools(_) => None,
        })
    }

    /// The calls that the newest turn asked for.
    pub(super) fn wanted(&self) -> &[CallRecord] {
        match self.0.last() {
            Some(StepRecord::Turn(turn)) => &turn.calls,
            _ => &[],
        }
    }

    /// Why the newest two turns were no answers, if neither was: the model was told once, and that did not help.
    pub(super) fn given_up(&self) -> Option<&str> {
        let mut newest = self.turns().rev();
        newest.next()?.problem.as_ref()?;
        newest.next()?.problem.as_deref()
    }

    /// The conversation, behind the task.
    pub(super) fn messages(&self, task: &str) -> Vec<Message> {
        let mut messages = vec![Message::user(task)];
        for record in &self.0 {
            match record {
                StepRecord::Turn(turn) => push_turn(&mut messages, turn),
                StepRecord::Tools(outcomes) => {
                    messages
                        .extend(outcomes.iter().map(|outcome| Message::tool(&outcome.id, outcome.told())));
                }
            }
        }
        messages
    }
}

fn push_turn(messages: &mut Vec<Message>, turn: &TurnRecord) {
    if !turn.calls.is_empty() {
        let calls = turn.calls.iter().map(|call| ToolCall::new(&call.id, &call.tool, &call.args));
        messages.push(Message::calling(&turn.text, calls));
        return;
    }
    // Providers refuse a turn in which nothing is said.
    if !turn.text.is_empty() {
        messages.push(Message::assistant(&turn.text));
    }
    if let Some(problem) = &turn.problem {
        messages.push(Message::user(format!("This is no answer: {problem}. Answer again.")));
    }
}

impl OutcomeRecord {
    fn told(&self) -> String {
        match self.left_out_bytes {
            0 => self.output.clone(),
            left_out => format!("{}\n[{left_out} more bytes are not shown]", self.output),
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_models::Role;
    use serde_json::json;

    use super::*;

    fn turn(text: &str, problem: Option<&str>) -> StepRecord {
        let problem = problem.map(str::to_owned);
        StepRecord::Turn(TurnRecord { text: text.to_owned(), problem, ..TurnRecord::default() })
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let call = CallRecord { id: "c".to_owned(), tool: "t".to_owned(), args: "{".to_owned() };
        let turn = TurnRecord { calls: vec![call], answer: Some(json!({"a": 1})), ..TurnRecord::default() };
        for record in [StepRecord::Turn(turn), StepRecord::Tools(Vec::new())] {
            let value = serde_json::to_value(&record).unwrap();
            assert_eq!(serde_json::from_value::<StepRecord>(value).unwrap(), record);
        }
        assert!(History::of(&[json!("of another agent")]).is_err());
    }

    #[test]
    fn what_is_no_answer_is_said_to_the_model_once() {
        let history = History(vec![turn("", Some("it is empty"))]);
        assert_eq!(history.given_up(), None);
        let messages = history.messages("do it");
        assert_eq!(messages.iter().map(|message| message.role).collect::<Vec<_>>(), [Role::User, Role::User]);
        assert!(messages[1].text.contains("it is empty"));
        let history = History(vec![turn("a", Some("first")), turn("b", Some("second"))]);
        assert_eq!(history.given_up(), Some("first"));
        let recovered = History(vec![turn("a", Some("first")), turn("b", None)]);
        assert_eq!(recovered.given_up(), None);
    }
}
