//! Types that cross the wire are read by a codec that does not describe itself: what needs to look ahead, or leaves
//! fields out, is read as something else by the other side.

use super::assert_none;
use super::source::{Part, Source, Token, lines_with, rust_files};

const FORBIDDEN: &[&str] = &["untagged", "flatten", "skip_serializing_if", "( tag =", ", tag =", "Value"];

/// A `struct` or an `enum` with its attributes.
struct Item<'a> {
    name: &'a str,
    tokens: &'a [Token],
}

fn problems(source: &Source) -> Vec<String> {
    let tokens = source.tokens(Part::Code);
    let items = items(&tokens);
    let everything = source.path.starts_with("crates/mesh-proto/src/");
    let mut wire: Vec<&Item<'_>> = items
        .iter()
        .filter(|item| if everything { item.is_serialized() } else { is_message(&tokens, item.name) })
        .collect();
    // Their fields' types cross with them. (Those of other files are not followed.)
    let mut at = 0;
    while at < wire.len() {
        let inside = |item: &&Item<'_>| wire[at].tokens.iter().any(|token| token.text == item.name);
        let more: Vec<_> = items.iter().filter(inside).collect();
        for item in more {
            if wire.iter().all(|known| known.name != item.name) {
                wire.push(item);
            }
        }
        at += 1;
    }
    let breaches = wire.iter().flat_map(|item| FORBIDDEN.iter().map(move |&pattern| (item, pattern)));
    breaches
        .flat_map(|(item, pattern)| {
            lines_with(item.tokens, pattern).into_iter().map(move |line| (line, item.name, pattern))
        })
        .map(|(line, name, pattern)| {
            source.problem(line, &format!("`{name}` crosses the wire with `{pattern}`"))
        })
        .collect()
}

fn is_message(tokens: &[Token], name: &str) -> bool {
    !lines_with(tokens, &format!("WireMessage for {name} {{")).is_empty()
}

impl Item<'_> {
    fn is_serialized(&self) -> bool {
        let derives = ["Serialize", "Deserialize", "Encode", "Decode"];
        self.tokens.iter().any(|token| derives.contains(&token.text.as_str()))
    }
}

fn items(tokens: &[Token]) -> Vec<Item<'_>> {
    let keyword = |at: &usize| ["struct", "enum"].contains(&tokens[*at].text.as_str());
    let starts = (0..tokens.len().saturating_sub(1)).filter(keyword);
    starts
        .map(|at| Item {
            name: &tokens[at + 1].text,
            tokens: &tokens[start_of_item(tokens, at)..end_of_item(tokens, at)],
        })
        .collect()
}

/// Behind the last thing that ended before the item: another item, or a field.
fn start_of_item(tokens: &[Token], keyword: usize) -> usize {
    let mut depth = 0;
    for at in (0..keyword).rev() {
        match tokens[at].text.as_str() {
            "]" | ")" => depth += 1,
            "[" | "(" => depth -= 1,
            ";" | "{" | "}" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    0
}

fn end_of_item(tokens: &[Token], keyword: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(keyword) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ";" if depth == 0 => return at,
            "}" if depth == 1 => return at,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn no_wire_type_asks_the_codec_to_guess() {
    assert_none(&rust_files().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_wire_type_that_asks_the_codec_to_guess_is_noticed() {
    for (path, text) in [
        ("crates/mesh-proto/src/a.rs", "#[derive(Serialize)] #[serde(untagged)] pub enum A { B }"),
        ("crates/mesh-proto/src/a.rs", "#[derive(Deserialize)] struct A { #[serde(flatten)] b: B }"),
        ("crates/mesh-proto/src/a.rs", "#[derive(Serialize)] struct A { b: serde_json::Value }"),
        ("crates/mesh/src/a.rs", "#[serde(tag = \"t\")] enum A { B } impl WireMessage for A { }"),
        ("crates/mesh/src/a.rs", "struct A(B); struct B { c: Option<Value> } impl WireMessage for A {}"),
        (
            "crates/mesh/src/a.rs",
            "struct A { #[serde(skip_serializing_if = \"Option::is_none\")] b: B } impl mesh::WireMessage for A {}",
        ),
    ] {
        assert_eq!(problems(&Source::new(path, text)).len(), 1, "{text}");
    }
}

#[test]
fn other_types_may_be_as_dynamic_as_they_like() {
    let text = "struct A(u8); impl WireMessage for A {} #[derive(Serialize)] #[serde(untagged)] enum Shown { B(Value) }";
    assert_none(&problems(&Source::new("crates/mesh/src/a.rs", text)));
}
