//! Who is told of changes, and what their failures do.

use std::sync::Arc;

use mesh_agents::durable::{HookError, RunError};
use mesh_agents::lifecycle::AgentState;
use mesh_store::StoreError;
use parking_lot::Mutex;

use crate::script::Place;
use AgentState::{Checkpointing, Completed, Executing, Failed, Idle, Planning};

#[tokio::test]
async fn hooks_see_the_old_and_the_new_state_before_the_change() {
    let place = Place::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let runs = place.runs().await.on_change({
        let seen = Arc::clone(&seen);
        move |_, old, new| {
            seen.lock().push((old, new));
            async { Ok(()) }
        }
    });
    runs.run("scripted", "a b").await.unwrap();
    let expected = [
        (Idle, Planning),
        (Planning, Checkpointing),
        (Checkpointing, Executing),
        (Executing, Checkpointing),
        (Checkpointing, Executing),
        (Executing, Checkpointing),
        (Checkpointing, Completed),
    ];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn a_hook_that_fails_is_a_typed_error_and_loses_no_run() {
    let place = Place::new();
    for refused in [(Executing, Checkpointing), (Checkpointing, Executing), (Checkpointing, Completed)] {
        let is_armed = Arc::new(Mutex::new(true));
        let runs = place.runs().await.on_change({
            let is_armed = Arc::clone(&is_armed);
            move |_, old, new| {
                let fails = (old, new) == refused && std::mem::take(&mut *is_armed.lock());
                async move { if fails { Err(HookError::new("not now")) } else { Ok(()) } }
            }
        });
        place.world.executed.lock().clear();
        let failed = runs.run("scripted", "a b").await.unwrap();
        assert_eq!(failed.state(), Failed, "{refused:?}");
        let fault = failed.fault.clone().unwrap();
        assert_eq!(fault.code, "HOOK_FAILED");
        assert!(fault.message.contains("not now"), "{}", fault.message);
        let done = runs.resume(&failed.run.parse().unwrap()).await.unwrap();
        assert_eq!(done.state(), Completed);
        assert_eq!(done.context.results.len(), 2);
        assert_eq!(place.world.executed(), ["a", "b"], "what was done is not done again: {refused:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_is_a_typed_error_and_loses_no_run() {
    let place = Place::new();
    let store = place.open().await;
    let runs = place.runs_of(&store, "1");
    let running = tokio::spawn({
        let runs = runs.clone();
        async move { runs.run("scripted", "a gate b").await }
    });
    place.world.entered.one().await;
    store.close().await;
    place.world.gate.open();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error, RunError::Store(StoreError::Closed));

    place.world.later(std::time::Duration::from_secs(3600));
    let runs = place.runs().await;
    let run = runs.store().runs(mesh_store::RunFilter::default()).await.unwrap().remove(0);
    place.world.gate.open();
    let done = runs.resume(&run.id).await.unwrap();
    assert_eq!((done.state(), done.context.results.len()), (Completed, 3));
    assert_eq!(place.world.executed(), ["a", "gate", "gate", "b"], "the step in doubt alone runs again");
    let doubts = place.world.doubts.lock().clone();
    assert_eq!(doubts[2], ("gate".to_owned(), true));
}
