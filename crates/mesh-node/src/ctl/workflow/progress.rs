//! What happens in a run, for people: what agents say as they say it, and a line for each stage.

mod coordinator;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use mesh::Retry;
use mesh_agents::workflow::{Outcome, Plan};
use mesh_agents::workflows::{Ended, RunEvent, Tokens};
use mesh_models::Rounded;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::super::error::{CtlError, Document};
use super::super::output::Output;
use super::super::table::{Tone, printable};

/// So much of what each of several agents says is shown; all of it is in the result, or in the events (`--json`).
const EXCERPT_CHARS_MAX: usize = 240;
/// A line of this length fits on any terminal.
const WAIT_CHARS_MAX: usize = 76;
const INDENT: &str = "      ";

/// Follows the events of one run.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stages: BTreeMap<String, Stage>,
    /// Columns of the longest stage's name.
    width: usize,
    /// The coordinator, while it decides.
    coordinator: Option<String>,
    /// Whether the last line that was written has no end yet.
    is_mid_line: bool,
    /// Whether the last line on the terminal says only that nothing happens.
    is_waiting: bool,
    ended: Option<Ended>,
    /// The run, if it is kept and can be resumed.
    stored: Option<String>,
}

#[derive(Debug, Default)]
struct Stage {
    agent: String,
    items: u64,
    /// Where its agents ran, in the order in which they began.
    nodes: Vec<String>,
    /// Items that have an answer, or will have none.
    finished: u64,
    is_finished: bool,
    /// What was said by those whose turn to be shown comes when they have finished.
    said: BTreeMap<u64, String>,
}

impl Stage {
    /// `planner@alpha`, or `2 of 3 items of execution`.
    fn waited_for(&self, name: &str) -> Option<String> {
        match (self.is_finished, self.items, self.nodes.last()) {
            (true, ..) => None,
            (_, ..=1, Some(node)) => Some(format!("{}@{}", printable(&self.agent), printable(node))),
            (_, ..=1, None) => Some(printable(&self.agent)),
            (_, items, _) => Some(format!(
                "{} of {items} items of {}",
                items.saturating_sub(self.finished),
                printable(name)
            )),
        }
    }
}

impl Progress {
    pub(super) fn new(plan: &Plan) -> Self {
        Self::of(plan.stages.iter().map(|stage| &stage.name))
    }

