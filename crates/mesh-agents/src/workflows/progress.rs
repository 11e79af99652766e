//! From the events of the pure run to those that its reader gets.

use std::collections::HashMap;

use mesh::Retry;
use tokio::time::Instant;

use super::item::Finished;
use super::message::{Ended, RunEvent, Tokens};
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
    /// For each stage with items that failed: the first of them, and whether it may succeed later.
    retries: HashMap<String, (usize, Retry)>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            tokens: Tokens::default(),
            stages: HashMap::new(),
            retries: HashMap::new(),
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
