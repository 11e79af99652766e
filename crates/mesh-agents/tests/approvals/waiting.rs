//! How long a request waits, and through what.

use std::time::Duration;

use futures::future::join_all;
use mesh_agents::approvals::{Gate, NotDone, Request, Word};
use serde_json::json;

use crate::desk::{Desk, Effect, cleanup, within};

#[tokio::test]
async fn what_nobody_answers_expires_as_denied() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let short = cleanup().timeout(Duration::from_millis(300)).key("k");
    let running = effect.begin(&desk.gate, short.clone());
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    let Err(NotDone::Denied(denial)) = within(running).await.unwrap() else { panic!("nobody answered") };
    assert!(denial.is_expired && denial.code() == "TIMEOUT", "{denial:?}");
    assert_eq!(ann.answer(row, Word::Approve).await, Err("NOT_PENDING".to_owned()));
    // Asked again, it has run out still.
    let again = effect.through(&desk.gate, short).await.unwrap_err();
    assert_eq!((again.code(), effect.count()), ("TIMEOUT", 0));
    assert_eq!(ann.history().await[0].state, "expired");
}

#[tokio::test]
async fn requests_survive_a_restart_and_who_asks_again_goes_on() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let request = |number: usize| {
        Request::new("ops", "delete_file", json!({"n": number})).key(format!("step/{number}"))
    };
    let begin =
        |gate: &Gate| -> Vec<_> { (0..5).map(|number| effect.begin(gate, request(number))).collect() };
    let running = begin(&desk.gate);
    let before = ann.sees(5).await;
    running.iter().for_each(tokio::task::JoinHandle::abort);

    let desk = desk.restart().await;
    let ann = desk.person("ann").await;
    let ids = |rows: &[mesh_agents::approvals::ApprovalRow]| -> Vec<String> {
        rows.iter().map(|row| row.id.clone()).collect()
    };
    assert_eq!(ids(&ann.list().await.unwrap()), ids(&before), "nobody has asked again yet");
    let running = begin(&desk.gate);
    for row in &before {
        ann.answer(row, Word::Approve).await.unwrap();
    }
    let done = within(join_all(running)).await;
    assert!(done.into_iter().all(|done| done.unwrap().is_ok()));
    assert_eq!((effect.count(), ann.history().await.len()), (5, 5), "no request was made twice");
}

#[tokio::test]
async fn an_inbox_that_crashes_forgets_nobody() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let crashes = cleanup().check(|_| panic!("a check with a mistake in it"));
    let running = effect.begin(&desk.gate, crashes);
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert!(ann.edit(row, &json!({"glob": "x"})).await.is_err());
    let [row] = &ann.sees(1).await[..] else { panic!("it still waits") };
    ann.answer(row, Word::Approve).await.unwrap();
    assert_eq!(within(running).await.unwrap(), Ok(json!({"glob": "logs/*.gz"})));
}

#[tokio::test]
async fn a_gate_to_nowhere_lets_nothing_pass() {
    let effect = Effect::default();
    let refused =
        effect.through(&Gate::new(), Request::new("ops", "read_file", json!({}))).await.unwrap_err();
    assert_eq!((refused.code(), effect.count()), ("NO_APPROVALS", 0));
}

#[tokio::test]
async fn a_request_that_cannot_be_kept_is_refused_and_nobody_is_asked() {
    let desk = Desk::open().await;
    let effect = Effect::default();
    for bad in [
        Request::new("ops", "../../x", json!({"pad": "x".repeat(300 << 10)})),
        Request::new("ops", "delete all\nfiles", json!({})),
        Request::new("ops", "", json!({})),
        Request::new("o ps", "delete", json!({})),
    ] {
        let refused = effect.through(&desk.gate, bad).await.unwrap_err();
        assert_eq!(refused.code(), "BAD_REQUEST", "{refused}");
    }
    assert_eq!((effect.count(), desk.store.latest_approvals(10).await.unwrap().len()), (0, 0));
}
