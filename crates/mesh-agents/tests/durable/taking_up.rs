//! Runs that another process goes on with.

use std::time::Duration;

use mesh_agents::durable::RunError;
use mesh_agents::lifecycle::AgentState;
use mesh_store::{Changes, NewCheckpoint, Resource, RunFilter, RunId, StoreError};

use crate::script::Place;

/// A run of this task that was left in the middle of its gate, by a process that said no more.
async fn left_at_the_gate(place: &Place, task: &str) -> RunId {
    let store = place.open().await;
    let runs = place.runs_of(&store, "1");
    let task = task.to_owned();
    let running = tokio::spawn(async move { runs.run("scripted", &task).await });
    place.world.entered.one().await;
    running.abort();
    let _ = running.await;
    let run = store.runs(RunFilter::default()).await.unwrap().remove(0);
    assert_eq!(run.status.as_str(), "executing");
    store.close().await;
    place.world.gate.open();
    run.id
}

#[tokio::test]
async fn a_run_goes_on_at_the_step_at_which_its_process_died() {
    let place = Place::new();
    let run = left_at_the_gate(&place, "a gate b").await;
    let runs = place.runs().await;
    let held = runs.resume(&run).await.unwrap_err();
    assert_eq!(
        held.code(),
        "STORE_HELD",
        "its lease has not run out, and nobody is given it, not even its own name"
    );
    place.world.later(Duration::from_secs(16));
    let done = runs.resume(&run).await.unwrap();
    assert_eq!((done.state(), done.context.results.len()), (AgentState::Completed, 3));
    assert_eq!(place.world.executed(), ["a", "gate", "gate", "b"]);
}

#[tokio::test]
async fn resume_uses_the_checkpoint_s_task_and_executes_only_what_is_left() {
    let place = Place::new();
    let run = left_at_the_gate(&place, "one two gate").await;
    place.world.later(Duration::from_secs(16));
    place.world.executed.lock().clear();
    let done = place.runs().await.resume(&run).await.unwrap();
    assert_eq!(done.context.task, "one two gate");
    assert_eq!((done.context.current_step, place.world.executed()), (3, vec!["gate".to_owned()]));
}

#[tokio::test]
async fn code_whose_steps_changed_since_is_refused() {
    let place = Place::new();
    let run = left_at_the_gate(&place, "a gate b").await;
    place.world.later(Duration::from_secs(16));
    let store = place.open().await;
    let error = place.runs_of(&store, "2").resume(&run).await.unwrap_err();
    assert_eq!(error, RunError::CodeChanged { saved: "1".to_owned(), now: "2".to_owned() });
    let done = place.runs_of(&store, "1").resume(&run).await.unwrap();
    assert_eq!(done.state(), AgentState::Completed, "it was left as it was, and free");
    place.world.gate.open();
    let anew = place.runs_of(&store, "2").restart(&run).await.unwrap();
    assert_eq!(
        (anew.state(), anew.code.as_str()),
        (AgentState::Completed, "2"),
        "what is begun anew is its own"
    );
}

#[tokio::test]
async fn who_lost_its_run_writes_nothing_more() {
    let place = Place::new();
    let store = place.open().await;
    let runs = place.runs_of(&store, "1");
    let running = tokio::spawn(async move { runs.run("scripted", "a gate b").await });
    place.world.entered.one().await;
    let run = store.runs(RunFilter::default()).await.unwrap().remove(0).id;
    // It is silent for longer than its lease, and another process takes the run.
    let name = "beta@1".parse().unwrap();
    let lease = store.acquire(Resource::Run(run.clone()), name, 15_000, i64::MAX / 2).await.unwrap();
    place.world.gate.open();
    let lost = running.await.unwrap().unwrap_err();
    assert!(lost.is_fenced(), "{lost}");
    assert_eq!(place.world.executed(), ["a", "gate"]);
    store.release(&lease).await.unwrap();
    let left = place.runs_of(&store, "1").document(&run).await.unwrap();
    assert_eq!((left.state(), left.context.current_step), (AgentState::Executing, 1));
}

#[tokio::test]
async fn a_foreign_checkpoint_is_passed_over_and_its_parent_used() {
    let place = Place::new();
    let run = left_at_the_gate(&place, "a gate b").await;
    place.world.later(Duration::from_secs(16));
    let store = place.open().await;
    let name = "thief@1".parse().unwrap();
    let lease = store.acquire(Resource::Run(run.clone()), name, 15_000, i64::MAX / 2).await.unwrap();
    for foreign in ["no JSON at all", "{\"some\":\"other program's\"}"] {
        let changes = Changes::at(0).checkpoint(NewCheckpoint::new(7, foreign));
        store.write(&lease, changes).await.unwrap();
    }
    store.release(&lease).await.unwrap();
    let done = place.runs_of(&store, "1").resume(&run).await.unwrap();
    assert_eq!((done.state(), done.context.results.len()), (AgentState::Completed, 3));
    assert_eq!(place.world.executed(), ["a", "gate", "gate", "b"]);
}

#[tokio::test]
async fn a_run_with_nothing_but_foreign_checkpoints_says_so() {
    let place = Place::new();
    let store = place.open().await;
    let new = mesh_store::NewRun::new("scripted".parse().unwrap(), 0);
    let run = store.create_run(new).await.unwrap().id;
    let name = "thief@1".parse().unwrap();
    let lease = store.acquire(Resource::Run(run.clone()), name, 15_000, 0).await.unwrap();
    store.write(&lease, Changes::at(0).checkpoint(NewCheckpoint::new(7, "x"))).await.unwrap();
    store.release(&lease).await.unwrap();
    let error = place.runs_of(&store, "1").resume(&run).await.unwrap_err();
    assert_eq!(error.code(), "NO_CHECKPOINT");
}

#[tokio::test]
async fn one_process_at_a_time_has_a_run() {
    let place = Place::new();
    let store = place.open().await;
    let (one, other) = (place.runs_of(&store, "1"), place.runs_of(&store, "1"));
    let running = tokio::spawn(async move { one.run("scripted", "gate a").await });
    place.world.entered.one().await;
    let run = store.runs(RunFilter::default()).await.unwrap().remove(0).id;
    let held = other.resume(&run).await.unwrap_err();
    assert!(matches!(held, RunError::Store(StoreError::Held { .. })), "{held}");
    place.world.gate.open();
    assert_eq!(running.await.unwrap().unwrap().state(), AgentState::Completed);
    assert_eq!(other.resume(&run).await.unwrap_err().code(), "ILLEGAL_TRANSITION", "it is over");
}
