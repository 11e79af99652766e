//! As much of Markdown as it takes to quote from it: headings, and the sentences below them.

use super::unique;

/// A text as what stands above its first heading, and its sections.
#[derive(Debug, Default)]
pub(in super::super) struct Document {
    opening: Vec<String>,
    above: Vec<String>,
    sections: Vec<Section>,
}

/// A heading and the sentences up to the next heading, of whatever level.
#[derive(Debug)]
struct Section {
    heading: String,
    sentences: Vec<String>,
}

/// Sentences are put together from lines: those of a paragraph, of an item of a list, of a row of a table.
#[derive(Default)]
struct Block {
    text: String,
    is_row: bool,
}

impl Document {
    pub(in super::super) fn of(text: &str) -> Self {
        let mut document = Self::default();
        let mut block = Block::default();
        let mut is_fenced = false;
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with("```") || line.starts_with("~~~") {
                is_fenced = !is_fenced;
                document.end(&mut block);
            } else if is_fenced {
                // Code is no sentence.
            } else if let Some(heading) = heading(line) {
                document.end(&mut block);
                document.sections.push(Section { heading: heading.to_owned(), sentences: Vec::new() });
            } else if is_rule(line) {
                // What stands above it are the names of columns, not a row.
                block = Block::default();
            } else if line.is_empty() {
                document.end(&mut block);
            } else if let Some(row) = line.strip_prefix('|') {
                document.end(&mut block);
                block = Block { text: row.strip_suffix('|').unwrap_or(row).trim().to_owned(), is_row: true };
            } else {
                if let Some(item) = item(line) {
                    document.end(&mut block);
                    block.text.push_str(item);
                } else {
                    block.text.push_str(if block.text.is_empty() { "" } else { " " });
                    block.text.push_str(line);
                }
            }
            if document.sections.is_empty() && !is_fenced {
                document.opening.push(line.to_owned());
            }
        }
        document.end(&mut block);
        document
    }

    /// What stands above the first heading: the question.
    pub(super) fn opening(&self) -> String {
        self.opening.join("\n").trim().to_owned()
    }

    /// The headings with sentences below them, each once.
    pub(super) fn headings(&self) -> Vec<String> {
        let told = self.sections.iter().filter(|section| !section.sentences.is_empty());
        unique(told.map(|section| section.heading.clone()))
    }

    /// The sentences of the section with this heading, which may be written as in the text or as an item of a list.
    pub(super) fn section(&self, wanted: &str) -> Vec<String> {
        let wanted = wanted.trim();
        let wanted = heading(wanted).or_else(|| item(wanted)).unwrap_or(wanted).to_lowercase();
        let found = self.sections.iter().filter(|section| section.heading.to_lowercase() == wanted);
        unique(found.flat_map(|section| section.sentences.iter().cloned()))
    }

    /// All sentences; if there are headings, those below them.
    pub(super) fn sentences(&self) -> Vec<String> {
        if self.sections.is_empty() {
            return unique(self.above.iter().cloned());
        }
        unique(self.sections.iter().flat_map(|section| section.sentences.iter().cloned()))
    }

    fn end(&mut self, block: &mut Block) {
        let Block { text, is_row } = std::mem::take(block);
        let sentences = match self.sections.last_mut() {
            Some(section) => &mut section.sentences,
            None => &mut self.above,
        };
        let has_words = |text: &str| text.chars().any(char::is_alphanumeric);
        if is_row && has_words(&text) {
            sentences.push(text);
        } else {
            sentences.extend(split(&text).filter(|sentence| has_words(sentence)).map(str::to_owned));
        }
    }
}

/// The text of a heading in the manner of `## Heading`.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ')?.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && !text.is_empty()).then_some(text)
}

/// The text of a list's item.
fn item(line: &str) -> Option<&str> {
    let bullet = ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark));
    let numbered = || {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < line.len()).then(|| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") ")))?
    };
    bullet.or_else(numbered).map(str::trim)
}

/// The line between a table's head and its rows, or a line across the page.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.contains("--") && line.chars().all(|c| matches!(c, '-' | '|' | ':' | ' '))
}

/// The sentences of a paragraph. A full stop ends one if what follows begins like another: `e.g. this` does not.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.match_indices(['.', '!', '?']).find_map(|(at, stop)| {
            let after = &rest[at + stop.len()..];
            let closed = after.trim_start_matches(['*', '_', ')', '"', '”', '`', '\'']);
            let next = closed.strip_prefix(' ')?.trim_start();
            let begins = next
                .chars()
                .next()
                .is_some_and(|c| c.is_uppercase() || matches!(c, '*' | '`' | '[' | '"' | '“'));
            begins.then(|| rest.len() - closed.len())
        });
        let (sentence, more) = rest.split_at(end.unwrap_or(rest.len()));
        rest = more.trim_start();
        Some(sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r"
What is promised?
And by whom?

# Title

## Rules

A first sentence (e.g. this one). **A second one that
spans two lines.** Is `v1.2` a stop? It is not.

1. Number one.
2. Number two
   goes on.

```text
# no heading. No sentence.
```

## Table ##

| what | holds |
|---|---|
| order | by sender. Always |
| | |
";

    #[test]
    fn the_opening_is_what_stands_above_the_first_heading() {
        assert_eq!(Document::of(TEXT).opening(), "What is promised?\nAnd by whom?");
        assert_eq!(Document::of("just a task").opening(), "just a task");
    }

    #[test]
    fn a_heading_counts_if_there_is_something_to_quote_below_it() {
        assert_eq!(Document::of(TEXT).headings(), ["Rules", "Table"]);
    }

    #[test]
    fn sentences_are_found_in_paragraphs_lists_and_tables_but_not_in_code() {
        let rules = Document::of(TEXT).section("rules");
        let expected = [
            "A first sentence (e.g. this one).",
            "**A second one that spans two lines.**",
            "Is `v1.2` a stop?",
            "It is not.",
            "Number one.",
            "Number two goes on.",
        ];
        assert_eq!(rules, expected);
        assert_eq!(Document::of(TEXT).section("- Table"), ["order | by sender. Always"]);
        assert!(Document::of(TEXT).section("Title").is_empty());
    }

    #[test]
    fn a_text_without_headings_is_quoted_as_a_whole() {
        assert_eq!(Document::of("One is here. Two is there.").sentences(), ["One is here.", "Two is there."]);
    }

    #[test]
    fn any_text_can_be_read() {
        for text in ["", "#", "# ", "|", "|--", "```", "…", "1.", "- ", ". . .", "\u{0}"] {
            let document = Document::of(text);
            assert!(document.headings().is_empty() && document.section(text).is_empty(), "{text:?}");
        }
    }
}
