//! Checkpoints by hand, and tasks of plain steps that go on where they were left.

use std::sync::Arc;

use mesh_agents::durable::{Checkpoints, Resumable, ResumableError, Resume, RunError, StepError};
use mesh_store::{Changes, NewCheckpoint, Resource, RunId};
use parking_lot::Mutex;

use crate::script::Place;

type Done = Arc<Mutex<Vec<&'static str>>>;

/// Steps that append their letter; `c` fails as often as `fails` says.
fn letters(checkpoints: &Checkpoints, names: &[&'static str], done: &Done, fails: u32) -> Resumable<String> {
    let fails = Arc::new(Mutex::new(fails));
    names.iter().fold(Resumable::new(checkpoints.clone(), "letters"), |task, name| {
        let (done, fails, name) = (Arc::clone(done), Arc::clone(&fails), *name);
        task.step(name, move |state: String| {
            let (done, fails) = (Arc::clone(&done), Arc::clone(&fails));
            async move {
                done.lock().push(name);
                if name == "c" && *fails.lock() > 0 {
                    *fails.lock() -= 1;
                    return Err(StepError::new("NOT_YET", "not yet"));
                }
                Ok(state + name)
            }
        })
    })
}

#[tokio::test]
async fn a_failed_step_is_what_resume_runs_again_with_the_restored_state() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let done = Done::default();
    let task = letters(&checkpoints, &["a", "b", "c", "d"], &done, 1);
    let failed = task.run(">".to_owned(), Resume::Yes).await.unwrap_err();
    assert!(matches!(failed, ResumableError::Step { step: 2, ref name, .. } if name == "c"), "{failed}");
    let latest = checkpoints.latest::<String>("letters").await.unwrap().unwrap();
    assert_eq!((latest.saved.step, latest.saved.state.as_str()), (2, ">ab"));
    assert_eq!(checkpoints.list("letters").await.unwrap()[0].tags[0].as_str(), "failed");

    assert_eq!(task.run("other".to_owned(), Resume::Yes).await.unwrap(), ">abcd");
    assert_eq!(*done.lock(), ["a", "b", "c", "c", "d"]);
}

#[tokio::test]
async fn without_resume_a_task_starts_afresh() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let done = Done::default();
    let task = letters(&checkpoints, &["a", "b"], &done, 0);
    task.run("1".to_owned(), Resume::Yes).await.unwrap();
    assert_eq!(task.run("2".to_owned(), Resume::No).await.unwrap(), "2ab");
    let latest = checkpoints.latest::<String>("letters").await.unwrap().unwrap();
    assert_eq!(latest.saved.state, "2ab", "of two of one step, the later one");
}

#[tokio::test]
async fn steps_that_changed_since_are_refused() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let done = Done::default();
    letters(&checkpoints, &["a", "c"], &done, 1).run(String::new(), Resume::Yes).await.unwrap_err();
    let other = letters(&checkpoints, &["a", "x", "c"], &done, 0);
    let refused = other.run(String::new(), Resume::Yes).await.unwrap_err();
    assert!(matches!(refused, ResumableError::Run(RunError::CodeChanged { .. })), "{refused}");
    assert_eq!(other.run(String::new(), Resume::No).await.unwrap(), "axc");
}

#[tokio::test]
async fn retention_keeps_ten_and_what_is_pinned_and_nothing_of_another_task_goes() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let (a, longer) = (checkpoints.open("a").await.unwrap(), checkpoints.open("a_b").await.unwrap());
    longer.save(0, 1, &"kept", &[]).await.unwrap();
    let pinned = a.save(0, 99, &0, &["pin"]).await.unwrap();
    for step in 1..=30 {
        a.save(step, 99, &step, &[]).await.unwrap();
    }
    let kept = checkpoints.list("a").await.unwrap();
    let steps: Vec<_> = kept.iter().map(|checkpoint| checkpoint.step).collect();
    assert_eq!(steps, [30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 0], "a newer one never goes");
    assert_eq!(kept.last().unwrap().id, pinned);
    assert_eq!(checkpoints.list("a_b").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_is_forked_travels_in_time_and_has_a_lineage() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let task = checkpoints.open("origin").await.unwrap();
    let mut ids = Vec::new();
    for step in 0..4_u64 {
        ids.push(task.save(step, 4, &step, &[]).await.unwrap());
    }
    assert_eq!(checkpoints.at::<u64>(ids[1]).await.unwrap().saved.state, 1);
    checkpoints.fork(ids[1], "fork").await.unwrap();
    assert_eq!(checkpoints.latest::<u64>("fork").await.unwrap().unwrap().saved.state, 1);
    let fork = checkpoints.open("fork").await.unwrap();
    let other = fork.save(2, 4, &20_u64, &[]).await.unwrap();
    assert_eq!(checkpoints.lineage(other).await.unwrap(), [other, ids[1], ids[0]]);
    assert_eq!(checkpoints.latest::<u64>("origin").await.unwrap().unwrap().saved.state, 3);
    assert_eq!(task.delete(ids[1]).await.unwrap_err().code(), "STORE_CONFLICT", "the fork needs it");
    task.delete(ids[3]).await.unwrap();
    assert_eq!(checkpoints.latest::<u64>("origin").await.unwrap().unwrap().saved.state, 2);
}

#[tokio::test]
async fn a_foreign_checkpoint_of_a_task_is_skipped_with_its_parent_used() {
    let place = Place::new();
    let store = place.open().await;
    let checkpoints = Checkpoints::new(store.clone());
    let task = checkpoints.open("mine").await.unwrap();
    let good = task.save(1, 2, &"good", &[]).await.unwrap();
    task.close().await.unwrap();
    let run: RunId = "mine".parse().unwrap();
    let lease = store.acquire(Resource::Run(run), "x@1".parse().unwrap(), 1_000, i64::MAX / 2).await.unwrap();
    store.write(&lease, Changes::at(0).checkpoint(NewCheckpoint::new(9, "{}"))).await.unwrap();
    let latest = checkpoints.latest::<String>("mine").await.unwrap().unwrap();
    assert_eq!((latest.id, latest.skipped.len()), (good, 1));
}

#[tokio::test]
async fn a_task_has_one_writer_and_its_id_is_no_path() {
    let place = Place::new();
    let checkpoints = Checkpoints::new(place.open().await);
    let one = checkpoints.open("mine").await.unwrap();
    assert_eq!(checkpoints.open("mine").await.unwrap_err().code(), "STORE_HELD");
    one.close().await.unwrap();
    checkpoints.open("mine").await.unwrap();
    for bad in ["../x", "a/b", "", "a\0b"] {
        assert_eq!(checkpoints.open(bad).await.unwrap_err().code(), "BAD_NAME", "{bad:?}");
    }
}
