//! Names and sizes of files: one idea each, named for it.

use super::assert_none;
use super::source::{Part, Source, rust_files};

const LINES_MAX: usize = 600;
const CODE_LINES_MAX: usize = 400;
const LIB_LINES_MAX: usize = 120;
const BANNED: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "manager", "misc", "types", "impl", "impls"];

fn problems(source: &Source) -> Vec<String> {
    let (path, lines) = (source.path.as_str(), source.text.lines().count());
    let mut problems = Vec::new();
    let mut too_long = |is: usize, max: usize, what: &str| {
        if is > max {
            problems.push(format!("{path}: {is} lines {what}, at most {max}: two ideas"));
        }
    };
    too_long(lines, LINES_MAX, "in all");
    if !source.is_test() {
        let code = source.tokens(Part::Code).last().map_or(0, |token| token.line);
        too_long(code, CODE_LINES_MAX, "without tests");
    }
    if path.ends_with("/lib.rs") {
        too_long(lines, LIB_LINES_MAX, "in a lib.rs");
    }
    let parts = || path.split('/').map(|part| part.trim_end_matches(".rs"));
    problems.extend(
        parts().filter(|part| BANNED.contains(part)).map(|part| format!("{path}: `{part}` names no idea")),
    );
    if path.ends_with("/mod.rs") {
        problems.push(format!("{path}: `foo.rs` beside `foo/`, not `foo/mod.rs`"));
    }
    problems
}

#[test]
fn files_are_short_and_named_for_their_idea() {
    assert_none(&rust_files().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_long_or_badly_named_is_noticed() {
    for (path, text) in [
        ("crates/mesh/tests/a.rs", "// x\n".repeat(601)),
        ("crates/mesh/src/a.rs", "fn a() {}\n".repeat(401)),
        ("crates/mesh/src/lib.rs", "// x\n".repeat(121)),
        ("crates/mesh/src/utils.rs", String::new()),
        ("crates/mesh/src/common/a.rs", String::new()),
        ("crates/mesh/src/a/mod.rs", String::new()),
    ] {
        assert_eq!(problems(&Source::new(path, &text)).len(), 1, "{path}");
    }
    let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}", "fn a() {}\n".repeat(500));
    assert_none(&problems(&Source::new("crates/mesh/src/a.rs", &tested)));
}
