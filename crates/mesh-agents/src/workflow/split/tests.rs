use proptest::prelude::*;

use super::split;

/// Every text and its items.
fn check(cases: &[(&str, &[&str])]) {
    for (text, items) in cases {
        assert_eq!(split(text), *items, "{text:?}");
    }
}

#[test]
fn a_json_array_gives_its_elements() {
    check(&[
        (r#"["a", "b"]"#, &["a", "b"]),
        ("  [\"a\",\r\n \"b\"]  ", &["a", "b"]),
        (r#"["- one\n- two", "c"]"#, &["- one\n- two", "c"]),
        (r#"[1, true, null, {"do": "x"}, ["y"]]"#, &["1", "true", "null", r#"{"do":"x"}"#, r#"["y"]"#]),
        ("[]", &[]),
    ]);
}

#[test]
fn an_object_gives_its_steps_tasks_or_items() {
    check(&[
        (r#"{"steps": ["a", "b"]}"#, &["a", "b"]),
        (r#"{"tasks": ["a"], "note": "x"}"#, &["a"]),
        (r#"{"items": []}"#, &[]),
        (r#"{"items": ["i"], "tasks": ["t"], "steps": ["s"]}"#, &["s"]),
        (r#"{"steps": 3, "items": ["i"]}"#, &["i"]),
        (r#"{"plan": ["a", "b"]}"#, &[r#"{"plan": ["a", "b"]}"#]),
        (r#"{"steps": "a, b"}"#, &[r#"{"steps": "a, b"}"#]),
    ]);
}

#[test]
fn json_is_found_in_a_fenced_block() {
    check(&[
        ("```json\n[\"a\", \"b\"]\n```", &["a", "b"]),
        ("Here is the plan:\n\n```json\n{\"steps\": [\"a\", \"b\"]}\n```\nShall I go on?", &["a", "b"]),
        ("```\r\n[\"a\"]\r\n```\r\n", &["a"]),
        ("~~~~json\n[\"a\"]\n~~~~", &["a"]),
        ("```rust\nlet x = 1;\n```\nand\n```json\n[\"a\", \"b\"]\n```", &["a", "b"]),
        ("- not\n- these\n```json\n[\"a\"]\n```", &["a"]),
        ("```json\n[\"a\", \"b\"]", &["a", "b"]),
    ]);
}

#[test]
fn json_is_found_on_lines_of_its_own() {
    check(&[
        ("Here you are:\n[\"a\", \"b\"]\nGood luck!", &["a", "b"]),
        ("Here you are:\n{\n  \"steps\": [\n    \"a\"\n  ]\n}", &["a"]),
        ("{\"thought\": 1}\n[\"a\", \"b\"]", &["a", "b"]),
        ("{\"outer\":\n[\"not\", \"these\"]\n}\ntext", &["{\"outer\":\n[\"not\", \"these\"]\n}\ntext"]),
        ("See the note.\n[1]\n[2]", &["See the note.\n[1]\n[2]"]),
        ("It says [\"a\", \"b\"] there.", &["It says [\"a\", \"b\"] there."]),
        ("[\"a\", \"b\"] is the plan", &["[\"a\", \"b\"] is the plan"]),
        ("[\"a\", \"b", &["[\"a\", \"b"]),
    ]);
}

#[test]
fn a_list_gives_its_items_whatever_its_markers() {
    check(&[
        ("1. a\n2. b", &["a", "b"]),
        ("1) a\n2) b", &["a", "b"]),
        ("- a\n- b", &["a", "b"]),
        ("* a\n* b", &["a", "b"]),
        ("+ a\n+ b", &["a", "b"]),
        ("• a\n• b", &["a", "b"]),
        ("1. a\r\n2. b\r\n", &["a", "b"]),
        ("-\ta\n-\tb", &["a", "b"]),
        ("  - a\n  - b", &["a", "b"]),
        (" 9. a\n10. b", &["a", "b"]),
        ("1. a\n1. b\n1. c", &["a", "b", "c"]),
        ("- [ ] a\n- [x] b", &["a", "b"]),
        ("1. **Find** the files\n2. `read` them", &["**Find** the files", "`read` them"]),
    ]);
}

#[test]
fn prose_around_a_list_is_left_out() {
    check(&[
        ("I would do this:\n\n1. a\n2. b\n\nShall I?", &["a", "b"]),
        ("First:\n1. a\n\nThen some prose.\n\n2. b", &["a", "b"]),
        ("## Find\n- a\n- b\n## Write\n- c", &["a", "b", "c"]),
        ("Two things:\n- a\n- b\n\n---\n\nBye", &["a", "b"]),
        ("```\n1. a\n2. b\n```", &["a", "b"]),
        ("```markdown\n- a\n- b\n```", &["a", "b"]),
    ]);
}

#[test]
fn what_is_nested_belongs_to_its_item() {
    check(&[
        ("- a\n  - a1\n  - a2\n- b", &["a\n- a1\n- a2", "b"]),
        ("1. a\n   - a1\n     - deep\n2. b", &["a\n- a1\n  - deep", "b"]),
        ("1. a\n- a1\n- a2\n2. b\n- b1", &["a\n- a1\n- a2", "b\n- b1"]),
        ("- a\n  1. x\n  2. y\n- b", &["a\n1. x\n2. y", "b"]),
        ("- a\n\t- a1\n- b", &["a\n- a1", "b"]),
        ("1. a\n\n   more of a\n\n2. b", &["a\n\nmore of a", "b"]),
        ("- a goes\non here\n- b", &["a goes\non here", "b"]),
        ("1. run\n   ```sh\n   - x\n   1. y\n   ```\n2. b", &["run\n```sh\n- x\n1. y\n```", "b"]),
        ("- a\r\n  - a1\r\n- b\r\n", &["a\n- a1", "b"]),
    ]);
}

#[test]
fn numbers_count_before_bullets_on_the_same_level() {
    check(&[("- note\n- other\n\n1. a\n2. b", &["a", "b"]), ("1. Plan:\n- a\n- b", &["a", "b"])]);
}

#[test]
fn anything_else_is_one_item() {
    check(&[
        ("just do it", &["just do it"]),
        ("  just\r\ndo it \n", &["just\r\ndo it"]),
        ("The answer is 4.\n- because of this", &["The answer is 4.\n- because of this"]),
        ("- the only one", &["the only one"]),
        ("1. the only one\n   - with a detail", &["the only one\n- with a detail"]),
        ("1815. A year.\n1816. Another.", &["1815. A year.\n1816. Another."]),
        ("1.5 litres\n2.5 litres", &["1.5 litres\n2.5 litres"]),
        ("-5 degrees\n-6 degrees", &["-5 degrees\n-6 degrees"]),
        ("a\n---\nb\n***\nc\n- - -", &["a\n---\nb\n***\nc\n- - -"]),
        ("**bold**\n*soft*", &["**bold**\n*soft*"]),
        ("see\n```sh\n- a\n- b\n```", &["see\n```sh\n- a\n- b\n```"]),
        ("-\n-", &["-\n-"]),
        ("", &[""]),
        ("\"text\"", &["\"text\""]),
        ("42", &["42"]),
    ]);
}

#[test]
fn empty_items_are_left_out() {
    check(&[("- a\n-\n- b", &["a", "b"]), ("1.\n2. a\n3. b", &["a", "b"])]);
}

#[test]
fn a_line_indented_without_end_is_no_panic() {
    let deep = " ".repeat(100_000);
    assert_eq!(
        split(&format!("- a\n {deep}deep\n less\n- b")),
        [format!("a\n{deep}deep\nless"), "b".to_owned()]
    );
}

proptest! {
    #[test]
    fn any_text_splits_without_panic(text in "([-*+•`~#{}\\[\\]\",:. 0-9)\\n\\r\\ta-cé]|- |1\\. |```)*") {
        let items = split(&text);
        prop_assert!(!items.is_empty() || text.contains('['), "{text:?}");
    }

    #[test]
    fn a_written_list_comes_back(items in prop::collection::vec("[a-z]([a-z ]*[a-z])?", 2..20), marker in 0..4_usize) {
        let list: Vec<String> = items.iter().enumerate().map(|(nth, item)| match marker {
            0 => format!("{}. {item}", nth + 1),
            1 => format!("{}) {item}", nth + 1),
            2 => format!("- {item}"),
            _ => format!("* {item}"),
        }).collect();
        prop_assert_eq!(&split(&list.join("\n")), &items);
        prop_assert_eq!(&split(&format!("Here:\r\n\r\n{}\r\n\r\nDone.", list.join("\r\n"))), &items);
        prop_assert_eq!(split(&serde_json::to_string(&items).unwrap()), items);
    }
}