    /// Of stages with these names.
    pub(super) fn of<'n>(stages: impl IntoIterator<Item = &'n String>) -> Self {
        let width = stages.into_iter().map(|name| printable(name).width()).max();
        Self { width: width.unwrap_or_default(), ..Self::default() }
    }

    /// An error that does not end the run for good says how to go on.
    pub(super) fn resumable(&self, mut error: CtlError) -> CtlError {
        if let (CtlError::Refused(document), Some(run)) = (&mut error, &self.stored) {
            document.message += &format!("; `meshctl workflow resume {run}` goes on with the run");
        }
        error
    }

    /// Shows an event, or prints it as it is where JSON is wanted. A node of a later version may send some that this program does not know: they are passed over.
    pub(super) fn take(&mut self, event: &str, output: &mut Output<'_>) -> io::Result<()> {
        let known = serde_json::from_str::<RunEvent>(event);
        if let Ok(RunEvent::RunStored { run }) = &known {
            self.stored = Some(run.clone());
        }
        match known {
            _ if output.is_json => output.line(event),
            Ok(event) => self.show(event, output),
            Err(_) => Ok(()),
        }
    }

    fn show(&mut self, event: RunEvent, output: &mut Output<'_>) -> io::Result<()> {
        match event {
            RunEvent::StageStarted { stage, agent, items } => {
                let line = format!("  … {}  {}{}", self.padded(&stage), printable(&agent), times(items));
                self.stages.insert(stage, Stage { agent, items, ..Stage::default() });
                self.line(Tone::Faint, &line, output)
            }
            RunEvent::ItemStarted { stage, node, .. } => {
                let nodes = &mut self.stages.entry(stage).or_default().nodes;
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
                Ok(())
            }
            RunEvent::ItemText { stage, index, text } => self.said(&stage, index, &text, output),
            RunEvent::ItemRetried { stage, index, attempt, reason, .. } => {
                self.stages.entry(stage.clone()).or_default().said.remove(&index);
                let (stage, reason) = (printable(&stage), printable(&reason));
                let line = format!("    … {stage} item {}: {reason} → again, attempt {attempt}", index + 1);
                self.line(Tone::Warning, &line, output)
            }
            RunEvent::ItemFinished { stage, index, node, tokens, elapsed_ms, .. } => {
                let stage = self.stages.entry(stage).or_default();
                stage.finished += 1;
                let Some(said) = stage.said.remove(&index) else { return Ok(()) };
                let head =
                    format!("    · item {} by {}@{}", index + 1, printable(&stage.agent), printable(&node));
                self.line(Tone::Plain, &format!("{head}{}", cost(elapsed_ms, tokens)), output)?;
                self.line(Tone::Faint, &format!("{INDENT}{}", excerpt(&said)), output)
            }
            RunEvent::ItemFailed { stage, index, attempts, error, .. } => {
                let known = self.stages.entry(stage.clone()).or_default();
                known.said.remove(&index);
                known.finished += 1;
                let (stage, message) = (printable(&stage), printable(&error.message));
                let line = format!("    ✗ {stage} item {}: {message} ({attempts} attempts)", index + 1);
                self.line(Tone::Warning, &line, output)
            }
            RunEvent::StageFinished { stage, items, answered, tokens, elapsed_ms, .. } => {
                let line = self.summary(&stage, items, answered, output);
                self.stages.entry(stage).or_default().is_finished = true;
                self.line(Tone::Plain, &format!("{line}{}", cost(elapsed_ms, tokens)), output)
            }
            RunEvent::CoordinatorAsked { agent, .. } => {
                self.coordinator = Some(agent);
                Ok(())
            }
            RunEvent::CoordinatorDecided { .. } => coordinator::decided(self, &event, output),
            RunEvent::RunStored { run } => {
                let line = format!("  run {}, kept in the store", printable(&run));
                self.line(Tone::Faint, &line, output)
            }
            RunEvent::ItemRestored { stage, index } => {
                self.stages.entry(stage.clone()).or_default().finished += 1;
                let line = format!("    · {} item {} was done before", printable(&stage), index + 1);
                self.line(Tone::Faint, &line, output)
            }
            RunEvent::StageRestored { stage, items, answered, .. } => {
                let line = self.summary(&stage, items, answered, output);
                self.stages.entry(stage).or_default().is_finished = true;
                self.line(Tone::Plain, &format!("{line}  was done before"), output)
            }
            // The reply that follows says more.
            _ => Ok(()),
        }
    }

    /// Says on a terminal that nothing has happened for `silence`, in a line that goes away when something does.
    pub(super) fn wait(&mut self, silence: Duration, output: &mut Output<'_>) -> io::Result<()> {
        // The end of a text that is being written is no place for it.
        if !output.is_terminal || self.is_mid_line {
            return Ok(());
        }
        let stages = self.stages.iter().filter_map(|(name, stage)| stage.waited_for(name));
        let coordinator = self.coordinator.iter().map(|agent| format!("coordinator {}", printable(agent)));
        let waited: Vec<String> = stages.chain(coordinator).collect();
        let on = if waited.is_empty() { "the mesh".to_owned() } else { waited.join("; ") };
        // One line, or the terminal could not take it back.
        let line = format!("  … waiting for {on}, {}", Rounded(silence));
        let line = cut(&line, WAIT_CHARS_MAX);
        self.clear(output)?;
        output.text(&output.paint.text(Tone::Faint, &line))?;
        self.is_waiting = true;
        output.flush()
    }

    /// Takes the line of [`wait`](Self::wait) back.
    pub(super) fn clear(&mut self, output: &mut Output<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.is_waiting) { output.text("\r\x1b[2K") } else { Ok(()) }
    }

    /// One agent at work is read along; of several, each is shown when it has finished.
    fn said(&mut self, stage: &str, index: u64, text: &str, output: &mut Output<'_>) -> io::Result<()> {
        let Some(known) = self.stages.get_mut(stage) else { return Ok(()) };
        if known.items > 1 {
            let said = known.said.entry(index).or_default();
            // A little more than is shown, so that it is known to be cut.
            said.extend(text.chars().take((EXCERPT_CHARS_MAX + 1).saturating_sub(said.chars().count())));
            return Ok(());
        }
        self.clear(output)?;
        for piece in text.split_inclusive('\n') {
            if !self.is_mid_line {
                output.text(INDENT)?;
            }
            output.text(&output.paint.text(Tone::Faint, &printable(piece.trim_end_matches(['\r', '\n']))))?;
            self.is_mid_line = !piece.ends_with('\n');
            if !self.is_mid_line {
                output.text("\n")?;
            }
        }
        output.flush()
    }

    /// `  ✓ execution  executor@beta, executor@gamma ×3`
    fn summary(&self, stage: &str, items: u64, answered: u64, output: &Output<'_>) -> String {
        let (mark, tone) = match answered {
            all if all == items => ("✓", Tone::Good),
            0 => ("✗", Tone::Bad),
            _ => ("✓", Tone::Warning),
        };
        let none = Stage::default();
        let known = self.stages.get(stage).unwrap_or(&none);
        let agents: Vec<String> = known
            .nodes
            .iter()
            .map(|node| format!("{}@{}", printable(&known.agent), printable(node)))
            .collect();
        let part = if answered == items { String::new() } else { format!("  {answered} of {items} items") };
        let mark = output.paint.text(tone, mark);
        format!("  {mark} {}  {}{}{part}", self.padded(stage), agents.join(", "), times(items))
    }

    fn line(&mut self, tone: Tone, line: &str, output: &mut Output<'_>) -> io::Result<()> {
        self.clear(output)?;
        if std::mem::take(&mut self.is_mid_line) {
            output.text("\n")?;
        }
        output.line(&output.paint.text(tone, line))
    }

    fn padded(&self, stage: &str) -> String {
        let name = printable(stage);
        let padding = self.width.saturating_sub(name.width());
        name + &" ".repeat(padding)
    }

    /// Takes the run's reply.
    pub(super) fn end(&mut self, reply: &str) -> Result<(), CtlError> {
        let ended = serde_json::from_str(reply).map_err(|error| {
            let message = format!("the run ended in a way that this meshctl does not understand: {error}");
            CtlError::from(Document::own("BAD_REPLY", message))
        })?;
        self.ended = Some(ended);
        Ok(())
    }

    /// Prints the result; an error says why there is none.
    pub(super) fn finish(mut self, output: &mut Output<'_>) -> Result<(), CtlError> {
        self.clear(output)?;
        let ended = self.ended.take();
        // Without a word from the run nothing can be promised.
        let (retry, may_have_run) =
            ended.as_ref().map_or((Retry::Never, true), |ended| (ended.retry, ended.may_have_run));
        let failed = |document: Document| Err(CtlError::from(Document { retry, may_have_run, ..document }));
        match ended.map(|ended| ended.outcome) {
            Some(Outcome::Completed { .. }) if output.is_json => Ok(()),
            Some(Outcome::Completed { result }) => {
                self.line(Tone::Plain, "", output)?;
                result.lines().try_for_each(|line| output.line(&printable(line)))?;
                Ok(())
            }
            Some(Outcome::Failed { stage, code, error }) => {
                let document = Document::own(&code, format!("stage {stage} got nothing: {}", error.message));
                failed(document.with_details(json!({ "stage": stage, "error": error })))
            }
            Some(Outcome::Cancelled { reason }) => failed(Document::own("CANCELLED", reason)),
            Some(_) => {
                let message = "the run ended in a way that this meshctl does not know";
                failed(Document::own("UNKNOWN_OUTCOME", message))
            }
            None => {
                let ended = failed(Document::own("NO_OUTCOME", "the run ended without saying how"));
                ended.map_err(|error| self.resumable(error))
            }
        }
    }
}

fn times(items: u64) -> String {
    if items == 1 { String::new() } else { format!(" ×{items}") }
}

fn cost(elapsed_ms: u64, tokens: Tokens) -> String {
    let Tokens { input, output } = tokens;
    // No server counts to zero; one that does not count says nothing.
    let tokens = if input + output == 0 { String::new() } else { format!("  {} tok", input + output) };
    format!("  {}{tokens}", Rounded(Duration::from_millis(elapsed_ms)))
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    printable(&cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), EXCERPT_CHARS_MAX))
}

fn cut(line: &str, chars_max: usize) -> String {
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
