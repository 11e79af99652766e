//! Messages that arrive together.

use std::sync::Arc;

use futures::future::BoxFuture;
use mesh_actor::{ActorRef, ActorSpec, AskError, Context, Handler, Meta, Overflow, Parcel, Slot, Weight};
use parking_lot::Mutex;

use crate::actors::{Note, Panic, Recorder, doored, eventually, recorder, settle, system};

/// Numbers that come together; 13 makes its handler panic.
struct Numbers {
    numbers: Vec<u32>,
    next: usize,
    slot: Slot<Recorder>,
    rejected: Arc<Mutex<Vec<String>>>,
}

impl Parcel<Recorder> for Numbers {
    fn remaining(&self) -> usize {
        self.numbers.len() - self.next
    }

    fn open_run<'a>(
        &'a mut self,
        max: usize,
        actor: &'a mut Recorder,
        cx: &'a mut Context<Recorder>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for _ in 0..max.min(self.remaining()) {
                let number = self.numbers[self.next];
                self.next += 1;
                self.slot.release(Weight::one(1));
                cx.enter(Meta::default()).expect("it has no deadline");
                if number == 13 {
                    actor.handle(Panic, cx).await;
                }
                actor.handle(Note(number), cx).await;
                if cx.interrupted() {
                    return;
                }
            }
        })
    }

    fn reject(self: Box<Self>, why: &AskError) {
        self.rejected.lock().push(format!("{} {}", self.remaining(), why.code()));
    }
}

fn push(actor: &ActorRef<Recorder>, numbers: std::ops::Range<u32>) -> Arc<Mutex<Vec<String>>> {
    let rejected = Arc::new(Mutex::new(Vec::new()));
    let count = u32::try_from(numbers.len()).expect("a few");
    let permit = actor.mailbox().reserve_up_to(Weight { messages: count, bytes: numbers.len() });
    assert_eq!(permit.weight().messages, count, "there is room");
    let told = Arc::clone(&rejected);
    actor.mailbox().push_parcel(permit, |slot| {
        Box::new(Numbers { numbers: numbers.collect(), next: 0, slot, rejected: told })
    });
    rejected
}

#[tokio::test(start_paused = true)]
async fn a_parcels_messages_count_one_by_one_and_run_in_order() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a"));
    actor.pause();
    push(&actor, 0..10);
    actor.tell(Note(10)).await.unwrap();
    assert_eq!(actor.mailbox().len(), 11);
    actor.resume();
    door.add_permits(4);
    settle().await;
    assert_eq!((log.lock().len(), actor.mailbox().len()), (4, 6), "the fifth is taken and waits at the door");
    door.add_permits(100);
    actor.ask(Note(11)).await.unwrap();
    assert_eq!(*log.lock(), (0..=11).collect::<Vec<_>>());
    assert!(actor.mailbox().queued().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_parcel_larger_than_a_turn_is_opened_again() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    push(&actor, 20..1000);
    actor.ask(Note(1000)).await.unwrap();
    assert_eq!(*log.lock(), (20..=1000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn parcels_do_not_starve_the_neighbours() {
    let system = system();
    let spec = ActorSpec::new("a").mailbox(10_000);
    let (actor, log) = recorder(&system, spec);
    let (neighbour, _) = recorder(&system, ActorSpec::new("neighbour"));
    neighbour.ask(Note(0)).await.unwrap();
    push(&actor, 20..5_000);
    push(&actor, 5_000..10_000);
    neighbour.ask(Note(1)).await.unwrap();
    let meanwhile = log.lock().len();
    assert!(meanwhile > 0 && meanwhile < 5_000, "{meanwhile} were handled before the neighbour had its turn");
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_a_parcel_loses_one_message() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    push(&actor, 10..20);
    actor.ask(Note(20)).await.unwrap();
    assert_eq!(*log.lock(), (10..=20).filter(|number| *number != 13).collect::<Vec<_>>());
    assert_eq!(actor.info().restarts, 1);
    assert!(actor.mailbox().queued().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_pause_comes_between_two_messages_of_a_parcel() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a"));
    push(&actor, 0..10);
    settle().await;
    actor.pause();
    door.add_permits(100);
    settle().await;
    assert_eq!((log.lock().len(), actor.mailbox().len()), (1, 9));
    actor.resume();
    eventually(|| log.lock().len() == 10).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_a_parcel_rejects_the_rest() {
    let system = system();
    let (actor, log, _door) = doored(&system, ActorSpec::new("a"));
    let rejected = push(&actor, 0..10);
    settle().await;
    actor.kill();
    actor.stopped().await;
    assert!(log.lock().is_empty());
    assert_eq!(*rejected.lock(), ["9 NOT_RUNNING"]);
    assert!(actor.mailbox().queued().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_parcel_for_a_closed_mailbox_is_rejected() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a"));
    let rejected = {
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let permit = actor.mailbox().try_reserve(Weight { messages: 2, bytes: 2 }).unwrap();
        actor.drain();
        let told = Arc::clone(&rejected);
        actor.mailbox().push_parcel(permit, |slot| {
            Box::new(Numbers { numbers: vec![1, 2], next: 0, slot, rejected: told })
        });
        rejected
    };
    assert_eq!(*rejected.lock(), ["2 NOT_RUNNING"]);
    assert!(actor.mailbox().queued().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_drops_the_oldest_drops_a_parcel_whole() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(5).overflow(Overflow::DropOldest));
    actor.pause();
    let first = push(&actor, 0..3);
    push(&actor, 3..6);
    actor.tell(Note(6)).await.unwrap();
    assert_eq!(actor.mailbox().len(), 4);
    assert_eq!(*first.lock(), ["3 MAILBOX_FULL"]);
    actor.resume();
    eventually(|| log.lock().len() == 4).await;
    assert_eq!(*log.lock(), [3, 4, 5, 6]);
    assert_eq!(actor.mailbox().counters().dropped_overflow, 3);
}
