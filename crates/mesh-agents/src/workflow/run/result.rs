//! What a stage gives.

use serde::{Deserialize, Serialize};

use super::event::ItemError;

/// How much of an item's input stands in the heading of its section.
const HEADING_CHARS_MAX: usize = 80;

/// The outcomes of a stage's items, in the order of its input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageResult {
    /// One for each item of the input; none if the input was an empty list.
    pub items: Vec<ItemResult>,
}

/// One item and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    /// What the agent was given.
    pub input: String,
    /// The answer, or why there is none.
    pub outcome: ItemOutcome,
}

/// The answer of an item, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    /// What the agent answered.
    Answered(String),
    /// Why it did not.
    Failed(ItemError),
}

impl From<Result<String, ItemError>> for ItemOutcome {
    fn from(answer: Result<String, ItemError>) -> Self {
        match answer {
            Ok(answer) => Self::Answered(answer),
            Err(error) => Self::Failed(error),
        }
    }
}

impl StageResult {
    /// The result as the next stage's prompt has it: the one answer itself, a section for each of several items, or
    /// `(no items)`.
    ///
    /// Models follow numbered sections better than JSON with prose in its strings, and a heading keeps the item beside
    /// its answer:
    ///
    /// ```text
    /// ## item 1: read the first chapter
    ///
    /// …the answer…
    ///
    /// ## item 2: read the second chapter
    ///
    /// failed: no answer within 2m
    /// ```
    pub fn text(&self) -> String {
        match self.items.as_slice() {
            // Providers refuse an empty prompt.
            [] => return "(no items)".to_owned(),
            [ItemResult { outcome: ItemOutcome::Answered(answer), .. }] => return answer.clone(),
            _ => {}
        }
        let sections = self.items.iter().enumerate().map(|(index, item)| {
            let body = match &item.outcome {
                ItemOutcome::Answered(answer) => answer.trim().to_owned(),
                ItemOutcome::Failed(error) => format!("failed: {error}"),
            };
            format!("## item {}: {}\n\n{body}", index + 1, heading(&item.input))
        });
        sections.collect::<Vec<_>>().join("\n\n")
    }

    /// The answers, without the items that failed.
    pub fn answers(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match &item.outcome {
            ItemOutcome::Answered(answer) => Some(answer.as_str()),
            ItemOutcome::Failed(_) => None,
        })
    }

    /// Why the stage as a whole failed: it had items, and all of them failed.
    pub(super) fn failure(&self) -> Option<ItemError> {
        let failures: Option<Vec<&ItemError>> = self
            .items
            .iter()
            .map(|item| match &item.outcome {
                ItemOutcome::Failed(error) => Some(error),
                ItemOutcome::Answered(_) => None,
            })
            .collect();
        match failures?.as_slice() {
            [] => None,
            [only] => Some((*only).clone()),
            [first, others @ ..] => {
                let message = format!("all {} items failed, the first with: {first}", others.len() + 1);
                Some(ItemError::new(first.code.as_str(), message))
            }
        }
    }
}

/// The first line of an item's input, cut to a heading's length.
fn heading(input: &str) -> String {
    let line = input.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    match line.char_indices().nth(HEADING_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}
