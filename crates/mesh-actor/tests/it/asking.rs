//! Asks and tells: replies, deadlines, cancellation.

use std::sync::Arc;
use std::time::Duration;

use mesh_actor::{Actor, ActorSpec, AskError, Context, Handler, Message, Sender};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::actors::{Note, Panic, doored, eventually, ms, recorder, secs, settle, system};

#[tokio::test(start_paused = true)]
async fn an_ask_brings_the_handlers_reply() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("echo"));
    assert_eq!(actor.ask(Note(7)).await, Ok(0));
    assert_eq!(actor.recipient::<Note>().ask(Note(8)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_sender_are_handled_in_the_order_of_sending() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(4));
    for number in 0..500 {
        actor.tell(Note(number)).await.unwrap();
    }
    actor.ask(Note(500)).await.unwrap();
    assert_eq!(*log.lock(), (0..=500).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_ask_ends_at_its_deadline_and_says_that_the_handler_was_started() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("slow"));
    let started = Instant::now();
    let error = actor.ask(Note(1)).timeout(secs(2)).await.unwrap_err();
    assert_eq!(started.elapsed(), secs(2));
    let expected = AskError::DeadlineExceeded { path: "slow".into(), budget_ms: 2000, may_have_run: true };
    assert_eq!(error, expected);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_deadline_passes_in_the_queue_is_not_run() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("slow"));
    let first = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Note(1)).timeout(secs(60)).await }
    });
    settle().await;
    let error = actor.ask(Note(2)).timeout(secs(1)).await.unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    actor.tell(Note(3)).timeout(ms(10)).await.unwrap();
    tokio::time::advance(ms(20)).await;
    door.add_permits(8);
    assert_eq!(first.await.unwrap(), Ok(0));
    actor.ask(Note(4)).await.unwrap();
    assert_eq!(*log.lock(), [1, 4]);
    assert_eq!(actor.mailbox().counters().dropped_expired, 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_asker_is_gone_is_not_run() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("slow"));
    actor.tell(Note(1)).await.unwrap();
    let gone = tokio::time::timeout(ms(5), actor.ask(Note(2)).into_future()).await;
    assert!(gone.is_err());
    door.add_permits(8);
    actor.ask(Note(3)).await.unwrap();
    assert_eq!(*log.lock(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_deadline_covers_the_wait_for_room_too() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("full").mailbox(1));
    actor.tell(Note(1)).await.unwrap();
    settle().await;
    actor.tell(Note(2)).await.unwrap();
    let started = Instant::now();
    let error = actor.ask(Note(3)).timeout(secs(1)).await.unwrap_err();
    assert_eq!(started.elapsed(), secs(1));
    assert_eq!(error, AskError::MailboxFull { path: "full".into(), len: 1, capacity: 1, oldest_ms: 1000 });
    assert!(!error.may_have_run());
}

#[tokio::test(start_paused = true)]
async fn a_tell_waits_five_seconds_for_room_by_default() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("full").mailbox(1));
    actor.tell(Note(1)).await.unwrap();
    settle().await;
    actor.tell(Note(2)).await.unwrap();
    let started = Instant::now();
    assert_eq!(actor.tell(Note(3)).await.unwrap_err().code(), "MAILBOX_FULL");
    assert_eq!(started.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_asker_of_a_handler_that_crashes_is_told_at_once() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a"));
    let started = Instant::now();
    assert_eq!(actor.ask(Panic).await, Err(AskError::Stopped { path: "a".into() }));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_ask_to_an_actor_that_has_ended_fails_at_once_and_has_not_run() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a"));
    actor.stop();
    actor.stopped().await;
    let error = actor.ask(Note(1)).await.unwrap_err();
    assert_eq!(error, AskError::NotRunning { path: "a".into() });
    assert!(!error.may_have_run());
    assert_eq!(actor.try_tell(Note(2)).unwrap_err().into_message(), Note(2));
}

/// Reports what a handler sees of its message.
struct Witness {
    cancelled: Option<oneshot::Sender<()>>,
    running: Arc<Notify>,
}

impl Actor for Witness {}

struct Who;

impl Message for Who {
    type Reply = (Option<Sender>, Option<Instant>);
}

impl Handler<Who> for Witness {
    async fn handle(&mut self, _: Who, cx: &mut Context<Self>) -> (Option<Sender>, Option<Instant>) {
        (cx.sender().cloned(), cx.deadline())
    }
}

struct UntilCancelled;

impl Message for UntilCancelled {
    type Reply = ();
}

impl Handler<UntilCancelled> for Witness {
    async fn handle(&mut self, _: UntilCancelled, cx: &mut Context<Self>) {
        self.running.notify_one();
        cx.cancelled().await;
        assert!(cx.is_cancelled());
        let cancelled = self.cancelled.take().expect("asked once");
        cancelled.send(()).expect("the test waits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_asks_and_until_when() {
    let system = system();
    let running = Arc::new(Notify::new());
    let actor =
        system.spawn(ActorSpec::new("a"), move || Witness { cancelled: None, running: Arc::clone(&running) });
    let sender = Sender { node: None, serial: 9 };
    let deadline = Instant::now() + secs(3);
    let seen = actor.ask(Who).deadline(deadline).from(sender.clone()).await.unwrap();
    assert_eq!(seen, (Some(sender), Some(deadline)));
    assert_eq!(actor.ask(Who).deadline(None).await.unwrap().1, Some(Instant::now() + secs(5)));
}

#[tokio::test(start_paused = true)]
async fn dropping_an_ask_tells_the_handler_that_runs() {
    let system = system();
    let running = Arc::new(Notify::new());
    let (cancelled, told) = oneshot::channel();
    let mut cancelled = Some(cancelled);
    let running_too = Arc::clone(&running);
    let actor = system.spawn(ActorSpec::new("a"), move || Witness {
        cancelled: cancelled.take(),
        running: Arc::clone(&running_too),
    });
    let ask = actor.ask(UntilCancelled).into_future();
    running.notified().await;
    drop(ask);
    told.await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
}
