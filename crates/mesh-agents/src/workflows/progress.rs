//! From the events of the pure run to those that its reader gets.

use std::collections::{HashMap, HashSet};

use mesh::Retry;
use tokio::time::Instant;

use super::item::Finished;
use super::message::{Ended, RunEvent, Tokens};
use crate::pieces::pieces;
use crate::workflow::{Decision, Event, Outcome, Plan, StageResult};

/// How much of a stage's result an event carries. An item of a stream has an end, and [`Ended`](super::Ended) has the
/// whole of what counts.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// How much of a coordinator's reasons an event carries.
const REASON_BYTES_MAX: usize = 4 << 10;

/// Times and tokens of a run.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    tokens: Tokens,
    stages: HashMap<String, (Instant, Tokens)>,
    /// For each stage with items that failed: the first of them, and whether it may succeed later.
    retries: HashMap<String, (usize, Retry)>,
    coordinator: Coordinator,
    /// Items that had finished before, by their stage.
    restored: HashMap<String, HashSet<usize>>,
    /// Stages of which the coordinator was told before.
    consulted_before: HashSet<String>,
}

/// What is known of the coordinator's latest answer beside what it says.
#[derive(Debug, Default)]
struct Coordinator {
    agent: String,
    node: String,
    model: String,
    tokens: Tokens,
    elapsed_ms: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            tokens: Tokens::default(),
            stages: HashMap::new(),
            retries: HashMap::new(),
            coordinator: Coordinator::default(),
            restored: HashMap::new(),
            consulted_before: HashSet::new(),
        }
    }

    /// The end of the run, however it came about.
    pub(super) fn ended(&self, outcome: Outcome, may_have_run: bool) -> Ended {
        let retry = match &outcome {
            // A run is told to have failed as the first item of its stage did.
            Outcome::Failed { stage, .. } => {
                self.retries.get(stage).map_or(Retry::Never, |(_, retry)| *retry)
            }
            Outcome::Completed { .. } | Outcome::Cancelled { .. } => Retry::Never,
        };
        Ended { outcome, tokens: self.tokens, elapsed_ms: self.elapsed_ms(), retry, may_have_run }
    }

    fn elapsed_ms(&self) -> u64 {
        crate::millis(self.began.elapsed())
    }

    /// Counts a finished item, and says so.
    pub(super) fn item(&mut self, plan: &Plan, finished: &Finished) -> RunEvent {
        let stage = plan.stages[finished.stage].name.clone();
        let (index, elapsed_ms) = (finished.index as u64, finished.elapsed_ms);
        let answered = match &finished.answer {
            Ok(answered) => answered,
            Err(failed) => {
                let first = self.retries.entry(stage.clone()).or_insert((finished.index, failed.retry));
                if finished.index < first.0 {
                    *first = (finished.index, failed.retry);
                }
                let (attempts, error) = (finished.attempts, failed.error.clone());
                return RunEvent::ItemFailed { stage, index, attempts, error, elapsed_ms };
            }
        };
        let answer = &answered.answer;
        let tokens = Tokens { input: answer.input_tokens, output: answer.output_tokens };
        self.tokens.add(tokens);
        if let Some((_, sum)) = self.stages.get_mut(&stage) {
            sum.add(tokens);
        }
        RunEvent::ItemFinished {
            stage,
            index,
            node: answered.node.clone(),
            attempt: finished.attempts,
            model: answer.model.clone(),
            is_cut: answer.is_cut,
            tokens,
            elapsed_ms,
        }
    }

    /// Counts an item that had finished before.
    pub(super) fn restored(&mut self, stage: &str, index: usize, tokens: Tokens) {
        self.tokens.add(tokens);
        self.restored.entry(stage.to_owned()).or_default().insert(index);
    }

    /// Counts what the coordinator had said before.
    pub(super) fn consulted_before(&mut self, stage: &str, tokens: Tokens) {
        self.tokens.add(tokens);
        self.consulted_before.insert(stage.to_owned());
    }

    /// What the reader is told of some steps of the run, which happened at once.
    pub(super) fn events(&mut self, events: Vec<Event>) -> Vec<RunEvent> {
        let whole = |event: &Event| match event {
            Event::StageFinished { stage, result } if self.is_restored(stage, result.items.len()) => {
                Some(stage.clone())
            }
            _ => None,
        };
        let whole: HashSet<String> = events.iter().filter_map(whole).collect();
        let is_told = |event: &Event| match event {
            Event::StageStarted { stage, .. } | Event::ItemFinished { stage, .. } => !whole.contains(stage),
            Event::CoordinatorAsked { stage, .. } | Event::CoordinatorDecided { stage, .. } => {
                !self.consulted_before.contains(stage)
            }
            _ => true,
        };
        let told: Vec<Event> = events.into_iter().filter(is_told).collect();
        told.into_iter().filter_map(|event| self.event(event)).collect()
    }

    fn is_restored(&self, stage: &str, items: usize) -> bool {
        items > 0 && self.restored.get(stage).is_some_and(|restored| restored.len() == items)
    }

    /// Counts what the coordinator took to answer.
    pub(super) fn consulted(&mut self, finished: &Finished) {
        self.coordinator.elapsed_ms = finished.elapsed_ms;
        let Ok(answered) = &finished.answer else { return };
        let answer = &answered.answer;
        let tokens = Tokens { input: answer.input_tokens, output: answer.output_tokens };
        self.tokens.add(tokens);
        let (node, model) = (answered.node.clone(), answer.model.clone());
        self.coordinator = Coordinator { node, model, tokens, ..std::mem::take(&mut self.coordinator) };
    }

    fn decided(&mut self, stage: String, decision: Decision, reason: &str) -> RunEvent {
        let Coordinator { agent, node, model, tokens, elapsed_ms } = std::mem::take(&mut self.coordinator);
        let (replanned, items, problem) = match decision {
            Decision::Continue { problem } => (None, Vec::new(), problem),
            Decision::Replan { stage, items } => (Some(stage), items, None),
        };
        RunEvent::CoordinatorDecided {
            stage,
            agent,
            node,
            model,
            replanned,
            items: items.len() as u64,
            text: beginning(&items.join("\n"), TEXT_BYTES_MAX),
            reason: beginning(reason, REASON_BYTES_MAX),
            problem: problem.map(|problem| beginning(&problem, REASON_BYTES_MAX)),
            tokens,
            elapsed_ms,
        }
    }

    /// What the reader is told of a step of the run; items tell of themselves.
    fn event(&mut self, event: Event) -> Option<RunEvent> {
        match event {
            Event::StageStarted { stage, agent, items } => {
                self.stages.insert(stage.clone(), (Instant::now(), Tokens::default()));
                Some(RunEvent::StageStarted { stage, agent, items: items as u64 })
            }
            Event::StageFinished { stage, result } if self.is_restored(&stage, result.items.len()) => {
                Some(restored(stage, &result))
            }
            Event::StageFinished { stage, result } => {
                let (began, tokens) = self.stages.remove(&stage).unwrap_or((self.began, Tokens::default()));
                let whole = result.text();
                let text = beginning(&whole, TEXT_BYTES_MAX);
                Some(RunEvent::StageFinished {
                    stage,
                    items: result.items.len() as u64,
                    answered: result.answers().count() as u64,
                    is_text_cut: text.len() < whole.len(),
                    text,
                    tokens,
                    elapsed_ms: crate::millis(began.elapsed()),
                })
            }
            Event::RunFinished { outcome } => {
                let outcome = match outcome {
                    Outcome::Completed { .. } => "completed",
                    Outcome::Failed { .. } => "failed",
                    Outcome::Cancelled { .. } => "cancelled",
                };
                let (outcome, elapsed_ms) = (outcome.to_owned(), self.elapsed_ms());
                Some(RunEvent::RunFinished { outcome, tokens: self.tokens, elapsed_ms })
            }
            Event::CoordinatorAsked { stage, agent } => {
                self.coordinator = Coordinator { agent: agent.clone(), ..Coordinator::default() };
                Some(RunEvent::CoordinatorAsked { stage, agent })
            }
            Event::CoordinatorDecided { stage, decision, reason } => {
                Some(self.decided(stage, decision, &reason))
            }
            Event::ItemFinished { stage, index, .. } => {
                let is_restored = self.restored.get(&stage).is_some_and(|restored| restored.contains(&index));
                is_restored.then_some(RunEvent::ItemRestored { stage, index: index as u64 })
            }
            Event::ItemStarted { .. } => None,
        }
    }
}

/// A stage that had finished before its reader came.
pub(super) fn restored(stage: String, result: &StageResult) -> RunEvent {
    let whole = result.text();
    let text = beginning(&whole, TEXT_BYTES_MAX);
    RunEvent::StageRestored {
        stage,
        items: result.items.len() as u64,
        answered: result.answers().count() as u64,
        is_text_cut: text.len() < whole.len(),
        text,
    }
}

fn beginning(text: &str, bytes_max: usize) -> String {
    pieces(text, bytes_max).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_that_was_cancelled_tells_how_long_it_ran() {
        let progress = Progress::new();
        tokio::time::advance(Duration::from_secs(5)).await;
        let ended = progress.ended(Outcome::Cancelled { reason: String::new() }, true);
        assert_eq!(ended.elapsed_ms, 5_000);
    }
}
