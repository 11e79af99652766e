//! Which actions a pattern means: generously where it makes people look, narrowly where it lets something pass.

use std::fmt;
use std::str::FromStr;

/// A pattern over the names of actions, in which `*` stands for anything; letters count without their case.
///
/// What it means depends on what it is for. One that makes people look (`confirm`, `review`) is found where any word of
/// the action begins: `delete*` also means `bulk_delete` and `autoDelete`. One that lets something pass (`none`,
/// `notify`) has to be the whole action, and its `*` whole words: `read*` means `read_file`, and neither `readjust` nor
/// `thread_kill`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Some text that is no pattern; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no pattern of actions: {reason}")]
pub struct InvalidPattern {
    /// What was given, at most 120 characters of it.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |reason| Err(InvalidPattern { text: text.chars().take(120).collect(), reason });
        if text.is_empty() || text.len() > 100 {
            return invalid("it has 1 to 100 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:/@*".contains(&byte)) {
            return invalid("it is made of a-z A-Z 0-9 . _ - : / @ and *");
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether the text is meant, by a pattern that lets it pass.
    pub(super) fn covers(&self, text: &Text) -> bool {
        text.matches(&self.0, 0, |at| text.is_edge(at))
    }

    /// Whether a word of the text begins what is meant, by a pattern that makes people look.
    pub(super) fn concerns(&self, text: &Text) -> bool {
        (0..text.len()).any(|from| text.is_start(from) && text.matches(&self.0, from, |_| true))
    }

    /// Whether what is meant begins anywhere in the text.
    pub(super) fn occurs(&self, text: &Text) -> bool {
        (0..text.len()).any(|from| text.matches(&self.0, from, |_| true))
    }
}

/// An action's name with its words: they begin at the start, behind what is no letter or digit, and at a capital that
/// follows a small letter.
pub(super) struct Text {
    bytes: Vec<u8>,
    starts: Vec<bool>,
}

impl Text {
    pub(super) fn new(action: &str) -> Self {
        let bytes = action.as_bytes();
        let starts = (0..bytes.len())
            .map(|at| {
                let before = at.checked_sub(1).map(|before| bytes[before]);
                before.is_none_or(|before| {
                    !before.is_ascii_alphanumeric()
                        || bytes[at].is_ascii_uppercase() && before.is_ascii_lowercase()
                })
            })
            .collect();
        Self { bytes: bytes.to_ascii_lowercase(), starts }
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn is_start(&self, at: usize) -> bool {
        self.starts[at]
    }

    /// Whether a word begins or ends here.
    fn is_edge(&self, at: usize) -> bool {
        at == 0 || at >= self.len() || self.starts[at] || !self.bytes[at].is_ascii_alphanumeric()
    }

    /// Whether the pattern is the text from `from` to its end, where a `*` that is anything at all stands between two
    /// places that are `allowed`.
    fn matches(&self, pattern: &str, from: usize, allowed: impl Fn(usize) -> bool) -> bool {
        // Which places of the text can be reached with the pattern up to here.
        let mut reached = vec![false; self.len() + 1];
        reached[from] = true;
        for wanted in pattern.bytes() {
            let mut next = vec![false; self.len() + 1];
            if wanted == b'*' {
                let mut is_inside = false;
                for at in from..=self.len() {
                    next[at] = reached[at] || is_inside && allowed(at);
                    is_inside |= reached[at] && allowed(at);
                }
            } else {
                for at in from..self.len() {
                    next[at + 1] = reached[at] && self.bytes[at] == wanted;
                }
            }
            reached = next;
        }
        reached[self.len()]
    }

    /// The parts of what is done in one go, which `and`, `or` or `then` join.
    pub(super) fn parts(&self) -> Vec<Self> {
        let ends = |at: usize| at >= self.len() || self.starts[at] || !self.bytes[at].is_ascii_alphanumeric();
        let word = |at: usize| {
            let end = (at + 1..=self.len()).find(|&end| ends(end)).unwrap_or(self.len());
            &self.bytes[at..end]
        };
        let (mut parts, mut begin) = (Vec::new(), 0);
        for at in (0..self.len()).filter(|&at| self.starts[at] && self.bytes[at].is_ascii_alphanumeric()) {
            if [&b"and"[..], b"or", b"then"].contains(&word(at)) {
                parts.push(self.part(begin, at));
                begin = at + word(at).len();
            }
        }
        parts.push(self.part(begin, self.len()));
        parts.retain(|part| part.len() > 0);
        parts
    }

    fn part(&self, begin: usize, end: usize) -> Self {
        let is_word = |at: &usize| self.bytes[*at].is_ascii_alphanumeric();
        let begin = (begin..end).find(is_word).unwrap_or(end);
        let end = (begin..end).rev().find(is_word).map_or(begin, |last| last + 1);
        let mut starts = self.starts[begin..end].to_vec();
        if let Some(first) = starts.first_mut() {
            *first = true;
        }
        Self { bytes: self.bytes[begin..end].to_vec(), starts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, action: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().covers(&Text::new(action))
    }

    fn concerns(pattern: &str, action: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().concerns(&Text::new(action))
    }

    #[test]
    fn what_lets_pass_means_whole_words_of_the_whole_action() {
        for action in ["read", "read_file", "readFile", "READ-ME", "read.file.all"] {
            assert!(covers("read*", action), "{action}");
        }
        for action in ["readjust_prices", "ready", "thread_kill", "spread", "bread", "re_ad"] {
            assert!(!covers("read*", action), "{action}");
        }
        assert!(covers("fs_*_list", "fs_home_list") && !covers("fs_*_list", "fs_home_lister"));
        assert!(covers("*", "anything") && covers("ping", "PING") && !covers("ping", "pinger"));
    }

    #[test]
    fn what_makes_people_look_is_found_where_any_word_begins() {
        for action in ["delete", "delete_files", "bulk_delete", "bulkDelete", "list_deleted", "fs/delete"] {
            assert!(concerns("delete*", action), "{action}");
        }
        assert!(!concerns("delete*", "undelete"));
        assert!("delete*".parse::<Pattern>().unwrap().occurs(&Text::new("undelete")));
    }

    #[test]
    fn what_is_done_in_one_go_has_parts() {
        let parts = |action: &str| -> Vec<String> {
            let parts = Text::new(action).parts();
            parts.into_iter().map(|part| String::from_utf8(part.bytes).unwrap()).collect()
        };
        assert_eq!(parts("read_and_delete_all"), ["read", "delete_all"]);
        assert_eq!(parts("readAndDeleteThenList"), ["read", "delete", "list"]);
        assert_eq!(parts("band_order"), ["band_order"]);
        assert_eq!(parts("and"), Vec::<String>::new());
        assert_eq!(parts("__read__"), ["read"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "a b", "ä*", "a?", &"a".repeat(101)] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }
}
