//! What an answer does, and to what.

use std::time::Duration;

use futures::future::join_all;
use mesh_agents::approvals::{
    AnswerApproval, ApprovalNews, Decision, Level, NotDone, Policies, Policy, Request, TOPIC, Word,
};
use serde_json::json;

use crate::desk::{Desk, Effect, answer, cleanup, within};

#[tokio::test]
async fn what_is_approved_is_done_and_what_is_rejected_is_not() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let running = effect.begin(&desk.gate, cleanup().description("the disk is full"));
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!(
        (row.agent.as_str(), row.action.as_str(), row.level.as_str()),
        ("ops@alpha", "delete_files", "confirm")
    );
    assert_eq!(effect.count(), 0, "nothing is done before");
    assert_eq!(ann.answer(row, Word::Approve).await.unwrap().state, "approved");
    assert_eq!(within(running).await.unwrap(), Ok(json!({"glob": "logs/*.gz"})));

    let running = effect.begin(&desk.gate, cleanup());
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!(ann.answer(row, Word::Reject).await.unwrap().state, "rejected");
    let Err(NotDone::Denied(denial)) = within(running).await.unwrap() else { panic!("it was rejected") };
    assert_eq!(
        (denial.by.as_str(), denial.reason.as_str(), denial.code()),
        ("client/ann", "as I see it", "USER_CANCELLED")
    );
    assert_eq!(effect.count(), 1);

    let detail = ann.show(&row.id).await.unwrap();
    let told: Vec<_> = detail.events.iter().map(|event| (event.by.as_str(), event.what.as_str())).collect();
    assert_eq!(told, [("ops@alpha", "requested"), ("client/ann", "rejected")], "all of it is on record");
}

#[tokio::test]
async fn row_7_a_replayed_answer_has_no_second_effect_also_after_a_restart() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let running = effect.begin(&desk.gate, cleanup().key("k"));
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    let yes = answer(row, Word::Approve);
    ann.send(&yes).await.unwrap();
    within(running).await.unwrap().unwrap();
    assert_eq!(ann.send(&yes).await, Err("NOT_PENDING".to_owned()));

    let desk = desk.restart().await;
    let ann = desk.person("ann").await;
    assert_eq!(ann.send(&yes).await, Err("NOT_PENDING".to_owned()));
    assert_eq!(
        ann.send(&AnswerApproval { verdict: Word::Reject, ..yes }).await,
        Err("NOT_PENDING".to_owned())
    );
    assert_eq!(effect.count(), 1);
}

#[tokio::test]
async fn row_8_an_approval_is_of_exactly_one_action_with_its_arguments() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let running = effect.begin(&desk.gate, cleanup().key("k"));
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };

    let changed = Request::new("ops", "delete_files", json!({"glob": "logs/*.gy"})).key("k");
    let refused = effect.through(&desk.gate, changed).await.unwrap_err();
    assert_eq!(refused.code(), "OTHER_ACTION", "one byte is another");
    let other = AnswerApproval { hash: row.hash.replace(['0', '1', '2'], "3"), ..answer(row, Word::Approve) };
    assert_eq!(ann.send(&other).await, Err("OTHER_ACTION".to_owned()));
    assert_eq!((effect.count(), ann.list().await.unwrap().len()), (0, 1), "it still waits");

    ann.answer(row, Word::Approve).await.unwrap();
    within(running).await.unwrap().unwrap();
    let Ok(Decision::Approved(permit)) = desk.gate.ask(cleanup().key("k")).await else {
        panic!("it was approved")
    };
    assert_eq!(permit.check("delete_files", &json!({"glob": "logs/*.gz"})), Ok(()));
    assert!(permit.check("delete_files", &json!({"glob": "logs/*.gy"})).is_err());
    assert!(permit.check("delete_file", &json!({"glob": "logs/*.gz"})).is_err());
}

