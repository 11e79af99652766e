//! What a step knows of its run.

use mesh_agents::lifecycle::AgentState;

use crate::script::Place;

#[tokio::test]
async fn a_step_knows_whether_it_may_have_run() {
    let place = Place::new();
    place.world.fail("fail", 1);
    place.runs().await.run("scripted", "a fail b").await.unwrap();
    let doubts = place.world.doubts.lock().clone();
    let doubts: Vec<_> = doubts.iter().map(|(name, doubt)| (name.as_str(), *doubt)).collect();
    assert_eq!(doubts, [("a", false), ("fail", false), ("fail", true), ("b", false)]);
}

#[tokio::test]
async fn the_keys_of_a_step_s_calls_are_the_same_whenever_it_runs_and_no_other_s() {
    let place = Place::new();
    place.world.fail("fail", 1);
    place.runs().await.run("scripted", "a fail b").await.unwrap();
    let keys = place.world.keys.lock().clone();
    assert_eq!(keys, ["1.step-0.call-0", "1.step-1.call-0", "1.step-1.call-0", "1.step-2.call-0"]);
}

#[tokio::test]
async fn a_kind_that_is_not_here_is_a_typed_error() {
    let place = Place::new();
    let error = place.runs().await.run("other", "a").await.unwrap_err();
    assert_eq!(error.code(), "UNKNOWN_KIND");
    assert!(error.to_string().contains("scripted"), "{error}");
}

#[tokio::test]
async fn a_run_s_id_is_a_checked_type() {
    let place = Place::new();
    let runs = place.runs().await;
    for bad in ["../x", "a/b", "a\0", "", "..", &"x".repeat(4096)] {
        assert!(bad.parse::<mesh_store::RunId>().is_err(), "{bad:?}");
    }
    // "a" is not "a_b".
    let done = runs.run("scripted", "a").await.unwrap();
    let longer = format!("{}_b", done.run).parse().unwrap();
    assert_eq!(runs.document(&longer).await.unwrap_err().code(), "STORE_NOT_FOUND");
    assert_eq!(done.state(), AgentState::Completed);
}
