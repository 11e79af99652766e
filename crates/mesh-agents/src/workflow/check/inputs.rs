//! What each stage takes.
//!
//! An absent `input` is the task. Otherwise the word is looked up among the stages above: an `output` first, then a
//! stage's name, then a stage's name with `_results`.

use std::collections::HashMap;

use super::super::diagnostic::Diagnostic;
use super::super::fields::Findings;
use super::super::file::StageEntry;
use super::super::plan::Input;
use super::super::span::{At, Span};
use super::super::suggest::{listed, nearest};
use super::stage_title;

const RESULTS: &str = "_results";

/// One input for each stage; nothing where it could not be resolved, which is reported.
pub(super) fn resolve(stages: &[StageEntry], findings: &mut Findings) -> Vec<Option<Input>> {
    let offers = Offers::of(stages, findings);
    stages
        .iter()
        .enumerate()
        .map(|(nth, stage)| match &stage.input {
            None => Some(Input::Task),
            Some(word) => offers.find(word, nth, stages, findings),
        })
        .collect()
}

/// The words that name a result, and the stages that give it.
struct Offers {
    outputs: HashMap<String, usize>,
    names: HashMap<String, usize>,
    results: HashMap<String, usize>,
}

impl Offers {
    fn of(stages: &[StageEntry], findings: &mut Findings) -> Self {
        let names = unique(stages, |stage| stage.name.as_ref(), "are named", findings);
        let outputs = unique(stages, |stage| stage.output.as_ref(), "give the output", findings);
        let results = names.iter().map(|(name, &nth)| (format!("{name}{RESULTS}"), nth)).collect();
        let offers = Self { outputs, names, results };
        offers.warn_of_hidden(stages, findings);
        offers
    }

    /// The order of the lookup, which is that of the rule.
    fn get(&self, word: &str) -> Option<usize> {
        [&self.outputs, &self.names, &self.results].into_iter().find_map(|words| words.get(word)).copied()
    }

    /// Only a stage above can be taken, so one above wins over one below that has the word in an earlier rank.
    fn above(&self, word: &str, nth: usize) -> Option<usize> {
        [&self.outputs, &self.names, &self.results]
            .into_iter()
            .filter_map(|words| words.get(word).copied())
            .find(|&giver| giver < nth)
    }

    fn find(
        &self,
        word: &At<String>,
        nth: usize,
        stages: &[StageEntry],
        findings: &mut Findings,
    ) -> Option<Input> {
        if let Some(giver) = self.above(&word.value, nth) {
            return Some(Input::Stage(giver));
        }
        let taker = stage_title(&stages[nth]);
        let finding = match self.get(&word.value) {
            Some(giver) if giver == nth => {
                Diagnostic::error(word.span, format!("{taker} takes its own result"))
                    .help("leave `input` out to take the task")
            }
            Some(giver) => {
                let giver = &stages[giver];
                let message =
                    format!("{taker} takes `{}`, which {} gives only later", word.value, stage_title(giver));
                Diagnostic::error(word.span, message)
                    .label(format!("{} is below, at line {}", stage_title(giver), giver.span.line))
                    .help("a stage takes what is above it: move one of the two")
            }
            None => self.unknown(word, nth, stages),
        };
        findings.push(finding);
        None
    }

    fn unknown(&self, word: &At<String>, nth: usize, stages: &[StageEntry]) -> Diagnostic {
        let taker = stage_title(&stages[nth]);
        let unknown =
            Diagnostic::error(word.span, format!("{taker} takes `{}`, which nothing produces", word.value));
        let given = self.given_above(nth, stages);
        if let Some(near) = nearest(&word.value, given.iter().map(String::as_str)) {
            let giver = self.get(near).and_then(|giver| stages[giver].name.as_ref());
            return unknown.label(match giver {
                Some(name) if name.value != near => {
                    format!("did you mean `{near}` (stage \"{}\")?", name.value)
                }
                _ => format!("did you mean `{near}`?"),
            });
        }
        let help = "leave `input` out to take the task";
        match given.as_slice() {
            [] => unknown.label("no stage is above this one").help(help),
            given => {
                unknown.help(format!("known here: {}; {help}", listed(given.iter().map(String::as_str))))
            }
        }
    }

    /// Every word that could be meant, in the order of the file.
    fn given_above(&self, nth: usize, stages: &[StageEntry]) -> Vec<String> {
        let mut words = Vec::new();
        for stage in &stages[..nth] {
            words.extend(stage.output.as_ref().map(|output| output.value.clone()));
            if let Some(name) = &stage.name {
                words.push(name.value.clone());
                words.push(format!("{}{RESULTS}", name.value));
            }
        }
        words.retain(|word| self.above(word, nth).is_some());
        words
    }

    /// An output that is also how another stage's result is called takes the word for itself.
    fn warn_of_hidden(&self, stages: &[StageEntry], findings: &mut Findings) {
        for (nth, stage) in stages.iter().enumerate() {
            let Some(output) = &stage.output else { continue };
            let hidden = [&self.names, &self.results].into_iter().find_map(|words| words.get(&output.value));
            if let Some(&other) = hidden.filter(|&&other| other != nth) {
                let message = format!(
                    "`{}` is the output of {} and also names the result of {}",
                    output.value,
                    stage_title(stage),
                    stage_title(&stages[other])
                );
                findings
                    .push(Diagnostic::warning(output.span, message).label("an output goes before a name"));
            }
        }
    }
}

/// The first stage of each word; the others are reported.
fn unique(
    stages: &[StageEntry],
    word: impl Fn(&StageEntry) -> Option<&At<String>>,
    verb: &str,
    findings: &mut Findings,
) -> HashMap<String, usize> {
    let mut first: HashMap<String, (usize, Span)> = HashMap::new();
    for (nth, stage) in stages.iter().enumerate() {
        let Some(word) = word(stage) else { continue };
        if let Some((_, span)) = first.get(&word.value) {
            let message = format!("two stages {verb} `{}`", word.value);
            let label = format!("the first is at line {}", span.line);
            findings.push(Diagnostic::error(word.span, message).label(label));
        } else {
            first.insert(word.value.clone(), (nth, word.span));
        }
    }
    first.into_iter().map(|(word, (nth, _))| (word, nth)).collect()
}
