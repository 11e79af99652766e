//! A test waits for events, never for time to pass; under a paused clock no time passes.

use super::assert_none;
use super::source::{Part, Source, lines_with, rust_files};

/// The one place that waits between two looks.
const POLL: &str = "integration-tests/src/eventually.rs";

fn problems(source: &Source) -> Vec<String> {
    if source.path == POLL {
        return Vec::new();
    }
    let tokens = source.tokens(Part::Tests);
    let mut lines = lines_with(&tokens, "thread :: sleep");
    // A file that never pauses the clock sleeps for real. One that does may let a handler take its (virtual) time.
    if lines_with(&tokens, "start_paused = true").is_empty()
        && lines_with(&tokens, "time :: pause").is_empty()
    {
        lines.extend(
            lines_with(&tokens, "time :: sleep (").into_iter().chain(lines_with(&tokens, "= sleep (")),
        );
        lines.extend(
            [";", "{", "}"].iter().flat_map(|before| lines_with(&tokens, &format!("{before} sleep ("))),
        );
    }
    lines.into_iter().map(|line| source.problem(line, "a test that sleeps tests the sleep")).collect()
}

#[test]
fn no_test_sleeps() {
    assert_none(&rust_files().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_test_that_sleeps_is_noticed() {
    for body in ["thread::sleep(d);", "tokio::time::sleep(d).await;", "sleep(d).await;"] {
        let text = format!("#[cfg(test)] mod tests {{ #[tokio::test] async fn a() {{ {body} }} }}");
        assert_eq!(problems(&Source::new("crates/mesh/src/a.rs", &text)).len(), 1, "{body}");
    }
}

#[test]
fn virtual_time_and_the_code_itself_may_pass() {
    for text in [
        "#[cfg(test)] mod tests { #[tokio::test(start_paused = true)] async fn a() { sleep(d).await; } }",
        "async fn backoff() { tokio::time::sleep(d).await; }",
    ] {
        assert_none(&problems(&Source::new("crates/mesh/src/a.rs", text)));
    }
}