#[tokio::test]
async fn what_runs_after_an_edit_is_the_edited_action_and_it_is_validated_again() {
    let desk = Desk::open().await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let checked = || {
        cleanup().key("k").check(|args| match args["glob"].as_str() {
            Some(glob) if glob.ends_with(".gz") => Ok(()),
            _ => Err("a glob of .gz files is wanted".to_owned()),
        })
    };
    let running = effect.begin(&desk.gate, checked());
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!(ann.edit(row, &json!({"glob": "/"})).await, Err("BAD_EDIT".to_owned()));
    let no_json = AnswerApproval { args: Some("{".to_owned()), ..answer(row, Word::Edit) };
    assert_eq!(ann.send(&no_json).await, Err("BAD_EDIT".to_owned()));
    ann.edit(row, &json!({"glob": "logs/2019*.gz"})).await.unwrap();
    assert_eq!(within(running).await.unwrap(), Ok(json!({"glob": "logs/2019*.gz"})));
    let detail = ann.show(&row.id).await.unwrap();
    assert_eq!(detail.original_args.as_deref(), Some(r#"{"glob":"logs/*.gz"}"#));
    assert_eq!(detail.approved_by, ["client/ann"]);

    // While nobody waits for it, nobody knows what its arguments may be.
    let running = effect.begin(&desk.gate, checked().key("later"));
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    running.abort();
    let desk = desk.restart().await;
    desk.person("ann").await.edit(row, &json!({"glob": "/"})).await.unwrap();
    let refused = effect.through(&desk.gate, checked().key("later")).await.unwrap_err();
    assert_eq!(refused.code(), "BAD_EDIT");
    assert_eq!(effect.count(), 1, "neither the edited nor the original is done");
}

#[tokio::test]
async fn of_two_approvers_who_race_one_decides_and_the_effect_is_one() {
    let desk = Desk::open().await;
    let (ann, bob, effect) = (desk.person("ann").await, desk.person("bob").await, Effect::default());
    for _ in 0..10 {
        let before = effect.count();
        let running = effect.begin(&desk.gate, cleanup());
        let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
        let answers = join_all([ann.answer(row, Word::Approve), bob.answer(row, Word::Approve)]).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.contains(&Err("NOT_PENDING".to_owned())), "{answers:?}");
        within(running).await.unwrap().unwrap();
        assert_eq!(effect.count(), before + 1);
    }
}

#[tokio::test]
async fn a_quorum_is_of_different_people_and_of_one_action() {
    let desk = Desk::open().await;
    let (ann, bob, effect) = (desk.person("ann").await, desk.person("bob").await, Effect::default());
    let running = effect.begin(&desk.gate, cleanup().quorum(2));
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    let first = ann.answer(row, Word::Approve).await.unwrap();
    assert_eq!((first.state.as_str(), first.missing), ("pending", 1));
    assert_eq!(ann.answer(row, Word::Approve).await, Err("ANSWERED".to_owned()));
    // Another certificate of the same name is the same person.
    let again = desk.person("ann").await;
    assert_eq!(again.answer(row, Word::Approve).await, Err("ANSWERED".to_owned()));

    let edited = bob.edit(row, &json!({"glob": "logs/1.gz"})).await.unwrap();
    assert_eq!((edited.state.as_str(), edited.missing), ("pending", 1), "ann approved something else");
    assert_eq!(ann.answer(row, Word::Approve).await, Err("OTHER_ACTION".to_owned()));
    assert_eq!(effect.count(), 0);
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!(ann.answer(row, Word::Approve).await.unwrap().state, "approved");
    assert_eq!(within(running).await.unwrap(), Ok(json!({"glob": "logs/1.gz"})));
}

#[tokio::test]
async fn only_those_of_the_policy_may_answer() {
    let rule = Policy {
        approvers: Some(vec!["bob".to_owned()]),
        ..Policy::new(vec!["delete*".parse().unwrap()], Level::Confirm)
    };
    let desk = Desk::with(Policies { rules: vec![rule], ..Policies::shipped() }).await;
    let (ann, bob, effect) = (desk.person("ann").await, desk.person("bob").await, Effect::default());
    let running = effect.begin(&desk.gate, cleanup());
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    for word in [Word::Approve, Word::Reject] {
        assert_eq!(ann.answer(row, word).await, Err("DENIED".to_owned()));
    }
    bob.answer(row, Word::Approve).await.unwrap();
    within(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn errors_of_the_action_come_back_as_errors() {
    let desk = Desk::open().await;
    let request = Request::new("ops", "read_file", json!({"path": "x"}));
    let failed = desk.gate.run(request, async |_| Err::<(), _>("no such file".to_owned())).await.unwrap_err();
    assert_eq!(failed, NotDone::Failed("no such file".to_owned()));
    assert_eq!((failed.code(), failed.to_string().as_str()), ("EXECUTION_ERROR", "no such file"));
}

#[tokio::test]
async fn notify_and_none_are_on_record_too() {
    let rule = Policy::new(vec!["send*".parse().unwrap()], Level::Notify);
    let rules = [Policies::shipped().rules, vec![rule]].concat();
    let desk = Desk::with(Policies { rules, ..Policies::shipped() }).await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    for action in ["read_file", "send_mail"] {
        effect.through(&desk.gate, Request::new("ops", action, json!({}))).await.unwrap();
    }
    let history = ann.history().await;
    let mut told: Vec<_> =
        history.iter().map(|row| (row.action.as_str(), row.level.as_str(), row.state.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told, [("read_file", "none", "approved"), ("send_mail", "notify", "approved")]);
    for row in &history {
        assert_eq!(ann.show(&row.id).await.unwrap().events[1].by, "policy");
    }
    assert_eq!(effect.count(), 2);
}

#[tokio::test]
async fn who_follows_the_topic_is_told_of_what_is_asked_and_what_became_of_it() {
    let rule = Policy::new(vec!["send*".parse().unwrap()], Level::Notify);
    let desk = Desk::with(Policies { rules: vec![rule], ..Policies::shipped() }).await;
    let (ann, effect) = (desk.person("ann").await, Effect::default());
    let mut news = desk.node.mesh().follow(TOPIC, None).await.unwrap();
    effect.through(&desk.gate, Request::new("ops", "send_mail", json!({"to": "bob"}))).await.unwrap();
    let running = effect.begin(&desk.gate, cleanup());
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    ann.answer(row, Word::Reject).await.unwrap();
    assert!(within(running).await.unwrap().is_err());
    for told in [("send_mail", "approved"), ("delete_files", "pending"), ("delete_files", "rejected")] {
        let body = within(news.next()).await.unwrap().unwrap().body;
        assert!(!body.contains("bob") && !body.contains("logs"), "arguments are not for everybody: {body}");
        let seen: ApprovalNews = serde_json::from_str(&body).unwrap();
        assert_eq!((seen.action.as_str(), seen.state.as_str()), told);
    }
}

#[tokio::test]
async fn an_asker_can_be_stricter_than_the_policies_and_not_laxer() {
    let desk = Desk::open().await;
    let ann = desk.person("ann").await;
    let effect = Effect::default();
    let stricter = Request::new("ops", "read_file", json!({})).at_least(Level::Review);
    let laxer = Request::new("ops", "delete", json!({})).at_least(Level::None);
    let running =
        [stricter, laxer].map(|request| effect.begin(&desk.gate, request.timeout(Duration::from_secs(60))));
    let rows = ann.sees(2).await;
    let levels: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.level.as_str())).collect();
    assert!(
        levels.contains(&("read_file", "review")) && levels.contains(&("delete", "confirm")),
        "{levels:?}"
    );
    running.iter().for_each(tokio::task::JoinHandle::abort);
}
