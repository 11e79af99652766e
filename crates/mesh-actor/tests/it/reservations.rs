//! Room that is reserved before the message is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use mesh_actor::{ActorRef, ActorSpec, AskError, Context, Handler, Letter, MailboxClosed, Overflow, Weight};

use crate::actors::{Note, Recorder, doored, eventually, recorder, system};

struct Posted(u32);

impl Letter<Recorder> for Posted {
    fn open<'a>(
        self: Box<Self>,
        actor: &'a mut Recorder,
        cx: &'a mut Context<Recorder>,
    ) -> BoxFuture<'a, ()> {
        async move {
            actor.handle(Note(self.0), cx).await;
        }
        .boxed()
    }

    fn reject(self: Box<Self>, _: &AskError) {}
}

const fn weight(messages: u32, bytes: usize) -> Weight {
    Weight { messages, bytes }
}

fn full_of(actor: &ActorRef<Recorder>) -> (Weight, Weight) {
    (actor.mailbox().reserved(), actor.mailbox().queued())
}

#[tokio::test(start_paused = true)]
async fn a_permit_keeps_room_that_nobody_else_gets() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(2));
    let permit = actor.mailbox().try_reserve(weight(2, 10)).unwrap();
    assert!(actor.try_tell(Note(1)).unwrap_err().is_full());
    actor.pause();
    actor.mailbox().push(permit, Box::new(Posted(7)));
    assert_eq!(full_of(&actor), (Weight::ZERO, weight(1, 10)), "what the letter does not need is free again");
    actor.resume();
    actor.ask(Note(8)).await.unwrap();
    assert_eq!(*log.lock(), [7, 8]);
}

#[tokio::test(start_paused = true)]
async fn permits_split_merge_and_give_back_what_is_dropped() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(10).mailbox_bytes(1000));
    let mut permit = actor.mailbox().try_reserve(weight(10, 1000)).unwrap();
    let part = permit.split(weight(4, 5000));
    assert_eq!((part.weight(), permit.weight()), (weight(4, 1000), weight(6, 0)));
    permit.merge(part);
    assert_eq!(permit.weight(), weight(10, 1000));
    permit.release(weight(3, 300));
    assert_eq!(full_of(&actor).0, weight(7, 700));
    drop(permit);
    assert_eq!(full_of(&actor).0, Weight::ZERO);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "of one mailbox")]
async fn permits_of_two_mailboxes_do_not_merge() {
    let system = system();
    let (a, _) = recorder(&system, ActorSpec::new("a"));
    let (b, _) = recorder(&system, ActorSpec::new("b"));
    let mut permit = a.mailbox().try_reserve(weight(1, 1)).unwrap();
    permit.merge(b.mailbox().try_reserve(weight(1, 1)).unwrap());
}

#[tokio::test(start_paused = true)]
async fn reserve_up_to_takes_each_side_as_far_as_it_goes() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(4).mailbox_bytes(100));
    let first = actor.mailbox().reserve_up_to(weight(3, 1_000));
    assert_eq!(first.weight(), weight(3, 100));
    let second = actor.mailbox().reserve_up_to(weight(3, 1_000));
    assert_eq!(second.weight(), weight(1, 0));
    assert!(actor.mailbox().try_reserve(weight(1, 0)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_reservation_leaks_nothing() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(2));
    let held = actor.mailbox().try_reserve(weight(2, 2)).unwrap();
    let mut waits = Box::pin(actor.mailbox().reserve(weight(2, 2)));
    let mut behind = Box::pin(actor.mailbox().reserve(weight(1, 1)));
    assert!(waits.as_mut().now_or_never().is_none());
    assert!(behind.as_mut().now_or_never().is_none());
    drop(waits);
    assert!(behind.as_mut().now_or_never().is_none());
    drop(held);
    // Granted, and dropped without having been told.
    assert_eq!(full_of(&actor).0, weight(1, 1));
    drop(behind);
    assert_eq!(full_of(&actor).0, Weight::ZERO);
    assert!(!actor.mailbox().has_waiters());
    actor.try_tell(Note(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_lets_the_lighter_ones_behind_pass() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(2));
    let _held = actor.mailbox().try_reserve(weight(1, 1)).unwrap();
    let mut heavy = Box::pin(actor.mailbox().reserve(weight(2, 2)));
    let mut light = Box::pin(actor.mailbox().reserve(weight(1, 1)));
    assert!(heavy.as_mut().now_or_never().is_none());
    assert!(light.as_mut().now_or_never().is_none());
    drop(heavy);
    assert_eq!(light.await.unwrap().weight(), weight(1, 1));
}

#[tokio::test(start_paused = true)]
async fn reservers_and_senders_stand_in_one_line() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a").mailbox(1));
    actor.tell(Note(0)).await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
    actor.tell(Note(1)).await.unwrap();
    let mut reserve = Box::pin(actor.mailbox().reserve(weight(1, 1)));
    assert!(reserve.as_mut().now_or_never().is_none());
    let sender = tokio::spawn({
        let actor = actor.clone();
        async move { actor.tell(Note(3)).await }
    });
    crate::actors::settle().await;
    door.add_permits(100);
    let permit = reserve.await.unwrap();
    actor.mailbox().push(permit, Box::new(Posted(2)));
    sender.await.unwrap().unwrap();
    actor.ask(Note(4)).await.unwrap();
    assert_eq!(*log.lock(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_presses_and_who_is_rejected_presses_too() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox(1));
    let (rejecting, _) = recorder(&system, ActorSpec::new("b").mailbox(1).overflow(Overflow::Reject));
    let pressed = Arc::new(AtomicU32::new(0));
    for mailbox in [actor.mailbox(), rejecting.mailbox()] {
        let pressed = Arc::clone(&pressed);
        mailbox.on_pressure(Arc::new(move || {
            pressed.fetch_add(1, Ordering::Relaxed);
        }));
    }
    let idle = actor.mailbox().try_reserve(weight(1, 1)).unwrap();
    let mut waiting = Box::pin(actor.tell(Note(1)).into_future());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(pressed.load(Ordering::Relaxed), 1);
    drop(idle);
    waiting.await.unwrap();
    let _idle = rejecting.mailbox().try_reserve(weight(1, 1)).unwrap();
    rejecting.tell(Note(1)).await.unwrap_err();
    assert_eq!(pressed.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closed_mailbox_reserves_nothing_and_rejects_what_is_pushed() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    let permit = actor.mailbox().try_reserve(weight(1, 1)).unwrap();
    actor.stop();
    actor.mailbox().push(permit, Box::new(Posted(1)));
    assert_eq!(actor.mailbox().reserve(weight(1, 1)).await.unwrap_err(), MailboxClosed);
    assert!(actor.mailbox().try_reserve(weight(1, 1)).is_none());
    actor.stopped().await;
    assert_eq!(full_of(&actor), (Weight::ZERO, Weight::ZERO));
    assert!(log.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_drops_never_makes_a_reservation_wait() {
    let system = system();
    let spec = ActorSpec::new("a").mailbox(2).overflow(Overflow::DropOldest);
    let (actor, log) = recorder(&system, spec);
    actor.pause();
    let permits: Vec<_> = (0..5).map(|_| actor.mailbox().try_reserve(weight(1, 1)).unwrap()).collect();
    for (number, permit) in (0..).zip(permits) {
        actor.mailbox().push(permit, Box::new(Posted(number)));
    }
    assert_eq!(actor.mailbox().len(), 2);
    actor.resume();
    eventually(|| actor.mailbox().is_empty()).await;
    assert_eq!(*log.lock(), [3, 4]);
}
