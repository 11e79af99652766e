//! What a coordinator is told after each stage, and what it may answer.
//!
//! It may go on as planned, or give a stage that has not begun another list of items. An answer that cannot be read, or
//! that asks for what cannot be, is taken for "go on": a coordinator leads a run, and is no reason for its end.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Consulting, Event, ITEMS_MAX, ItemError, Progress, Run, StageResult};
use crate::pieces::pieces;

/// How much of the task and of a result a coordinator is shown. It decides on what follows, and does not do the work.
const TASK_BYTES_MAX: usize = 4 << 10;
const RESULT_BYTES_MAX: usize = 16 << 10;

/// A question to the coordinator, which waits for the answer before the next stage begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consult {
    /// The index of the stage that has finished.
    pub stage: usize,
    /// What the coordinator is told.
    pub input: Arc<str>,
    /// The names of the stages that may be given other items; none when it is asked for the last time, or may not
    /// re-plan any more.
    pub open: Vec<String>,
}

impl Consult {
    /// The JSON Schema of the answer.
    #[must_use]
    pub fn schema(&self) -> Value {
        let decisions =
            if self.open.is_empty() { json!(["continue"]) } else { json!(["continue", "replan"]) };
        let text = json!({ "type": "string" });
        // Providers want every property required; one without a meaning is left empty.
        json!({
            "type": "object",
            "properties": {
                "decision": { "type": "string", "enum": decisions },
                "stage": text,
                "items": { "type": "array", "items": text },
                "reason": text,
            },
            "required": ["decision", "stage", "items", "reason"],
            "additionalProperties": false,
        })
    }
}

/// What a coordinator decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The run goes on as planned.
    Continue {
        /// Why it does although the answer says something else, or nothing that can be read.
        problem: Option<String>,
    },
    /// A stage gets other items than its input has.
    Replan {
        /// The stage.
        stage: String,
        /// Its items.
        items: Vec<String>,
    },
}

impl Run {
    /// The question that the coordinator is to be asked now, once.
    pub fn next_consult(&mut self) -> Option<Consult> {
        let consulting = self.consulting.as_mut().filter(|consulting| !consulting.is_asked)?;
        let agent = self.plan.coordinator.as_ref()?.name.clone();
        consulting.is_asked = true;
        let stage = consulting.stage;
        self.events.push_back(Event::CoordinatorAsked { stage: self.name(stage), agent });
        let (input, open) = (Arc::from(self.report(stage)), self.open_for_items());
        Some(Consult { stage, input, open })
    }

    /// Takes the coordinator's answer about a stage, or why there is none, which counts as going on.
    ///
    /// False, and nothing changes, if that is not what it was asked last.
    pub fn on_consult(&mut self, stage: usize, answer: Result<String, ItemError>) -> bool {
        let is_asked = |asked: &Consulting| asked.is_asked && asked.stage == stage;
        if self.outcome.is_some() || !self.consulting.as_ref().is_some_and(is_asked) {
            return false;
        }
        let (decision, reason) = match answer {
            Ok(answer) => read(&answer, &self.open_for_items()),
            Err(error) => {
                let problem = format!("it gave no answer: {error}");
                (Decision::Continue { problem: Some(problem) }, String::new())
            }
        };
        if let Decision::Replan { stage, items } = &decision
            && let Some(nth) = self.plan.stages.iter().position(|known| known.name == *stage)
        {
            self.replans_left -= 1;
            self.replanned.insert(nth, items.iter().map(|item| Arc::from(item.as_str())).collect());
        }
        self.consulting = None;
        self.events.push_back(Event::CoordinatorDecided { stage: self.name(stage), decision, reason });
        self.advance();
        true
    }

    /// What the coordinator is told of a stage that has finished.
    fn report(&self, nth: usize) -> String {
        let stage = &self.plan.stages[nth];
        let result = self.result(nth).map(StageResult::text).unwrap_or_default();
        let next = self.plan.stages[nth + 1..].iter();
        Report {
            task: &self.task,
            stage: (&stage.name, nth + 1, self.plan.stages.len(), &stage.agent.name),
            result: &result,
            next: next.map(|stage| (&*stage.name, &*stage.agent.name, stage.parallel)).collect(),
            open: &self.open_for_items(),
            replans_left: self.replans_left,
        }
        .text()
    }

    /// The stages that have not begun and take items, while the coordinator may still re-plan.
    fn open_for_items(&self) -> Vec<String> {
        if self.replans_left == 0 {
            return Vec::new();
        }
        let stages = self.plan.stages.iter().zip(&self.stages);
        let open = stages.filter(|(stage, progress)| stage.parallel && matches!(progress, Progress::Waiting));
        open.map(|(stage, _)| stage.name.clone()).collect()
    }
}

/// What stands in an answer. Only the decision is needed.
#[derive(Debug, Deserialize)]
struct Answer {
    decision: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    items: Vec<Value>,
    #[serde(default)]
    reason: String,
}

/// Reads an answer: what it decides, and why. `open` are the stages that may be given items, in their order.
fn read(answer: &str, open: &[String]) -> (Decision, String) {
    let unread = |problem: String| (Decision::Continue { problem: Some(problem) }, String::new());
    let answer: Answer = match serde_json::from_str(unfenced(answer)) {
        Ok(answer) => answer,
        Err(error) => return unread(format!("its answer cannot be read: {error}")),
    };
    let reason = answer.reason.trim().to_owned();
    let decision = match answer.decision.as_str() {
        "continue" => Decision::Continue { problem: None },
        "replan" => match replan(answer, open) {
            Ok(decision) => decision,
            Err(problem) => Decision::Continue { problem: Some(problem) },
        },
        other => return unread(format!("its answer cannot be read: unknown decision {other:?}")),
    };
    (decision, reason)
}

