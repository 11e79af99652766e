//! The map from the document's patterns to their places: what it names is where it says.

use std::fs;

use integration_tests::workspace;

use super::assert_none;

const PAGE: &str = "docs/seed-map.md";

/// The links of a page that have code as their text: the name, and the goal as seen from the root.
fn links(page: &str) -> Vec<(&str, &str)> {
    let ends = page.match_indices("`](../");
    let link = |(at, mark): (usize, &str)| {
        let name = page[..at].rsplit('`').next()?;
        let goal = page[at + mark.len()..].split(')').next()?;
        Some((name, goal))
    };
    ends.filter_map(link).collect()
}

/// Names that their file does not have.
fn problems(page: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let is_missing = |(name, goal): &(&str, &str)| {
        let text = read(goal);
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        !words.any(|word| word == *name)
    };
    let missing = links(page).into_iter().filter(is_missing);
    missing.map(|(name, goal)| format!("{PAGE}: no `{name}` in {goal}")).collect()
}

#[test]
fn every_pattern_and_every_fix_is_where_the_map_says() {
    let page = fs::read_to_string(workspace().join(PAGE)).unwrap();
    assert!(links(&page).len() > 100, "the map has its rows");
    let lacking = page.lines().filter(|line| line.starts_with("| **fix**") && !line.contains("_"));
    assert_none(&lacking.map(|line| format!("{PAGE}: no test holds {line}")).collect::<Vec<_>>());
    assert_none(&problems(&page, |goal| fs::read_to_string(workspace().join(goal)).unwrap_or_default()));
}

#[test]
fn a_name_that_is_not_there_is_noticed() {
    let page = "| x | [`Gate`](../a.rs), [`Door`](../a.rs) | [`it_holds`](../b.rs) |";
    let read =
        |goal: &str| if goal == "a.rs" { "pub struct Gate;" } else { "fn it_holds_not() {}" }.to_owned();
    let expected = ["docs/seed-map.md: no `Door` in a.rs", "docs/seed-map.md: no `it_holds` in b.rs"];
    assert_eq!(problems(page, read), expected);
}
