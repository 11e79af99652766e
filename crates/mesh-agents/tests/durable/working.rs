//! Runs that do their work, and those that fail at it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh_agents::durable::{RunDocument, RunSettings};
use mesh_agents::lifecycle::AgentState;
use mesh_resilience::{Jitter, RetryConfig};
use mesh_store::RunFilter;
use serde_json::json;
use tokio::time::Instant;

use crate::script::Place;

#[tokio::test]
async fn a_run_plans_executes_and_completes() {
    let place = Place::new();
    let done = place.runs().await.run("scripted", "a b c").await.unwrap();
    assert_eq!(done.state(), AgentState::Completed);
    assert_eq!(done.context.results.len(), 3);
    assert_eq!(done.context.results[1], json!({"did": "b", "step": 1}));
    assert_eq!(place.world.executed(), ["a", "b", "c"]);
    assert_eq!(done.context.metadata["last"], "c");
    assert_eq!(done.context.metadata["planned"], true);
}

#[tokio::test]
async fn a_step_puts_others_behind_all_that_are_planned_and_once_only() {
    let place = Place::new();
    // What an attempt wanted that failed is forgotten.
    place.world.fail("grow", 2);
    place.world.fail("fatal", 1);
    let runs = place.runs().await;
    let held = runs.run("scripted", "grow fatal b").await.unwrap();
    assert_eq!((held.state(), held.lifecycle.steps()), (AgentState::Failed, Some(4)));
    // Another process goes on with the plan as it was then.
    let done = place.runs().await.resume(&held.run.parse().unwrap()).await.unwrap();
    assert_eq!(done.state(), AgentState::Completed, "{:?}", done.fault);
    let executed = place.world.executed();
    assert_eq!(executed, ["grow", "grow", "grow", "fatal", "fatal", "b", "late"]);
    assert_eq!(done.context.results[3], json!({"did": "late", "step": "more"}));
}

#[tokio::test]
async fn an_empty_plan_completes() {
    let place = Place::new();
    let done = place.runs().await.run("scripted", "").await.unwrap();
    assert_eq!((done.state(), done.context.plan), (AgentState::Completed, Some(Vec::new())));
}

#[tokio::test]
async fn a_step_that_fails_is_retried_and_never_skipped() {
    let place = Place::new();
    place.world.fail("fail", 2);
    let done = place.runs().await.run("scripted", "a fail b").await.unwrap();
    assert_eq!(done.state(), AgentState::Completed);
    assert_eq!(place.world.executed(), ["a", "fail", "fail", "fail", "b"]);
    assert_eq!(done.context.results.len(), 3);
    assert_eq!(done.context.results[1]["did"], "fail");
}

#[tokio::test]
async fn a_run_fails_after_three_attempts_and_goes_on_at_the_failed_step_when_resumed() {
    let place = Place::new();
    place.world.fail("fail", 4);
    let runs = place.runs().await;
    let failed = runs.run("scripted", "a fail b").await.unwrap();
    assert_eq!((failed.state(), failed.context.current_step), (AgentState::Failed, 1));
    assert_eq!(failed.fault.as_ref().unwrap().code, "NOT_YET");
    assert_eq!(place.world.executed(), ["a", "fail", "fail", "fail"]);

    let done = runs.resume(&failed.run.parse().unwrap()).await.unwrap();
    assert_eq!((done.state(), done.fault), (AgentState::Completed, None));
    assert_eq!(place.world.executed()[4..], ["fail", "fail", "b"]);
}

#[tokio::test]
async fn the_count_of_attempts_begins_anew_after_a_success() {
    let place = Place::new();
    let runs = place.runs().await;
    place.world.fail("plan", 2);
    place.world.fail("fail", 2);
    let done = runs.run("scripted", "fail a").await.unwrap();
    assert_eq!(done.state(), AgentState::Completed, "two failures of three, twice");
}

#[tokio::test]
async fn an_error_that_no_attempt_can_help_fails_at_once() {
    let place = Place::new();
    place.world.fail("fatal", 1);
    let failed = place.runs().await.run("scripted", "fatal").await.unwrap();
    assert_eq!((failed.state(), failed.fault.unwrap().code.as_str()), (AgentState::Failed, "NEVER"));
    assert_eq!(place.world.executed(), ["fatal"]);
}

#[tokio::test]
async fn a_step_that_panics_is_tried_again_by_a_new_agent() {
    let place = Place::new();
    place.world.fail("panic", 1);
    let done = place.runs().await.run("scripted", "a panic").await.unwrap();
    assert_eq!(done.state(), AgentState::Completed);
    assert_eq!(place.world.executed(), ["a", "panic", "panic"]);
}

