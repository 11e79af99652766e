//! Runs on a node: paused, resumed, cancelled, forked, deleted, handed over and taken up.

use std::time::Duration;

use mesh_agents::durable::{
    CancelRun, DeleteRun, ExportRun, ForkRun, ListRuns, PauseRun, ResumeRun, RunSettings, RunStatus, ShowRun,
    StartRun,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::node::{Member, look_again};
use crate::script::{LIMIT, Place};

#[tokio::test]
async fn a_pause_during_a_step_holds_after_it_and_resume_goes_on() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a gate b").await.run;
    place.world.entered.one().await;
    let asked = alpha.pause(&run).await;
    assert_eq!((asked.status.as_str(), asked.wanted.as_deref()), ("executing", Some("pause")));
    place.world.gate.open();
    let paused = alpha.until(&run, "paused").await;
    assert_eq!((paused.row.current_step, paused.row.holder), (2, None));
    assert_eq!(place.world.executed(), ["a", "gate"]);
    alpha.pause(&run).await;

    alpha.ask(ResumeRun { run: run.clone() }).await.unwrap();
    let done = alpha.until(&run, "completed").await;
    assert_eq!(place.world.executed(), ["a", "gate", "b"]);
    assert_eq!(done.steps.iter().filter(|step| step.state == "done").count(), 3);
}

#[tokio::test]
async fn a_pause_during_the_last_step_holds_and_resume_at_the_end_completes() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a gate").await.run;
    place.world.entered.one().await;
    alpha.pause(&run).await;
    place.world.gate.open();
    let paused = alpha.until(&run, "paused").await;
    assert_eq!((paused.row.current_step, paused.row.steps), (2, Some(2)));
    alpha.ask(ResumeRun { run: run.clone() }).await.unwrap();
    alpha.until(&run, "completed").await;
    assert_eq!(place.world.executed(), ["a", "gate"], "nothing runs again");
}

#[tokio::test]
async fn a_pause_can_be_taken_back_before_it_takes_effect() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("gate a").await.run;
    place.world.entered.one().await;
    alpha.pause(&run).await;
    let row = alpha.ask(ResumeRun { run: run.clone() }).await.unwrap();
    assert_eq!(row.wanted, None);
    place.world.gate.open();
    alpha.until(&run, "completed").await;
}

#[tokio::test]
async fn cancel_interrupts_a_step_by_its_token_and_in_the_end_by_force() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    for step in ["cancel", "deaf"] {
        let run = alpha.begin(&format!("a {step} b")).await.run;
        place.world.entered.one().await;
        alpha.ask(CancelRun { run: run.clone() }).await.unwrap();
        let shown = alpha.until(&run, "cancelled").await;
        assert_eq!(shown.row.current_step, 1);
        assert_eq!(place.world.executed().last().unwrap(), step);
        let refused = alpha.ask(ResumeRun { run }).await.unwrap_err();
        assert_eq!(refused.code, "ILLEGAL_TRANSITION");
    }
}

#[tokio::test]
async fn a_paused_run_can_be_cancelled_and_a_finished_one_cannot_be_paused() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("gate b").await.run;
    place.world.entered.one().await;
    alpha.pause(&run).await;
    place.world.gate.open();
    alpha.until(&run, "paused").await;
    alpha.ask(CancelRun { run: run.clone() }).await.unwrap();
    alpha.until(&run, "cancelled").await;
    let refused = alpha.ask(PauseRun { run }).await.unwrap_err();
    assert_eq!(refused.code, "ILLEGAL_TRANSITION");
}

#[tokio::test]
async fn a_step_that_waits_for_a_person_is_seen_to_and_can_be_paused() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a ask b").await.run;
    place.world.entered.one().await;
    alpha.until(&run, "waiting_human").await;
    alpha.pause(&run).await;
    alpha.until(&run, "paused").await;
    alpha.ask(ResumeRun { run: run.clone() }).await.unwrap();
    place.world.entered.one().await;
    alpha.until(&run, "waiting_human").await;
    place.world.gate.open();
    let done = alpha.until(&run, "completed").await;
    assert!(done.journal.iter().any(|entry| entry.kind == "human.asked" && entry.text.contains("may I?")));
    let doubts = place.world.doubts.lock().clone();
    assert_eq!(doubts[2], ("ask".to_owned(), true), "it may have done something before it asked");
}

