use mesh_agents::workflow::{Strictness, load};
use serde_json::Value;

use super::super::super::table::Paint;
use super::*;

const FILE: &str = r#"
version: "1.0"
agents:
  planner: {system_prompt: x}
  executor: {system_prompt: x}
workflow:
  type: pipeline
  stages:
    - {name: plan, agent: planner}
    - {name: execution, agent: executor, input: plan, parallel: true}
"#;

struct Shown {
    text: String,
    result: Result<(), CtlError>,
}

fn shown(events: &[Value], ended: Option<Value>) -> Shown {
    let mut text = Vec::new();
    let mut output = Output { is_json: false, paint: Paint(false), is_terminal: false, to: &mut text };
    let mut progress = Progress::new(&load("f.yaml", FILE, Strictness::Strict).unwrap().plan);
    for event in events {
        progress.take(&event.to_string(), &mut output).unwrap();
    }
    if let Some(ended) = ended {
        progress.end(&ended.to_string()).unwrap();
    }
    let result = progress.finish(&mut output);
    Shown { text: String::from_utf8(text).unwrap(), result }
}

fn ended(outcome: &Value) -> Option<Value> {
    ended_with(outcome, "never", true)
}

fn ended_with(outcome: &Value, retry: &str, may_have_run: bool) -> Option<Value> {
    let tokens = json!({"input": 1, "output": 2});
    Some(json!({
        "outcome": outcome, "tokens": tokens, "elapsed_ms": 10, "retry": retry, "may_have_run": may_have_run
    }))
}

fn code(shown: Shown) -> String {
    match shown.result {
        Err(CtlError::Refused(document)) => document.code,
        other => panic!("{other:?}"),
    }
}

fn text(stage: &str, index: u64, text: &str) -> Value {
    json!({"item_text": {"stage": stage, "index": index, "text": text}})
}

fn started(stage: &str, index: u64, node: &str, attempt: u32) -> Value {
    json!({"item_started": {"stage": stage, "index": index, "agent": "a/b", "node": node, "attempt": attempt}})
}

fn item_finished(index: u64, node: &str) -> Value {
    json!({"item_finished": {
        "stage": "execution", "index": index, "node": node, "attempt": 1, "model": "m", "is_cut": false,
        "tokens": {"input": 30, "output": 10}, "elapsed_ms": 940,
    }})
}

fn stage_finished(stage: &str, items: u64, answered: u64) -> Value {
    json!({"stage_finished": {
        "stage": stage, "items": items, "answered": answered, "text": "t", "is_text_cut": false,
        "tokens": {"input": 400, "output": 12}, "elapsed_ms": 1234,
    }})
}

