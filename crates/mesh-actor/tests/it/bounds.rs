//! A mailbox never holds more than its capacity, whoever sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_actor::{Actor, ActorSpec, Context, Handler, Message, Runtimes, System, TryTellError, Weight};

use crate::actors::{Note, doored, eventually, settle, system};

/// A message that says how heavy it is.
struct Heavy(usize);

impl Message for Heavy {
    type Reply = ();

    fn weight_bytes(&self) -> usize {
        self.0
    }
}

struct Sink;

impl Actor for Sink {}

impl Handler<Heavy> for Sink {
    async fn handle(&mut self, _: Heavy, _: &mut Context<Self>) {}
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_at_once_and_gives_the_message_back() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("full").mailbox(2));
    actor.pause();
    actor.try_tell(Note(1)).unwrap();
    actor.try_tell(Note(2)).unwrap();
    let refused = actor.try_tell(Note(3)).unwrap_err();
    assert_eq!(refused, TryTellError::Full { message: Note(3), len: 2, capacity: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_has_given_its_slot_back() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("slow").mailbox(2));
    actor.tell(Note(1)).await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
    actor.try_tell(Note(2)).unwrap();
    actor.try_tell(Note(3)).unwrap();
    assert!(actor.try_tell(Note(4)).unwrap_err().is_full());
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_as_well_as_messages() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("sink").mailbox_bytes(100), || Sink);
    actor.pause();
    actor.try_tell(Heavy(60)).unwrap();
    assert!(actor.try_tell(Heavy(41)).unwrap_err().is_full());
    actor.try_tell(Heavy(40)).unwrap();
    assert_eq!(actor.mailbox().queued(), Weight { messages: 2, bytes: 100 });
}

#[tokio::test(start_paused = true)]
async fn a_message_heavier_than_the_mailbox_enters_alone() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("sink").mailbox_bytes(100), || Sink);
    actor.pause();
    actor.try_tell(Heavy(1)).unwrap();
    assert!(actor.try_tell(Heavy(1_000)).unwrap_err().is_full());
    actor.resume();
    actor.ask(Heavy(0)).await.unwrap();
    actor.pause();
    actor.try_tell(Heavy(1_000)).unwrap();
    assert!(actor.try_tell(Heavy(1)).unwrap_err().is_full());
    assert_eq!(actor.mailbox().queued().bytes, 100);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_are_served_in_their_order() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("full").mailbox(1));
    actor.tell(Note(0)).await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
    actor.tell(Note(1)).await.unwrap();
    let mut waiting = Vec::new();
    for number in 2..10 {
        let actor = actor.clone();
        waiting.push(tokio::spawn(async move { actor.tell(Note(number)).await }));
        settle().await;
    }
    assert!(actor.try_tell(Note(99)).unwrap_err().is_full());
    door.add_permits(100);
    for wait in waiting {
        wait.await.unwrap().unwrap();
    }
    actor.ask(Note(10)).await.unwrap();
    assert_eq!(*log.lock(), (0..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_those_who_wait() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("sink").mailbox_bytes(100), || Sink);
    actor.pause();
    actor.try_tell(Heavy(60)).unwrap();
    let heavy = tokio::spawn({
        let actor = actor.clone();
        async move { actor.tell(Heavy(80)).await }
    });
    eventually(|| actor.mailbox().has_waiters()).await;
    assert!(
        actor.try_tell(Heavy(1)).unwrap_err().is_full(),
        "a light one would fit, but it has to stand in line"
    );
    assert!(actor.mailbox().try_reserve(Weight::one(1)).is_none());
    assert!(actor.mailbox().reserve_up_to(Weight::one(1)).weight().is_zero());
    actor.resume();
    heavy.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn watermarks_have_hysteresis() {
    let system = system();
    let (actor, _, door) = doored(&system, ActorSpec::new("a").mailbox(10));
    actor.tell(Note(0)).await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
    for number in 0..7 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert!(!actor.mailbox().is_high());
    actor.tell(Note(7)).await.unwrap();
    assert!(actor.mailbox().is_high());
    door.add_permits(4);
    settle().await;
    assert_eq!((actor.mailbox().len(), actor.mailbox().is_high()), (4, true));
    door.add_permits(1);
    settle().await;
    assert_eq!((actor.mailbox().len(), actor.mailbox().is_high()), (3, false));
}

/// Counts, and looks at its own mailbox at every message.
struct Auditor {
    broken: Arc<AtomicBool>,
    handled: usize,
}

impl Actor for Auditor {}

impl Handler<Heavy> for Auditor {
    async fn handle(&mut self, _: Heavy, cx: &mut Context<Self>) {
        self.handled += 1;
        if self.handled.is_multiple_of(97) {
            tokio::task::yield_now().await;
        }
        audit(cx.me().mailbox().queued(), cx.me().mailbox().reserved(), &self.broken);
    }
}

struct Handled;

impl Message for Handled {
    type Reply = usize;
}

impl Handler<Handled> for Auditor {
    async fn handle(&mut self, _: Handled, _: &mut Context<Self>) -> usize {
        self.handled
    }
}

fn audit(queued: Weight, reserved: Weight, broken: &AtomicBool) {
    // The two are read one after the other, so only each by itself is exact here; the ledger's own test has both.
    let bound = Weight { messages: 16, bytes: 400 };
    if !queued.fits_in(bound) || !reserved.fits_in(bound) {
        broken.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_bound_holds_under_eight_senders_and_two_reservers_on_two_threads() {
    const EACH: usize = 3_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broken = Arc::new(AtomicBool::new(false));
        let system = System::new(Runtimes::current());
        let seen = Arc::clone(&broken);
        let spec = ActorSpec::new("auditor").mailbox(16).mailbox_bytes(400);
        let actor = system.spawn(spec, move || Auditor { broken: Arc::clone(&seen), handled: 0 });
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..8 {
            let (actor, broken) = (actor.clone(), Arc::clone(&broken));
            senders.spawn(async move {
                for number in 0..EACH {
                    actor.tell(Heavy((number * 7 + sender) % 90)).await.unwrap();
                    audit(actor.mailbox().queued(), actor.mailbox().reserved(), &broken);
                }
            });
        }
        for _ in 0..2 {
            let actor = actor.clone();
            senders.spawn(async move {
                for number in 0..EACH {
                    let reserve = actor.mailbox().reserve(Weight { messages: 3, bytes: 90 });
                    if number % 3 == 0 {
                        // Dropped in line, or with what it was granted.
                        let _ = futures::future::select(reserve, std::future::ready(())).await;
                    } else {
                        let mut permit = reserve.await.unwrap();
                        drop(permit.split(Weight { messages: 1, bytes: 10 }));
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        while let Some(done) = senders.join_next().await {
            done.unwrap();
        }
        assert_eq!(actor.ask(Handled).await, Ok(8 * EACH));
        assert!(!broken.load(Ordering::Relaxed));
        assert_eq!(actor.mailbox().reserved(), Weight::ZERO);
        system.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
    });
}
