//! From the events of the pure run to those that its reader gets.

use std::collections::HashMap;

use tokio::time::Instant;

use super::item::Finished;
use super::message::{RunEvent, Tokens};
use crate::pieces::pieces;
use crate::workflow::{Event, Outcome, Plan};

/// How much of a stage's result an event carries. An item of a stream has an end, and [`Ended`](super::Ended) has the
/// whole of what counts.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Times and tokens of a run.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    tokens: Tokens,
    stages: HashMap<String, (Instant, Tokens)>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), tokens: Tokens::default(), stages: HashMap::new() }
    }

    pub(super) fn tokens(&self) -> Tokens {
        self.tokens
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        crate::millis(self.began.elapsed())
    }

    /// Counts a finished item, and says so.
    pub(super) fn item(&mut self, plan: &Plan, finished: &Finished) -> RunEvent {
        let stage = plan.stages[finished.stage].name.clone();
        let (index, elapsed_ms) = (finished.index as u64, finished.elapsed_ms);
        let answered = match &finished.answer {
            Ok(answered) => answered,
            Err(error) => {
                let (attempts, error) = (finished.attempts, error.clone());
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

    /// What the reader is told of a step of the run; items tell of themselves.
    pub(super) fn event(&mut self, event: Event) -> Option<RunEvent> {
        match event {
            Event::StageStarted { stage, agent, items } => {
                self.stages.insert(stage.clone(), (Instant::now(), Tokens::default()));
                Some(RunEvent::StageStarted { stage, agent, items: items as u64 })
            }
            Event::StageFinished { stage, result } => {
                let (began, tokens) = self.stages.remove(&stage).unwrap_or((self.began, Tokens::default()));
                let whole = result.text();
                let text = pieces(&whole, TEXT_BYTES_MAX).next().unwrap_or_default().to_owned();
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
            Event::ItemStarted { .. } | Event::ItemFinished { .. } => None,
        }
    }
}