#[test]
fn a_run_is_told_as_it_goes() {
    let error = json!({"code": "TIMEOUT", "message": "no answer within 2m"});
    let shown = shown(
        &[
            json!({"stage_started": {"stage": "plan", "agent": "planner", "items": 1}}),
            started("plan", 0, "alpha", 1),
            text("plan", 0, "1. boil\n2. "),
            text("plan", 0, "pour"),
            stage_finished("plan", 1, 1),
            json!({"stage_started": {"stage": "execution", "agent": "executor", "items": 3}}),
            started("execution", 0, "beta", 1),
            started("execution", 1, "gamma", 1),
            text("execution", 1, "lost"),
            json!({"item_retried": {"stage": "execution", "index": 1, "attempt": 2, "reason": "node gamma is down", "pause_ms": 0}}),
            started("execution", 1, "beta", 2),
            text("execution", 0, "the water\n"),
            text("execution", 0, "boils"),
            item_finished(0, "beta"),
            text("execution", 1, "a cup"),
            item_finished(1, "beta"),
            json!({"item_failed": {"stage": "execution", "index": 2, "attempts": 3, "error": error, "elapsed_ms": 9}}),
            stage_finished("execution", 3, 2),
            json!({"run_finished": {"outcome": "completed", "tokens": {"input": 1, "output": 1}, "elapsed_ms": 9}}),
        ],
        ended(&json!({"completed": {"result": "tea\nis ready"}})),
    );
    assert!(shown.result.is_ok());
    insta::assert_snapshot!(shown.text, @r"
      … plan       planner
          1. boil
          2. pour
      ✓ plan       planner@alpha  1.2s  412 tok
      … execution  executor ×3
        … execution item 2: node gamma is down → again, attempt 2
        · item 1 by executor@beta  940ms  40 tok
          the water boils
        · item 2 by executor@beta  940ms  40 tok
          a cup
        ✗ execution item 3: no answer within 2m (3 attempts)
      ✓ execution  executor@beta, executor@gamma ×3  2 of 3 items  1.2s  412 tok

    tea
    is ready
    ");
}

#[test]
fn what_agents_say_cannot_command_the_terminal() {
    let shown = shown(
        &[
            json!({"stage_started": {"stage": "plan", "agent": "planner", "items": 1}}),
            text("plan", 0, "a\u{1b}[2Jb\rc\n"),
        ],
        ended(&json!({"completed": {"result": "d\u{1b}[2Je"}})),
    );
    assert!(!shown.text.contains(['\u{1b}', '\r']), "{:?}", shown.text);
}

#[test]
fn a_long_answer_of_one_of_several_is_cut() {
    let shown = shown(
        &[
            json!({"stage_started": {"stage": "execution", "agent": "executor", "items": 2}}),
            text("execution", 0, &"x".repeat(200)),
            text("execution", 0, &"y".repeat(200)),
            item_finished(0, "beta"),
        ],
        ended(&json!({"completed": {"result": ""}})),
    );
    assert!(shown.text.contains(&format!("{}{}…\n", "x".repeat(200), "y".repeat(40))), "{}", shown.text);
}

#[test]
fn an_event_of_a_later_version_is_passed_over() {
    let shown = shown(&[json!({"agent_moved": "beta"})], ended(&json!({"completed": {"result": "r"}})));
    assert_eq!(shown.text, "\nr\n");
}

#[test]
fn a_run_that_failed_says_in_which_stage() {
    let error = json!({"code": "TIMEOUT", "message": "m"});
    let failed = json!({"failed": {"stage": "plan", "code": "STAGE_PLAN_FAILED", "error": error}});
    assert_eq!(code(shown(&[], ended(&failed))), "STAGE_PLAN_FAILED");
    assert_eq!(code(shown(&[], ended(&json!({"cancelled": {"reason": "r"}})))), "CANCELLED");
}

#[test]
fn a_run_without_an_end_is_no_success() {
    assert_eq!(code(shown(&[], None)), "NO_OUTCOME");
}

#[test]
fn a_run_that_failed_before_any_model_was_asked_says_so() {
    let error = json!({"code": "NO_NODE", "message": "m"});
    let failed = json!({"failed": {"stage": "plan", "code": "STAGE_PLAN_FAILED", "error": error}});
    for (retry, may_have_run) in [(Retry::Backoff, false), (Retry::Never, true)] {
        let ended = ended_with(&failed, if may_have_run { "never" } else { "backoff" }, may_have_run);
        let Err(CtlError::Refused(document)) = shown(&[], ended).result else { panic!("it succeeded") };
        assert_eq!((document.retry, document.may_have_run), (retry, may_have_run));
    }
}

/// What is shown of a plan that is waited for, and of its end.
fn waited(is_terminal: bool) -> String {
    let mut text = Vec::new();
    let mut output = Output { is_json: false, paint: Paint(false), is_terminal, to: &mut text };
    let mut progress = Progress::new(&load("f.yaml", FILE, Strictness::Strict).unwrap().plan);
    let mut take = |event: Value, silence: u64| {
        progress.take(&event.to_string(), &mut output).unwrap();
        progress.wait(Duration::from_secs(silence), &mut output).unwrap();
    };
    take(json!({"stage_started": {"stage": "plan", "agent": "planner", "items": 1}}), 3);
    take(started("plan", 0, "alpha", 1), 75);
    take(stage_finished("plan", 1, 1), 4);
    take(json!({"stage_started": {"stage": "execution", "agent": "executor", "items": 3}}), 5);
    take(item_finished(0, "beta"), 6);
    take(stage_finished("execution", 3, 3), 7);
    progress.end(&ended(&json!({"completed": {"result": "tea"}})).unwrap().to_string()).unwrap();
    progress.finish(&mut output).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_terminal_shows_what_is_waited_for_and_takes_it_back() {
    let text = waited(true);
    for line in [
        "  … waiting for planner, 3s",
        "  … waiting for planner@alpha, 1m 15s",
        "  … waiting for the mesh, 4s",
        "  … waiting for 3 of 3 items of execution, 5s",
        "  … waiting for 2 of 3 items of execution, 6s",
    ] {
        assert!(text.contains(&format!("{line}\r\x1b[2K")), "no {line:?}, taken back, in {text:?}");
    }
    let lines = text.split("\r\x1b[2K").filter(|part| !part.starts_with("  … waiting")).collect::<String>();
    assert!(lines.ends_with("\ntea\n"), "{lines:?}");
}

#[test]
fn what_is_no_terminal_gets_no_lines_to_take_back() {
    let text = waited(false);
    assert!(!text.contains("waiting") && !text.contains('\r'), "{text:?}");
}

#[test]
fn a_text_that_is_being_written_is_not_broken_by_waiting() {
    let mut written = Vec::new();
    let mut output = Output { is_json: false, paint: Paint(false), is_terminal: true, to: &mut written };
    let mut progress = Progress::new(&load("f.yaml", FILE, Strictness::Strict).unwrap().plan);
    for event in [
        json!({"stage_started": {"stage": "plan", "agent": "planner", "items": 1}}),
        text("plan", 0, "half a"),
    ] {
        progress.take(&event.to_string(), &mut output).unwrap();
    }
    progress.wait(Duration::from_secs(9), &mut output).unwrap();
    progress.take(&text("plan", 0, " line").to_string(), &mut output).unwrap();
    let written = String::from_utf8(written).unwrap();
    assert!(written.ends_with("half a line"), "{written:?}");
}

#[test]
fn what_a_coordinator_decides_stands_between_the_stages() {
    let decided = |replanned: Value, items: u64, reason: &str, problem: Value| {
        json!({"coordinator_decided": {
            "stage": "plan", "agent": "planner", "node": "beta", "model": "m", "replanned": replanned, "items": items,
            "text": "", "reason": reason, "problem": problem, "tokens": {"input": 30, "output": 10}, "elapsed_ms": 320,
        }})
    };
    let shown = shown(
        &[
            json!({"coordinator_asked": {"stage": "plan", "agent": "planner"}}),
            decided(Value::Null, 0, "", Value::Null),
            decided(json!("execution"), 4, "two are too few", Value::Null),
            decided(Value::Null, 0, "", json!("its answer cannot be read: expected value")),
        ],
        ended(&json!({"completed": {"result": "tea"}})),
    );
    insta::assert_snapshot!(shown.text, @r"
        · coordinator planner@beta goes on as planned  320ms  40 tok
        · coordinator planner@beta re-plans execution ×4  320ms  40 tok
          two are too few
        · coordinator planner@beta goes on as planned: its answer cannot be read: expected value  320ms  40 tok

    tea
    ");
}

#[test]
fn a_stored_run_tells_what_was_done_before_and_how_to_go_on() {
    let shown = shown(
        &[
            json!({"run_stored": {"run": "r-1"}}),
            json!({"stage_restored": {"stage": "plan", "items": 1, "answered": 1, "text": "t", "is_text_cut": false}}),
            json!({"stage_started": {"stage": "execution", "agent": "executor", "items": 2}}),
            json!({"item_restored": {"stage": "execution", "index": 1}}),
        ],
        None,
    );
    let expected = "  run r-1, kept in the store\n  ✓ plan         was done before\n  … execution  executor ×2\n    \
                    · execution item 2 was done before\n";
    assert_eq!(shown.text, expected);
    let Err(CtlError::Refused(document)) = shown.result else { panic!("{:?}", shown.result) };
    assert!(document.message.contains("`meshctl workflow resume r-1`"), "{}", document.message);
}
