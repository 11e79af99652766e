use futures::future::join_all;
use mesh_store::{
    Answer, Answered, Approval, ApprovalFilter, ApprovalId, ApprovalState, NewApproval, Store, StoreError,
    Verdict,
};

use crate::place::Place;
use crate::words::{NOW, id, name};

const EXPIRES: i64 = NOW + 300_000;

fn new(needed: u32) -> NewApproval {
    NewApproval {
        run: Some(id("r")),
        by: name("alpha/cleaner"),
        action: name("delete_files"),
        level: name("confirm"),
        payload: "rm old".into(),
        needed,
        note: "to make room".to_owned(),
        at_ms: NOW,
        expires_ms: EXPIRES,
    }
}

async fn request(store: &Store, needed: u32) -> Approval {
    store.request_approval(new(needed)).await.unwrap()
}

fn answer(to: &Approval, by: &str, verdict: Verdict) -> Answer {
    Answer { by: name(by), action_hash: to.action_hash(), verdict, note: String::new(), at_ms: NOW + 1 }
}

pub(super) async fn of_racing_answers_one_decides(place: &Place) {
    let store = place.open().await;
    for _ in 0..5 {
        let asked = request(&store, 1).await;
        let answers = (0..8).map(|number| {
            let store = store.clone();
            let verdict = if number % 2 == 0 { Verdict::Approve } else { Verdict::Reject };
            let answer = answer(&asked, &format!("person-{number}"), verdict);
            tokio::spawn(async move { store.answer_approval(asked.id, answer).await })
        });
        let answers: Vec<_> = join_all(answers).await.into_iter().map(Result::unwrap).collect();
        let decided: Vec<_> = answers.iter().flatten().collect();
        let [Answered::Decided(decided)] = decided[..] else { panic!("{answers:?}") };
        assert_eq!(store.approval(asked.id).await.unwrap(), *decided);
        assert!(
            answers.iter().filter_map(|a| a.as_ref().err()).all(|e| matches!(e, StoreError::Conflict { .. }))
        );
    }
}

pub(super) async fn a_quorum_counts_each_person_once(place: &Place) {
    let store = place.open().await;
    let asked = request(&store, 3).await;
    let give = async |by: &str| store.answer_approval(asked.id, answer(&asked, by, Verdict::Approve)).await;
    assert!(matches!(give("ann").await, Ok(Answered::Counted(_, 2))));
    assert!(matches!(give("ann").await, Err(StoreError::Conflict { .. })));
    assert!(matches!(give("bob").await, Ok(Answered::Counted(_, 1))));
    assert!(matches!(give("cy").await, Ok(Answered::Decided(a)) if a.state == ApprovalState::Approved));

    let asked = request(&store, 3).await;
    let no = store.answer_approval(asked.id, answer(&asked, "ann", Verdict::Reject)).await.unwrap();
    assert!(matches!(no, Answered::Decided(a) if a.state == ApprovalState::Rejected));
}

pub(super) async fn an_edit_is_approved_as_it_is(place: &Place) {
    let store = place.open().await;
    let asked = request(&store, 2).await;
    store.answer_approval(asked.id, answer(&asked, "ann", Verdict::Approve)).await.unwrap();
    let edit = Verdict::ApproveEdited("rm older".into());
    let edited = store.answer_approval(asked.id, answer(&asked, "bob", edit)).await.unwrap();
    let Answered::Counted(edited, 1) = edited else { panic!("ann approved something else: {edited:?}") };
    assert_eq!(edited.payload, "rm older");
    let old = store.answer_approval(asked.id, answer(&asked, "cy", Verdict::Approve)).await;
    assert!(matches!(old, Err(StoreError::Conflict { .. })), "cy saw what it was before");
    let new = store.answer_approval(asked.id, answer(&edited, "ann", Verdict::Approve)).await.unwrap();
    assert!(
        matches!(new, Answered::Decided(a) if a.state == ApprovalState::Approved && a.payload == "rm older")
    );
}