fn replan(answer: Answer, open: &[String]) -> Result<Decision, String> {
    let stage =
        match (answer.stage.trim(), open) {
            (_, []) => return Err("it wanted to re-plan, which it may not any more".to_owned()),
            ("", [next, ..]) => next.clone(),
            (named, open) => open.iter().find(|stage| *stage == named).cloned().ok_or_else(|| {
                format!("it wanted to re-plan {named:?}, which is no stage that takes items")
            })?,
        };
    let texts = answer.items.into_iter().map(|item| match item {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    });
    let items: Vec<String> = texts.filter(|item| !item.is_empty()).collect();
    match items.len() {
        0 => Err("it wanted to re-plan without an item".to_owned()),
        1..=ITEMS_MAX => Ok(Decision::Replan { stage, items }),
        many => Err(format!("it wanted to re-plan with {many} items; at most {ITEMS_MAX} are worked on")),
    }
}

/// What stands in a fenced block, if that is all there is.
fn unfenced(answer: &str) -> &str {
    let answer = answer.trim();
    let inner = answer.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(answer, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// What the coordinator is told of a stage.
struct Report<'a> {
    task: &'a str,
    /// Its name, its number from 1 of how many, and its agent.
    stage: (&'a str, usize, usize, &'a str),
    result: &'a str,
    /// The stages that follow: their names, their agents, and whether they take items.
    next: Vec<(&'a str, &'a str, bool)>,
    open: &'a [String],
    replans_left: u32,
}

impl Report<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail, so the results carry nothing.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (stage, number, of, agent) = self.stage;
        writeln!(text, "You coordinate a workflow, and decide after each stage how it goes on.\n")?;
        writeln!(text, "The task of the workflow:\n{}\n", beginning(self.task, TASK_BYTES_MAX))?;
        writeln!(text, "Stage \"{stage}\" ({number} of {of}, by {agent}) has finished. Its result:")?;
        writeln!(text, "{}\n", beginning(self.result, RESULT_BYTES_MAX))?;
        if self.next.is_empty() {
            writeln!(text, "It was the last stage.\n")?;
        } else {
            writeln!(text, "Stages that follow:")?;
            for (name, agent, takes_items) in &self.next {
                let how = if *takes_items { ", which works on a list of items" } else { "" };
                writeln!(text, "- \"{name}\" by {agent}{how}")?;
            }
            writeln!(text)?;
        }
        write!(text, "Answer with one JSON object and nothing else. To go on as planned: {CONTINUE}")?;
        if let Some(first) = self.open.first() {
            let times = if self.replans_left == 1 { "once" } else { "more than once" };
            let example = json!({
                "decision": "replan", "stage": first, "items": ["first item", "second item"], "reason": "why",
            });
            write!(text, "\nTo give a stage other items, which you may do {times}: {example}")?;
        }
        Ok(())
    }
}

const CONTINUE: &str = r#"{"decision": "continue"}"#;

fn beginning(text: &str, bytes_max: usize) -> String {
    let first = pieces(text, bytes_max).next().unwrap_or_default();
    if first.len() < text.len() { format!("{first}\n[cut here]") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Vec<String> {
        ["dig", "fill"].map(str::to_owned).to_vec()
    }

    fn problem(answer: &str, open: &[String]) -> String {
        match read(answer, open).0 {
            Decision::Continue { problem: Some(problem) } => problem,
            other => panic!("{other:?}"),
        }
    }

    fn replan(stage: &str, items: &[&str]) -> Decision {
        let items = items.iter().map(|item| (*item).to_owned()).collect();
        Decision::Replan { stage: stage.to_owned(), items }
    }

    #[test]
    fn a_decision_to_go_on_needs_nothing_else() {
        let goes_on = Decision::Continue { problem: None };
        assert_eq!(read(r#"{"decision": "continue"}"#, &[]), (goes_on.clone(), String::new()));
        let full = r#"{"decision": "continue", "stage": "", "items": [], "reason": " all is well "}"#;
        assert_eq!(read(full, &open()), (goes_on, "all is well".to_owned()));
    }

    #[test]
    fn another_list_is_for_the_next_stage_that_takes_one_or_for_the_one_that_is_named() {
        let answer = r#"{"decision": "replan", "items": ["a", " ", "b", {"do": "c"}], "reason": "too few"}"#;
        let expected = (replan("dig", &["a", "b", r#"{"do":"c"}"#]), "too few".to_owned());
        assert_eq!(read(answer, &open()), expected);
        let fenced = "```json\n{\"decision\": \"replan\", \"stage\": \"fill\", \"items\": [\"a\"]}\n```";
        assert_eq!(read(fenced, &open()).0, replan("fill", &["a"]));
    }

    #[test]
    fn an_unreadable_answer_counts_as_continue_and_says_so() {
        assert!(problem("I would go on.", &open()).starts_with("its answer cannot be read: "));
        assert!(problem(r#"{"decision": "stop"}"#, &open()).contains(r#"unknown decision "stop""#));
        assert!(problem(r#"{"decision": "replan", "items": []}"#, &open()).contains("without an item"));
        let elsewhere = r#"{"decision": "replan", "stage": "review", "items": ["a"]}"#;
        assert!(problem(elsewhere, &open()).contains(r#""review", which is no stage that takes items"#));
        let late = r#"{"decision": "replan", "items": ["a"]}"#;
        assert_eq!(problem(late, &[]), "it wanted to re-plan, which it may not any more");
    }
}
