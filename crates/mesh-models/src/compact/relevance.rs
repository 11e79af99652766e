//! How much one text has to do with another.

use std::collections::HashSet;
use std::fmt;

/// Says how much a part of a conversation has to do with the newest question.
pub trait Relevance: fmt::Debug + Send + Sync + 'static {
    /// A number that is the larger, the more `text` has to do with `question`. Only comparisons count.
    fn score(&self, text: &str, question: &str) -> f64;
}

/// By the words that both have, without asking anybody: the cosine of the two sets of words of three letters or more.
///
/// It knows no synonyms; where there are embeddings, use those.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharedWords;

impl Relevance for SharedWords {
    fn score(&self, text: &str, question: &str) -> f64 {
        let (text, question) = (words(text), words(question));
        if text.is_empty() || question.is_empty() {
            return 0.0;
        }
        let shared = text.intersection(&question).count();
        #[expect(clippy::cast_precision_loss, reason = "no text has 2^53 words")]
        let cosine = shared as f64 / ((text.len() * question.len()) as f64).sqrt();
        cosine
    }
}

fn words(text: &str) -> HashSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| word.chars().nth(2).is_some()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_more_words_is_more_relevant() {
        let question = "When does the ferry to Lund leave?";
        let score = |text| SharedWords.score(text, question);
        assert!(score("The ferry to Lund leaves at four.") > score("The weather will be fine."));
        assert!(score("FERRY, Lund!") > 0.0);
        assert_eq!(score("to"), 0.0);
    }
}
