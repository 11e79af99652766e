//! OpenAI's own tables.

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use super::{ErrorBound, Framing, TokenCounter};

/// A run of this many bytes without a change between space and text is counted in pieces: the pattern that splits texts
/// gives up on longer ones, and no text that somebody reads has any.
const RUN_BYTES_MAX: usize = 8 << 10;

/// Counts as OpenAI's models do, by the table that they use.
///
/// Texts are counted exactly, unless they have more than 8 KiB without a space, or of nothing but spaces: each such run
/// may be counted one token too high for each 8 KiB. A table takes some tens of milliseconds and up to 30 MB when it is
/// used first.
#[derive(Clone, Copy)]
pub struct Bpe {
    table: &'static CoreBPE,
    name: &'static str,
}

impl Bpe {
    /// The table of GPT-4o and everything since.
    #[must_use]
    pub fn o200k() -> Self {
        Self { table: o200k_base_singleton(), name: "o200k_base" }
    }

    /// The table of GPT-4 and GPT-3.5.
    #[must_use]
    pub fn cl100k() -> Self {
        Self { table: cl100k_base_singleton(), name: "cl100k_base" }
    }
}

impl TokenCounter for Bpe {
    fn count(&self, text: &str) -> u64 {
        runs(text).map(|piece| self.table.count_ordinary(piece) as u64).sum()
    }

    /// Exact for messages. What a tool becomes is not published: its JSON, which is counted, is longer than what was
    /// seen.
    fn bound(&self) -> ErrorBound {
        ErrorBound::EXACT
    }

    fn framing(&self) -> Framing {
        Framing::OPENAI
    }
}

impl std::fmt::Debug for Bpe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bpe").field(&self.name).finish()
    }
}

/// The text in as few pieces as have no run that is too long: one, for all that people write.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(first_long_run(rest).unwrap_or(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// Where a run that has become too long is cut.
fn first_long_run(text: &str) -> Option<usize> {
    let (mut begin, mut was_space) = (0, None);
    for (at, letter) in text.char_indices() {
        let is_space = letter.is_whitespace();
        if was_space.replace(is_space) != Some(is_space) {
            begin = at;
        } else if at - begin >= RUN_BYTES_MAX {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_have_their_known_counts() {
        // The second is the example of OpenAI's cookbook, "How to count tokens with tiktoken".
        for (counter, text, tokens) in [
            (Bpe::cl100k(), "", 0),
            (Bpe::cl100k(), "tiktoken is great!", 6),
            (Bpe::o200k(), "tiktoken is great!", 6),
            (Bpe::cl100k(), "antidisestablishmentarianism", 6),
            (Bpe::cl100k(), "お誕生日おめでとう", 9),
            (Bpe::o200k(), "お誕生日おめでとう", 8),
        ] {
            assert_eq!(counter.count(text), tokens, "{counter:?} {text:?}");
        }
    }

    #[test]
    fn a_text_without_an_end_of_a_word_neither_panics_nor_takes_for_ever() {
        for text in ["a", " ", "\n", "^", "é", "字", "1", "a ", "🦀"] {
            let text = text.repeat(1 << 18);
            let counted = Bpe::o200k().count(&text);
            assert!(counted > 0 && counted <= text.len() as u64, "{counted}");
        }
    }

    #[test]
    fn what_looks_like_a_special_token_is_a_text_like_any_other() {
        assert!(Bpe::o200k().count("<|endoftext|>") > 1);
    }
}