#[tokio::test]
async fn pauses_between_attempts_grow() {
    let place = Place::new();
    place.world.fail("fail", 2);
    let base = Duration::from_millis(40);
    let attempts = RetryConfig { base, jitter: Jitter::None, ..RetryConfig::default() };
    let settings = RunSettings { attempts, ..place.settings() };
    let store = place.open().await;
    let began = Instant::now();
    place.runs_of(&store, "1").settings(settings).run("scripted", "fail").await.unwrap();
    assert!(began.elapsed() >= base + 2 * base, "40 ms, then 80 ms: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_finished_agent_can_run_again() {
    let place = Place::new();
    let runs = place.runs().await;
    let first = runs.run("scripted", "a b").await.unwrap();
    let again = runs.restart(&first.run.parse().unwrap()).await.unwrap();
    assert_eq!((again.state(), again.run, again.generation), (AgentState::Completed, first.run, 2));
    assert_eq!(place.world.executed(), ["a", "b", "a", "b"]);
    assert_eq!(again.context.results.len(), 2, "nothing of the first time counts");
    let keys = place.world.keys.lock().clone();
    assert_ne!(keys[0], keys[2], "its calls are others: {keys:?}");
}

#[tokio::test]
async fn times_and_the_run_s_id_survive() {
    let place = Place::new();
    let runs = place.runs().await;
    place.world.fail("fatal", 1);
    let failed = runs.run("scripted", "a fatal").await.unwrap();
    let began = place.world.now_ms.load(Ordering::Relaxed);
    place.world.later(Duration::from_secs(3600));
    let done = runs.resume(&failed.run.parse().unwrap()).await.unwrap();
    assert_eq!(done.run, failed.run);
    assert_eq!((done.context.started_ms, done.context.completed_ms), (Some(began), Some(began + 3_600_000)));
}

#[tokio::test]
async fn two_checkpoints_within_one_millisecond_are_two_in_their_order() {
    let place = Place::new();
    let runs = place.runs().await;
    let done = runs.run("scripted", "a b c").await.unwrap();
    let saved = runs.store().checkpoints(&done.run.parse().unwrap(), None, 100).await.unwrap();
    assert!(saved.iter().all(|checkpoint| checkpoint.at_ms == saved[0].at_ms));
    let steps: Vec<_> = saved.iter().map(|checkpoint| checkpoint.step).collect();
    assert_eq!(steps, [3, 2, 1, 0, 0], "newest first");
}

#[tokio::test]
async fn the_step_that_is_next_moves_in_the_same_write_as_the_result() {
    let place = Place::new();
    let runs = place.runs().await;
    let done = runs.run("scripted", "a b c d").await.unwrap();
    let saved = runs.store().checkpoints(&done.run.parse().unwrap(), None, 100).await.unwrap();
    for checkpoint in saved {
        let payload: serde_json::Value = serde_json::from_slice(&checkpoint.payload).unwrap();
        let results = payload["tail"].as_array().unwrap().len() as u64;
        assert_eq!(results, payload["document"]["context"]["current_step"].as_u64().unwrap());
        assert_eq!(results, checkpoint.step);
    }
    let run = &runs.store().runs(RunFilter::default()).await.unwrap()[0];
    assert_eq!(run.status.as_str(), "completed");
}

#[tokio::test]
async fn a_run_round_trips_through_json_with_its_version() {
    let place = Place::new();
    let done = place.runs().await.run("scripted", "a b").await.unwrap();
    let text = serde_json::to_string_pretty(&done).unwrap();
    assert_eq!(serde_json::from_str::<RunDocument>(&text).unwrap(), done);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["lifecycle"]["state"], "completed");
    assert_eq!(document["context"]["task"], "a b");
    assert_eq!(document["context"]["plan"][1], json!({"name": "b", "input": 1}));
}

#[tokio::test]
async fn ten_checkpoints_are_kept() {
    let place = Place::new();
    let runs = place.runs().await;
    let done = runs.run("scripted", &"a ".repeat(30)).await.unwrap();
    let saved = runs.store().checkpoints(&done.run.parse().unwrap(), None, 100).await.unwrap();
    assert_eq!(saved.len(), 10);
    assert_eq!(saved[0].step, 30);
}

/// The payloads of all checkpoints that were ever written, and the blobs that are there.
async fn bytes_of_a_run(steps: usize) -> u64 {
    let place = Place::new();
    let runs = place.runs().await;
    runs.run("scripted", &"a ".repeat(steps)).await.unwrap();
    let file = place.folder.path().join("backup");
    runs.store().collect_blobs(i64::MAX).await.unwrap();
    runs.store().backup(&file).await.unwrap().bytes
}

#[tokio::test]
async fn storage_grows_linearly_with_the_run() {
    let (some, twice) = (bytes_of_a_run(150).await, bytes_of_a_run(300).await);
    assert!(twice < some * 5 / 2, "{some} bytes for 150 steps, {twice} for 300");
}
