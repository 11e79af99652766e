//! Shortening a text at a character.

use crate::{Message, TokenCounter};

/// Stands where the rest of a text was.
const MARK: &str = " […]";
/// Less than this of a text says nothing.
const TOKENS_MIN: u64 = 16;

/// Takes about `overrun` tokens from the end of the message's text, and says how many it had and has. `None` if it is as
/// short as can be.
pub(super) fn shorten(message: &mut Message, overrun: u64, counter: &dyn TokenCounter) -> Option<(u64, u64)> {
    let from = counter.count(&message.text);
    if from <= TOKENS_MIN {
        return None;
    }
    let wanted = from.saturating_sub(overrun.max(1)).max(TOKENS_MIN);
    let text = cut(&message.text, wanted, counter);
    let to = counter.count(&text);
    // A text of few letters and many tokens may not get shorter by its mark.
    if to >= from {
        return None;
    }
    message.text = text;
    Some((from, to))
}

/// The longest beginning of `text` that is at most `tokens` together with the mark.
fn cut(text: &str, tokens: u64, counter: &dyn TokenCounter) -> String {
    let text = text.strip_suffix(MARK).unwrap_or(text);
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let cut_at = |end: usize| format!("{}{MARK}", &text[..end]);
    // More text is hardly ever fewer tokens; where it is, a few characters more are lost.
    let fitting = ends.partition_point(|&end| counter.count(&cut_at(end)) <= tokens);
    (0..fitting)
        .rev()
        .map(|at| cut_at(ends[at]))
        .find(|text| counter.count(text) <= tokens)
        .unwrap_or_else(|| MARK.trim_start().to_owned())
}
