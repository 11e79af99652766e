//! What people read: links lead somewhere, and the text is about the product.

use std::fs;

use integration_tests::workspace;

use super::assert_none;
use super::source::{Source, files};

/// Words about how the product came to be, in pieces so that this file has none of them.
const PHRASES: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("/wo", "rk/"),
    concat!("/tmp/", "brief"),
    concat!("house", " style"),
    concat!("house", "-style"),
    concat!("design", ".md"),
    concat!("spec", ".md"),
    concat!("proto", "types/"),
    concat!("another ", "helper"),
    concat!("other ", "helper"),
    concat!("the ", "brief"),
    concat!("as ", "instructed"),
    concat!("co-auth", "ored-by"),
    concat!("generated", " by claude"),
    concat!("generated", " with claude"),
];

fn word_problems(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let lower = line.to_lowercase();
        // A phrase in capitals is a marker, and the same letters in lower case are a macro or a lint.
        let found =
            PHRASES.iter().filter(|phrase| contains_words(line, phrase) || contains_words(&lower, phrase));
        problems.extend(found.map(|phrase| source.problem(number + 1, &format!("{phrase:?}"))));
        if names_an_issue(&lower) {
            problems.push(source.problem(number + 1, "an issue's number says nothing to a reader"));
        }
    }
    problems
}

/// Whether `phrase` occurs, and not as a part of longer words.
fn contains_words(line: &str, phrase: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_in_word = is_word(phrase.chars().next_back());
    let starts_in_word = is_word(phrase.chars().next());
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + phrase.len()..].chars().next();
        let goes_on = starts_in_word && is_word(before) || ends_in_word && is_word(after);
        !goes_on
    })
}

/// With or without a `#` before the number. Another project's are named in full: `owner/name#12`.
fn names_an_issue(line: &str) -> bool {
    line.match_indices(concat!("iss", "ue ")).any(|(at, word)| {
        line[at + word.len()..].trim_start_matches('#').starts_with(|c: char| c.is_ascii_digit())
    })
}

/// The relative links of a Markdown file whose goals are missing.
fn link_problems(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let goals =
        source.text.match_indices("](").filter_map(|(at, _)| source.text[at + 2..].split([')', ' ']).next());
    let relative = goals.filter(|goal| {
        !goal.contains("://") && !goal.starts_with(['#', '<']) && !goal.starts_with("mailto:")
    });
    relative
        .map(|goal| format!("{folder}/{}", goal.split('#').next().unwrap_or_default()))
        .filter(|goal| !exists(goal.trim_start_matches('/')))
        .map(|goal| format!("{}: no {goal}", source.path))
        .collect()
}

#[test]
fn the_text_is_about_the_product() {
    let texts = files().into_iter().filter(|file| file.path != "Cargo.lock");
    assert_none(&texts.flat_map(|file| word_problems(&file)).collect::<Vec<_>>());
}

#[test]
fn no_link_is_dead() {
    let exists = |goal: &str| workspace().join(goal).exists();
    let pages: Vec<_> = files().into_iter().filter(|file| file.path.ends_with(".md")).collect();
    assert!(pages.iter().any(|page| page.path == "README.md"), "the root has a README");
    assert_none(&pages.iter().flat_map(|page| link_problems(page, exists)).collect::<Vec<_>>());
}

#[test]
fn every_crate_takes_the_workspace_s_lints_and_says_what_it_is() {
    // The fuzzer's binaries are outside of the workspace, and a line long each.
    let is_ours = |path: &str| path.ends_with("/Cargo.toml") && path != "fuzz/Cargo.toml";
    for manifest in files().into_iter().filter(|file| is_ours(&file.path)) {
        let table: toml::Table = manifest.text.parse().unwrap();
        assert_eq!(
            table.get("lints").and_then(|lints| lints.get("workspace")),
            Some(&true.into()),
            "{}",
            manifest.path
        );
        assert!(table["package"].get("description").is_some(), "{}", manifest.path);
    }
    assert!(fs::read_to_string(workspace().join("Cargo.toml")).unwrap().contains("unsafe_code = \"forbid\""));
}

#[test]
fn a_text_about_its_making_is_noticed() {
    for text in [
        concat!("// TO", "DO: later"),
        concat!("see /wo", "rk/main"),
        concat!("as the house", " style asks"),
        concat!("fixes issue", " #12"),
        concat!("as issue", " 7 says"),
    ] {
        assert_eq!(word_problems(&Source::new("a.rs", text)).len(), 1, "{text}");
    }
    for text in
        ["a TLS session", "the agent of session 42", "issues a certificate", "in spec.mdx", "ractor#84"]
    {
        assert_none(&word_problems(&Source::new("a.rs", text)));
    }
}

#[test]
fn a_dead_link_is_noticed() {
    let page = Source::new("docs/a.md", "[b](b.md) [c](../c.md#part) [d](https://example.org/d) [e](#here)");
    assert_eq!(link_problems(&page, |goal| goal == "docs/b.md"), ["docs/a.md: no docs/../c.md"]);
}
