use std::ops::AddAssign;

use proc_macro2::{TokenStream, TokenTree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lines by what is on them; each line is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lines {
    /// Lines with a token on them, and those inside of a literal that spans several.
    pub code: usize,
    /// Lines with a comment and no code: documentation counts as comment.
    pub comment: usize,
    /// Lines with nothing but white space, outside of literals.
    pub blank: usize,
}

impl AddAssign for Lines {
    fn add_assign(&mut self, other: Self) {
        self.code += other.code;
        self.comment += other.comment;
        self.blank += other.blank;
    }
}

impl Lines {
    /// Counts the lines of `text`, whose tokens are `stream`.
    pub(super) fn count(text: &str, stream: TokenStream) -> Self {
        let mut has_code = vec![false; text.lines().count() + 1];
        mark(stream, text, &mut has_code);
        let mut lines = Self::default();
        for (number, line) in text.lines().enumerate() {
            if has_code[number + 1] {
                lines.code += 1;
            } else if line.trim().is_empty() {
                lines.blank += 1;
            } else {
                lines.comment += 1;
            }
        }
        lines
    }
}

/// Marks the lines, counted from 1, that carry a token.
fn mark(stream: TokenStream, text: &str, has_code: &mut [bool]) {
    for tree in stream {
        // A documentation comment arrives as the tokens of `#[doc = "…"]`, all of them where the comment is.
        let bytes = tree.span().byte_range();
        if text[bytes].starts_with("//") || text[tree.span().byte_range()].starts_with("/*") {
            continue;
        }
        match tree {
            TokenTree::Group(group) => {
                has_code[group.span_open().start().line] = true;
                has_code[group.span_close().start().line] = true;
                mark(group.stream(), text, has_code);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {
                has_code[tree.span().start().line..=tree.span().end().line].fill(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> (usize, usize, usize) {
        let lines = Lines::count(text, text.parse().unwrap());
        (lines.code, lines.comment, lines.blank)
    }

    #[test]
    fn each_line_is_code_comment_or_blank() {
        for (text, expected) in [
            ("", (0, 0, 0)),
            ("\n   \n", (0, 0, 2)),
            ("// a\nfn b() {} // c\n", (1, 1, 0)),
            ("//! a\n\n/// b\nfn c() {\n\n}\n", (2, 2, 2)),
            ("/* a\n\n b */\nfn c() {}", (1, 2, 1)),
            ("/** a\n b */ fn c() {}", (1, 1, 0)),
            ("const A: &str = \"b\n\n// c\n\";\n", (4, 0, 0)),
            ("const A: &str = r#\"/* \"#; // b", (1, 0, 0)),
            ("#[doc = \"a\"]\nfn b(\n    // c\n) {}\n", (3, 1, 0)),
        ] {
            assert_eq!(count(text), expected, "{text:?}");
        }
    }
}