pub(super) async fn what_nobody_answers_expires_as_a_no(place: &Place) {
    let store = place.open().await;
    let asked = request(&store, 1).await;
    assert_eq!(store.expire_approvals(EXPIRES - 1).await, Ok(vec![]));
    let late = Answer { at_ms: EXPIRES, ..answer(&asked, "ann", Verdict::Approve) };
    assert!(matches!(store.answer_approval(asked.id, late).await, Err(StoreError::Conflict { .. })));
    let sweeps = join_all((0..4).map(|_| store.expire_approvals(EXPIRES))).await;
    let expired: Vec<_> = sweeps.into_iter().flat_map(Result::unwrap).collect();
    assert!(matches!(&expired[..], [a] if a.id == asked.id && a.state == ApprovalState::Expired));
    let after = store.answer_approval(asked.id, answer(&asked, "ann", Verdict::Approve)).await;
    assert!(matches!(after, Err(StoreError::Conflict { .. })));
}

pub(super) async fn every_event_is_on_record(place: &Place) {
    let store = place.open().await;
    let asked = request(&store, 2).await;
    request(&store, 1).await;
    let yes = Answer { note: "fine".to_owned(), ..answer(&asked, "ann", Verdict::Approve) };
    store.answer_approval(asked.id, yes).await.unwrap();
    store.answer_approval(asked.id, answer(&asked, "bob", Verdict::Reject)).await.unwrap();
    store.close().await;

    let store = place.open().await;
    let events = store.approval_events(asked.id).await.unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.actor.as_str(), e.what.as_str(), e.note.as_str())).collect();
    let expected = [
        ("alpha/cleaner", "requested", "to make room"),
        ("ann", "approved", "fine"),
        ("bob", "rejected", ""),
    ];
    assert_eq!(told, expected);
    let listed = async |state, run| {
        let filter = ApprovalFilter { state, run, ..ApprovalFilter::default() };
        store.approvals(filter).await.unwrap().len()
    };
    assert_eq!(listed(None, None).await, 2);
    assert_eq!(listed(Some(ApprovalState::Pending), None).await, 1);
    assert_eq!(listed(Some(ApprovalState::Rejected), Some(id("r"))).await, 1);
    assert_eq!(listed(None, Some(id("other"))).await, 0);
}

pub(super) async fn an_answer_to_another_action_does_not_count(place: &Place) {
    let store = place.open().await;
    let asked = request(&store, 1).await;
    let other = Answer {
        action_hash: mesh_store::ContentHash::of(b"rm -rf /"),
        ..answer(&asked, "ann", Verdict::Approve)
    };
    assert!(matches!(store.answer_approval(asked.id, other).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.approval(asked.id).await.unwrap(), asked, "nothing changed");
}

pub(super) async fn who_asks_again_finds_what_was_asked_before(place: &Place) {
    let store = place.open().await;
    let key = ApprovalId::of("r", "step/1");
    let asks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.request_approval_once(key, new(1), false).await.unwrap() })
    });
    let asked: Vec<_> = join_all(asks).await.into_iter().map(Result::unwrap).collect();
    assert!(asked.iter().all(|one| *one == asked[0] && one.id == key));
    assert_eq!(store.approval_events(key).await.unwrap().len(), 1, "it was asked once");
    let edit = Verdict::ApproveEdited("rm older".into());
    store.answer_approval(key, answer(&asked[0], "ann", edit)).await.unwrap();
    store.close().await;

    let store = place.open().await;
    let again = store.request_approval_once(key, new(1), false).await.unwrap();
    assert_eq!((again.state, &again.payload[..]), (ApprovalState::Approved, &b"rm older"[..]));
    let other = NewApproval { payload: "rm -rf /".into(), ..new(1) };
    let other = store.request_approval_once(key, other, false).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
}

pub(super) async fn what_a_rule_approves_is_on_record(place: &Place) {
    let store = place.open().await;
    let key = ApprovalId::of("r", "step/2");
    let asked = store.request_approval_once(key, new(1), true).await.unwrap();
    assert_eq!(asked.state, ApprovalState::Approved);
    let events = store.approval_events(key).await.unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.actor.as_str(), e.what.as_str())).collect();
    assert_eq!(told, [("alpha/cleaner", "requested"), ("policy", "approved")]);

    let later = NewApproval { at_ms: NOW + 1, ..new(1) };
    let later = store.request_approval_once(ApprovalId::of("r", "step/3"), later, false).await.unwrap();
    assert_eq!(store.latest_approvals(10).await, Ok(vec![later.clone(), asked]));
    assert_eq!(store.latest_approvals(1).await, Ok(vec![later]));
}
