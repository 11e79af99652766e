//! What happens to a message for which there is no room.

use mesh_actor::{ActorSpec, AskError, Overflow};

use crate::actors::{Note, recorder, system};

#[tokio::test(start_paused = true)]
async fn a_rejecting_mailbox_fails_the_tell_at_once() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(1).overflow(Overflow::Reject));
    actor.pause();
    actor.tell(Note(0)).await.unwrap();
    let started = tokio::time::Instant::now();
    let full = AskError::MailboxFull { path: "a".into(), len: 1, capacity: 1, oldest_ms: 0 };
    assert_eq!(actor.tell(Note(1)).await, Err(full.clone()));
    assert_eq!(actor.ask(Note(1)).await, Err(full));
    assert_eq!(started.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_keeps_the_newest() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(3).overflow(Overflow::DropOldest));
    actor.pause();
    for number in 0..10 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!(actor.mailbox().len(), 3);
    assert_eq!(actor.mailbox().counters().dropped_overflow, 7);
    actor.resume();
    actor.ask(Note(10)).await.unwrap();
    assert_eq!(*log.lock(), [8, 9, 10], "the ask, too, displaced the oldest");
}

#[tokio::test(start_paused = true)]
async fn drop_newest_keeps_the_oldest() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(3).overflow(Overflow::DropNewest));
    actor.pause();
    for number in 0..10 {
        actor.tell(Note(number)).await.unwrap();
    }
    let dropped = actor.ask(Note(10)).await.unwrap_err();
    assert_eq!(dropped, AskError::MailboxFull { path: "a".into(), len: 3, capacity: 3, oldest_ms: 0 });
    actor.resume();
    crate::actors::eventually(|| actor.mailbox().is_empty()).await;
    assert_eq!(*log.lock(), [0, 1, 2]);
    assert_eq!(actor.mailbox().counters().dropped_overflow, 8);
}

#[tokio::test(start_paused = true)]
async fn conflation_keeps_the_latest_of_each_key_in_its_place() {
    let system = system();
    let by_tens = Overflow::conflate(|Note(number): &Note| number / 10);
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(3).overflow(by_tens));
    actor.pause();
    for number in [10, 20, 11, 30, 12, 21] {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!(actor.mailbox().len(), 3);
    actor.resume();
    crate::actors::eventually(|| actor.mailbox().is_empty()).await;
    assert_eq!(*log.lock(), [12, 21, 30]);

    actor.pause();
    for number in [10, 20, 30, 40, 11] {
        actor.tell(Note(number)).await.unwrap();
    }
    actor.resume();
    crate::actors::eventually(|| actor.mailbox().is_empty()).await;
    assert_eq!(log.lock()[3..], [30, 40, 11], "a key that was dropped comes back at the end");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_ask_is_told_that_it_did_not_run() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").overflow(Overflow::conflate(|_: &Note| ())));
    actor.pause();
    let replaced = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Note(0)).await }
    });
    crate::actors::eventually(|| actor.mailbox().len() == 1).await;
    actor.tell(Note(1)).await.unwrap();
    let error = replaced.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("MAILBOX_FULL", false));
}