#[tokio::test]
async fn a_run_is_forked_from_any_checkpoint_and_goes_its_own_way() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a b c").await.run;
    let shown = alpha.until(&run, "completed").await;
    let second = shown.checkpoints.iter().find(|checkpoint| checkpoint.step == 1).unwrap();
    let at = alpha.ask(ShowRun { run: run.clone(), at: Some(second.id.clone()) }).await.unwrap();
    assert_eq!(at.steps.iter().filter(|step| step.state == "done").count(), 1, "time travel");
    place.world.executed.lock().clear();
    let checkpoint = Some(second.id.clone());
    let fork = ForkRun { run: run.clone(), checkpoint, id: Some("my-fork".to_owned()), start: true };
    let fork = alpha.ask(fork).await.unwrap();
    assert_eq!((fork.run.as_str(), fork.forked_from.as_deref()), ("my-fork", Some(second.id.as_str())));
    let done = alpha.until("my-fork", "completed").await;
    assert_eq!(place.world.executed(), ["b", "c"]);
    assert_eq!(done.steps[0].result.as_deref(), Some(r#"{"did":"a","step":0}"#));
    assert_eq!(done.checkpoints.last().unwrap().parent.as_deref(), Some(second.id.as_str()), "its lineage");
    let origin = alpha.ask(DeleteRun { run }).await.unwrap_err();
    assert_eq!(origin.code, "STORE_CONFLICT", "the fork needs its origin");
}

#[tokio::test]
async fn runs_are_listed_shown_exported_and_deleted() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let start = StartRun {
        agent: "scripted".to_owned(),
        task: "a".to_owned(),
        run: Some("mine".to_owned()),
        tags: vec!["red".to_owned()],
        afresh: false,
    };
    alpha.ask(start.clone()).await.unwrap();
    alpha.until("mine", "completed").await;
    assert_eq!(alpha.ask(start.clone()).await.unwrap_err().code, "STORE_CONFLICT");
    alpha.ask(StartRun { afresh: true, ..start }).await.unwrap();
    alpha.until("mine", "completed").await;
    assert_eq!(place.world.executed(), ["a", "a"]);

    let only = |tag: &str| ListRuns {
        run: None,
        status: None,
        agent: None,
        tag: Some(tag.to_owned()),
        after: None,
        limit: 0,
    };
    assert_eq!(alpha.ask(only("red")).await.unwrap().runs.len(), 1);
    assert_eq!(alpha.ask(only("blue")).await.unwrap().runs.len(), 0);
    let json = alpha.ask(ExportRun { run: "mine".to_owned() }).await.unwrap().json;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["document"]["context"]["results"][0]["did"], "a");
    assert_eq!(document["journal"][0]["said"]["task"], "a");
    alpha.ask(DeleteRun { run: "mine".to_owned() }).await.unwrap();
    let gone = alpha.ask(ShowRun { run: "mine".to_owned(), at: None }).await.unwrap_err();
    assert_eq!(gone.code, "STORE_NOT_FOUND");
    let bad = alpha.ask(ShowRun { run: "../x".to_owned(), at: None }).await.unwrap_err();
    assert_eq!(bad.code, "BAD_NAME");
}

#[tokio::test]
async fn a_run_that_is_paused_can_be_started_afresh() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let start = StartRun {
        agent: "scripted".to_owned(),
        task: "a gate b".to_owned(),
        run: Some("mine".to_owned()),
        tags: Vec::new(),
        afresh: true,
    };
    alpha.ask(start.clone()).await.unwrap();
    place.world.entered.one().await;
    assert_eq!(alpha.ask(start.clone()).await.unwrap_err().code, "AT_WORK");
    alpha.pause("mine").await;
    place.world.gate.open();
    alpha.until("mine", "paused").await;
    place.world.gate.open();
    alpha.ask(start).await.unwrap();
    alpha.until("mine", "completed").await;
    assert_eq!(place.world.executed(), ["a", "gate", "a", "gate", "b"]);
}

