//! Answers that are taken from a text, word for word.
//!
//! A small model invents; made to choose from what stands there, it finds. So a stage that quotes shows its agent a
//! question and what can be chosen from, and nothing else.

mod document;

pub(super) use document::Document;

use std::collections::HashSet;
use std::sync::Arc;

use super::file::Quote;
use super::run::ItemError;

/// The most that can be chosen from. Servers turn each choice into a rule, and small models lose sight of more.
const CHOICES_MAX: usize = 100;

/// What an agent may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choices {
    /// Anything.
    Free,
    /// One of these, word for word; several, if the answer is split into items. At least one, at most 100.
    OneOf(Vec<String>),
    /// The stage quotes, and there is nothing to quote: the item has failed before it began.
    Nothing(ItemError),
}

/// What the agent is shown for an item of a stage that quotes, and what it may answer.
///
/// `quotes` are what the input is made of, if it is made of quotes; they are not taken apart again.
pub(super) fn view(
    quote: Quote,
    task: &Document,
    input: &str,
    quotes: Option<Vec<String>>,
) -> (Arc<str>, Choices) {
    let nothing = |reason: String| Choices::Nothing(ItemError::new("NOTHING_TO_QUOTE", reason));
    let (mut choices, missing) = match quote {
        Quote::Headings => {
            (task.headings(), "the task has no Markdown heading with text below it".to_owned())
        }
        Quote::Section => {
            (task.section(input), format!("no section of the task is called \"{}\"", input.trim()))
        }
        Quote::Input => {
            let choices = quotes.unwrap_or_else(|| Document::of(input).sentences());
            (choices, "the input has no sentence".to_owned())
        }
    };
    choices.truncate(CHOICES_MAX);
    if choices.is_empty() {
        return (Arc::from(input), nothing(missing));
    }
    (Arc::from(shown(quote, &task.opening(), &choices)), Choices::OneOf(choices))
}

/// A question and what can be chosen from.
///
/// Where the question stands matters to very small models only. SmolLM2-135M chose the best of three sentences in 21 of 36
/// trials with the question below them and in 6 of 15 with it above; of headings, it took the first ones with the
/// question below.
fn shown(quote: Quote, question: &str, choices: &[String]) -> String {
    let list: Vec<String> = choices.iter().map(|choice| format!("- {choice}")).collect();
    let list = list.join("\n");
    match quote {
        _ if question.is_empty() => list,
        Quote::Headings => format!("{question}\n\n{list}"),
        Quote::Section | Quote::Input => format!("{list}\n\nQuestion: {question}"),
    }
}

/// Texts without repetitions, in their order.
pub(super) fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str =
        "Who pays?\n\n# Deal\n\n## Price\n\nAnn pays. Bob does not.\n\n## Time\n\nIt takes a day.\n";

    fn seen(quote: Quote, input: &str) -> String {
        view(quote, &Document::of(TASK), input, None).0.to_string()
    }

    #[test]
    fn the_question_stands_beside_what_can_be_chosen() {
        assert_eq!(seen(Quote::Headings, TASK), "Who pays?\n\n- Price\n- Time");
        assert_eq!(seen(Quote::Section, " price\n"), "- Ann pays.\n- Bob does not.\n\nQuestion: Who pays?");
        assert_eq!(seen(Quote::Input, "## item 1: x\n\nAnn pays."), "- Ann pays.\n\nQuestion: Who pays?");
    }

    #[test]
    fn what_was_quoted_is_quoted_whole() {
        let quotes = vec!["Ann pays. Always.".to_owned(), "Bob does not.".to_owned()];
        let (shown, choices) = view(Quote::Input, &Document::of("?"), "## item 1: x", Some(quotes.clone()));
        assert_eq!(&*shown, "- Ann pays. Always.\n- Bob does not.\n\nQuestion: ?");
        assert_eq!(choices, Choices::OneOf(quotes));
    }

    #[test]
    fn where_nothing_can_be_quoted_the_item_fails_and_says_why() {
        let reason = |quote, task: &str, input| match view(quote, &Document::of(task), input, None).1 {
            Choices::Nothing(error) => error.message,
            other => panic!("{other:?}"),
        };
        let expected = "the task has no Markdown heading with text below it";
        assert_eq!(reason(Quote::Headings, "Who pays?", ""), expected);
        assert_eq!(reason(Quote::Section, TASK, "Place"), "no section of the task is called \"Place\"");
        assert_eq!(reason(Quote::Input, TASK, "\n"), "the input has no sentence");
    }

    #[test]
    fn the_choices_have_a_bound() {
        let long: String = (0..1_000).map(|number| format!("This is sentence {number}. ")).collect();
        let (_, choices) = view(Quote::Input, &Document::of("?"), &long, None);
        assert!(matches!(choices, Choices::OneOf(choices) if choices.len() == CHOICES_MAX));
    }
}
