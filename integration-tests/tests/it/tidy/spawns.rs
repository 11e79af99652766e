//! A task is owned by someone who joins or aborts it: no library throws a join handle away.

use super::assert_none;
use super::source::{Part, Source, Token, rust_files};

/// Whose `spawn` returns a handle that, when dropped, lets the task run on unseen. (`JoinSet::spawn` does not.)
const OWNERS: &[&str] = &["tokio", "task", "thread", "handle", "runtime", "rt"];
const SPAWNS: &[&str] = &["spawn", "spawn_blocking", "spawn_local"];

fn problems(source: &Source) -> Vec<String> {
    if !source.is_library() {
        return Vec::new();
    }
    let tokens = source.tokens(Part::Code);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut problems = Vec::new();
    for at in 1..tokens.len() {
        let is_spawn = SPAWNS.contains(&text(at)) && text(at + 1) == "(";
        if !is_spawn {
            continue;
        }
        let start = start_of_path(&tokens, at);
        let owned = tokens[start..at].iter().any(|token| OWNERS.contains(&token.text.as_str()));
        if owned && is_thrown_away(&tokens, start, at) {
            problems.push(source.problem(tokens[at].line, "nobody joins or aborts this task"));
        }
    }
    problems
}

/// The first token of `a::b.c.spawn`, given where `spawn` stands.
fn start_of_path(tokens: &[Token], spawn: usize) -> usize {
    let is_path = |token: &&Token| {
        [":", "."].contains(&token.text.as_str())
            || token.text.chars().all(|c| c.is_alphanumeric() || c == '_')
                && !["let", "return", "await", "move"].contains(&token.text.as_str())
    };
    spawn - tokens[..spawn].iter().rev().take_while(is_path).count()
}

/// `…; spawn(…);`, `let _ = spawn(…);` and `drop(spawn(…))`.
fn is_thrown_away(tokens: &[Token], start: usize, spawn: usize) -> bool {
    let before: Vec<&str> = tokens[..start].iter().rev().take(3).map(|token| token.text.as_str()).collect();
    let after = &tokens[end_of_call(tokens, spawn + 1)..];
    let ends_statement = after.first().is_some_and(|token| token.text == ";");
    match before.as_slice() {
        ["(", "drop", ..] => true,
        ["=", "_", "let"] => true,
        [";" | "{" | "}", ..] | [] => ends_statement,
        _ => false,
    }
}

fn end_of_call(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[test]
fn every_task_of_a_library_has_an_owner() {
    assert_none(&rust_files().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_task_without_an_owner_is_noticed() {
    for body in [
        "tokio::spawn(async move { a.run().await });",
        "let a = 1; tokio::spawn(run(a));",
        "if ready { self.runtimes.handle.spawn(run()); }",
        "let _ = tokio::task::spawn_blocking(|| 1);",
        "drop(tokio::spawn(run()));",
    ] {
        let source = Source::new("crates/mesh/src/a.rs", &format!("fn a() {{ {body} }}"));
        assert_eq!(problems(&source).len(), 1, "{body}");
    }
}

#[test]
fn a_task_with_an_owner_is_fine() {
    for body in [
        "self.task = tokio::spawn(run());",
        "let task = tokio::spawn(run()); task.abort();",
        "tasks.push(tokio::spawn(run()));",
        "tasks.spawn(run());",
        "tokio::spawn(run())",
        "tokio::spawn(run()).await.expect(\"it does not panic\");",
        "Task { handle: handle.spawn(run()) }",
    ] {
        assert_none(&problems(&Source::new("crates/mesh/src/a.rs", &format!("fn a() {{ {body} }}"))));
    }
}
