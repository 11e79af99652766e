//! Where items run, how many at once, and in what order their answers come.

use std::time::Duration;

use mesh_agents::workflows::RunEvent;

use crate::cluster::Cluster;
use crate::script::{Act, Call, Script};

/// A list of the task's words, then one item for each.
const WORDS: &str = r#"
version: "1.0"
agents:
  lister: {system_prompt: "List the words."}
  worker: {system_prompt: "Work on the word.", model: "small"}
workflow:
  type: pipeline
  stages:
    - {name: list, agent: lister}
    - {name: work, agent: worker, input: list, parallel: true, max_concurrent: 3}
"#;

fn list(call: &Call) -> String {
    call.input.split(' ').map(|word| format!("- {word}\n")).collect()
}

fn is_lister(call: &Call) -> bool {
    call.request.system.as_deref() == Some("List the words.")
}

#[tokio::test(start_paused = true)]
async fn items_are_spread_evenly_and_never_more_at_once_than_the_stage_allows() {
    let script = Script::new(|call| match is_lister(call) {
        true => Act::say(list(call)),
        false => Act::say(format!("{} on {}", call.input, call.node)),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(WORDS, "a b c d e f g h i").await;

    let mut nodes: Vec<&str> = told.starts("work").into_iter().map(|(_, _, node)| node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["alpha", "alpha", "alpha", "beta", "beta", "beta", "gamma", "gamma", "gamma"]);
    assert_eq!(script.open_max(), 3);
    assert_eq!(script.calls().len(), 10);
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_the_order_of_the_input_however_late_the_first_is() {
    let script = Script::new(|call| match (is_lister(call), call.input.as_str()) {
        (true, _) => Act::say(list(call)),
        (false, "a") => Act::Say(Duration::from_secs(30), "first".to_owned()),
        (false, word) => Act::say(word),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(WORDS, "a b c").await;
    assert_eq!(told.result(), "## item 1: a\n\nfirst\n\n## item 2: b\n\nb\n\n## item 3: c\n\nc");
}

#[tokio::test(start_paused = true)]
async fn the_reader_is_told_each_step_with_the_model_the_tokens_and_the_time() {
    let script = Script::new(|call| match is_lister(call) {
        true => Act::say(list(call)),
        false => Act::say("one two three"),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(WORDS, "a b").await;
    let work: Vec<&RunEvent> = told.events.iter().filter(|event| is_of(event, "work")).collect();

    assert!(matches!(work[0], RunEvent::StageStarted { agent, items: 2, .. } if agent == "worker"));
    let text: String = work.iter().filter_map(|event| text_of(event, 0)).collect();
    assert_eq!(text, "one two three");
    let finished =
        work.iter().find(|event| matches!(event, RunEvent::ItemFinished { index: 0, .. })).unwrap();
    let RunEvent::ItemFinished { model, tokens, attempt, elapsed_ms, .. } = finished else { unreachable!() };
    assert_eq!((model.as_str(), tokens.input, tokens.output, *attempt), ("small-exactly", 10, 3, 1));
    assert!((1_000..2_000).contains(elapsed_ms), "{elapsed_ms}");
    let Some(RunEvent::StageFinished { items: 2, answered: 2, tokens, .. }) = work.last() else {
        panic!("{work:?}");
    };
    assert_eq!((tokens.input, tokens.output), (20, 6));
    assert!(
        matches!(told.events.last(), Some(RunEvent::RunFinished { outcome, .. }) if outcome == "completed")
    );
    assert_eq!(told.ended.tokens.input, 30);
}

#[tokio::test(start_paused = true)]
async fn a_stage_whose_answer_is_split_asks_for_a_list_and_no_other_does() {
    let script = Script::new(|call| match is_lister(call) {
        true => Act::say(r#"{"steps": ["x", "y"]}"#),
        false => Act::say(call.input.clone()),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(WORDS, "a").await;
    assert_eq!(told.result(), "## item 1: x\n\nx\n\n## item 2: y\n\ny");
    let asked: Vec<bool> = script.calls().iter().map(|call| call.request.response_schema.is_some()).collect();
    assert_eq!(asked, [true, false, false]);
}

fn is_of(event: &RunEvent, of: &str) -> bool {
    match event {
        RunEvent::StageStarted { stage, .. }
        | RunEvent::ItemStarted { stage, .. }
        | RunEvent::ItemText { stage, .. }
        | RunEvent::ItemFinished { stage, .. }
        | RunEvent::StageFinished { stage, .. } => stage == of,
        _ => false,
    }
}

fn text_of(event: &RunEvent, of: u64) -> Option<&str> {
    match event {
        RunEvent::ItemText { index, text, .. } if *index == of => Some(text),
        _ => None,
    }
}
