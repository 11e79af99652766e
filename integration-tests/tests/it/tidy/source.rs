//! The files of the tree, and Rust text as tokens: comments and strings can neither break a rule nor hide a break.

use std::fs;
use std::path::Path;

use integration_tests::workspace;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file, by its path from the root with `/` between the parts.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// What of a Rust file a rule looks at.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// What ships.
    Code,
    /// What is compiled for tests only.
    Tests,
}

pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// All files of the tree that are text and not ignored.
pub(super) fn files() -> Vec<Source> {
    let mut found = Vec::new();
    collect(workspace(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

pub(super) fn rust_files() -> Vec<Source> {
    let mut files = files();
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(files.len() > 20, "the tree was not found");
    files
}

/// What .gitignore names, and what is not ours to keep tidy.
const IGNORED: &[&str] = &["target", ".git", ".mesh", ".cache", "node_modules", "__pycache__"];

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the tree can be read") {
        let entry = entry.expect("the tree can be read");
        let (path, kind) = (entry.path(), entry.file_type().expect("the tree can be read"));
        let is_ignored = IGNORED.iter().any(|name| path.ends_with(name));
        if kind.is_dir() && !is_ignored {
            collect(&path, found);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(workspace()).expect("the walk began there");
            let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            found.push(Source { path: parts.join("/"), text });
        }
    }
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether the whole file is compiled for tests only.
    pub(super) fn is_test(&self) -> bool {
        self.path.starts_with("integration-tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.split('/').any(|part| part == "tests" || part == "benches")
    }

    /// Whether it belongs to one of the libraries.
    pub(super) fn is_library(&self) -> bool {
        self.path.starts_with("crates/")
            && !["crates/mesh-node/", "crates/mesh-bench/"].iter().any(|binary| self.path.starts_with(binary))
            && !self.path.contains("/examples/")
    }

    /// The tokens of one part of the file, without comments.
    pub(super) fn tokens(&self, part: Part) -> Vec<Token> {
        let stream: TokenStream =
            self.text.parse().unwrap_or_else(|error| panic!("{} is not Rust: {error}", self.path));
        let mut tokens = Vec::new();
        flatten(stream, self.is_test(), part, &mut tokens);
        tokens
    }

    /// A message about one of its lines.
    pub(super) fn problem(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn flatten(stream: TokenStream, in_tests: bool, part: Part, out: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let (mut at, mut test_until) = (0, 0);
    while at < trees.len() {
        if at >= test_until && trees.get(at + 1).is_some_and(is_cfg_test) && is_punct(&trees[at], '#') {
            test_until = end_of_item(&trees, at);
        }
        push(&trees[at], in_tests || at < test_until, part, out);
        at += 1;
    }
}

fn push(tree: &TokenTree, in_tests: bool, part: Part, out: &mut Vec<Token>) {
    let wanted = in_tests == (part == Part::Tests);
    let mut token = |text: String, line: usize| {
        if wanted {
            out.push(Token { text, line });
        }
    };
    let TokenTree::Group(group) = tree else {
        return token(tree.to_string(), tree.span().start().line);
    };
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    };
    token(open.to_owned(), group.span_open().start().line);
    flatten(group.stream(), in_tests, part, out);
    if wanted {
        out.push(Token { text: close.to_owned(), line: group.span_close().start().line });
    }
}

/// `[cfg(test)]`, also as one condition of several, but not `[cfg(not(test))]`.
fn is_cfg_test(tree: &TokenTree) -> bool {
    let text = tree.to_string().replace(' ', "");
    text.starts_with("[cfg(")
        && !text.contains("not(test)")
        && ["(test)", "(test,", ",test)", ",test,"].iter().any(|word| text.contains(word))
}

fn is_punct(tree: &TokenTree, wanted: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// The index after the item that starts with the attribute at `start`: behind its block, or its semicolon.
fn end_of_item(trees: &[TokenTree], start: usize) -> usize {
    let ends = |tree: &TokenTree| {
        is_punct(tree, ';')
            || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    trees[start..].iter().position(ends).map_or(trees.len(), |length| start + length + 1)
}

/// The lines on which `pattern`, words with spaces between them, begins.
pub(super) fn lines_with(tokens: &[Token], pattern: &str) -> Vec<usize> {
    let wanted: Vec<String> = pattern.replace("::", ": :").split(' ').map(str::to_owned).collect();
    let starts = tokens.windows(wanted.len());
    starts.filter(|seen| seen.iter().map(|token| &token.text).eq(&wanted)).map(|seen| seen[0].line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "fn a() { x.unwrap() } // .unwrap()\n\
        #[cfg(test)]\n#[expect(y)]\nmod tests { fn b() { y.unwrap() } }\n\
        const C: &str = \".unwrap()\"; fn c() { z.unwrap() }";

    #[test]
    fn code_and_tests_are_told_apart_and_comments_and_strings_are_neither() {
        let source = Source::new("crates/mesh/src/x.rs", SAMPLE);
        assert_eq!(lines_with(&source.tokens(Part::Code), ". unwrap ( )"), [1, 5]);
        assert_eq!(lines_with(&source.tokens(Part::Tests), ". unwrap ( )"), [4]);
    }

    #[test]
    fn a_test_file_is_all_tests() {
        let source = Source::new("crates/mesh/src/x/tests.rs", SAMPLE);
        assert!(lines_with(&source.tokens(Part::Code), ". unwrap ( )").is_empty());
        assert_eq!(lines_with(&source.tokens(Part::Tests), ". unwrap ( )"), [1, 4, 5]);
    }
}
