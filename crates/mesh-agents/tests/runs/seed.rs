//! The seed's file, unchanged.

use mesh_agents::workflows::RunEvent;

use crate::cluster::Cluster;
use crate::script::{Act, Call, Script};

const FILE: &str = include_str!("../workflows/claude-flow.yaml");

fn role(call: &Call) -> &str {
    let system = call.request.system.as_deref().unwrap_or_default();
    system.split(['\n', '.']).next().and_then(|line| line.strip_prefix("Your role: ")).unwrap_or_default()
}

fn asks_coordinator(call: &Call) -> bool {
    call.input.starts_with("You coordinate a workflow")
}

#[tokio::test(start_paused = true)]
async fn the_seeds_file_runs_unchanged_and_means_something() {
    let script = Script::new(|call| match role(call) {
        "Task Planner" if asks_coordinator(call) => Act::say(r#"{"decision": "continue"}"#),
        "Task Planner" => Act::say("Here is the plan:\n1. boil water\n2. add tea\n3. wait\n4. pour"),
        "Task Executor" => Act::say(format!("{}: done", call.input)),
        "Quality Reviewer" => Act::say(format!("{} of 4 are done", call.input.matches(": done").count())),
        other => panic!("no agent is a {other:?}"),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "make tea").await;
    assert_eq!(told.result(), "4 of 4 are done");

    let calls = script.calls();
    assert_eq!(calls[0].input, "make tea");
    assert!(calls.iter().all(|call| call.request.model.as_deref() == Some("claude-sonnet-4-20250514")));
    let review = calls.iter().find(|call| role(call) == "Quality Reviewer").unwrap();
    assert_eq!(calls.len(), 6 + 3, "the coordinator costs one call for each stage");
    assert!(review.input.starts_with("## item 1: boil water\n\nboil water: done\n\n"), "{}", review.input);
    let started = |event: &RunEvent| match event {
        RunEvent::StageStarted { stage, items, .. } => Some((stage.clone(), *items)),
        _ => None,
    };
    let stages: Vec<(String, u64)> = told.events.iter().filter_map(started).collect();
    assert_eq!(stages, [("planning".to_owned(), 1), ("execution".to_owned(), 4), ("review".to_owned(), 1)]);
    assert!(told.starts("execution").len() == 4 && script.open_max() == 3);
}

#[tokio::test(start_paused = true)]
async fn a_planner_that_writes_prose_gives_one_item_and_no_crash() {
    let script = Script::new(|call| match role(call) {
        "Task Planner" if asks_coordinator(call) => Act::say("All is well."),
        "Task Planner" => Act::say("I would simply make tea, as one does."),
        _ => Act::say("done"),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "make tea").await;
    assert_eq!(told.result(), "done");
    assert_eq!(told.starts("execution").len(), 1);
}