#[tokio::test]
async fn a_run_at_work_is_an_actor_of_its_own_and_cannot_be_deleted() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a gate").await.run;
    place.world.entered.one().await;
    let actor = alpha.node.mesh().recipient::<RunStatus>(&format!("alpha/runs/{run}")).unwrap();
    let standing = actor.ask(RunStatus {}).await.unwrap();
    assert_eq!((standing.state.as_str(), standing.current_step), ("executing", 1));
    let refused = alpha.ask(DeleteRun { run: run.clone() }).await.unwrap_err();
    assert_eq!(refused.code, "AT_WORK");
    place.world.gate.open();
    alpha.until(&run, "completed").await;
}

#[tokio::test]
async fn a_run_whose_lease_has_run_out_is_taken_up_by_itself() {
    let place = Place::new();
    let store = place.open().await;
    let runs = place.runs_of(&store, "1");
    let running = tokio::spawn(async move { runs.run("scripted", "a gate b").await });
    place.world.entered.one().await;
    running.abort();
    let _ = running.await;
    let run = store.runs(mesh_store::RunFilter::default()).await.unwrap().remove(0).id.to_string();
    let beta = place.member("beta").await;
    assert_eq!(beta.show(&run).await.row.epoch, 1);
    place.world.gate.open();
    place.world.later(Duration::from_secs(16));
    let done = beta.until(&run, "completed").await;
    assert_eq!(done.row.epoch, 2);
    assert_eq!(place.world.executed(), ["a", "gate", "gate", "b"]);
}

#[tokio::test]
async fn a_node_that_leaves_lets_go_of_its_runs_between_two_steps() {
    let place = Place::new();
    let alpha = place.member("alpha").await;
    let run = alpha.begin("a gate b gate c").await.run;
    place.world.entered.one().await;
    let mesh = alpha.node.mesh().clone();
    let leaving = tokio::spawn(alpha.node.leave());
    let end = Instant::now() + LIMIT;
    while mesh.tree().iter().any(|actor| actor.name == "runs") {
        assert!(Instant::now() < end, "its runs are still controlled");
        look_again().await;
    }
    place.world.gate.open();
    leaving.await.unwrap();
    assert_eq!(place.world.executed(), ["a", "gate"]);

    let beta = place.member("beta").await;
    place.world.gate.open();
    let done = beta.until(&run, "completed").await;
    assert_eq!(place.world.executed(), ["a", "gate", "b", "gate", "c"], "no step ran twice");
    assert!(done.journal.iter().any(|entry| entry.kind == "run.handed_over"));
    assert!(place.world.doubts.lock().iter().all(|(_, doubt)| !doubt));
}

#[tokio::test]
async fn a_run_that_ends_its_processes_at_one_step_is_poison_in_the_end() {
    let place = Place::new();
    let store = place.open().await;
    let runs = place.runs_of(&store, "1");
    let running = tokio::spawn(async move { runs.run("scripted", "a gate b").await });
    place.world.entered.one().await;
    running.abort();
    let _ = running.await;
    let run = store.runs(mesh_store::RunFilter::default()).await.unwrap().remove(0).id.to_string();
    place.world.later(Duration::from_secs(16));
    let (lease, interruptions_max) = (Duration::from_millis(300), 0);
    let settings = RunSettings { lease, interruptions_max, ..place.settings() };
    let beta = Member::start("beta", place.runs_of(&store, "1").settings(settings)).await;
    let failed = beta.until(&run, "failed").await;
    assert!(failed.row.fault.unwrap().starts_with("POISONED"));
    assert_eq!(place.world.executed(), ["a", "gate"], "it was not run again");
    place.world.gate.open();
    beta.ask(ResumeRun { run: run.clone() }).await.unwrap();
    beta.until(&run, "completed").await;
}
