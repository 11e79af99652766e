//! Who listens hears of mailboxes that are nearly full; what they drop is counted.

use mesh_actor::{ActorSpec, Overflow};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, advance};

use crate::actors::{Note, doored, eventually, ms, recorder, settle, system};

#[tokio::test(start_paused = true)]
async fn a_mailbox_tells_when_it_is_nearly_full_and_when_it_is_no_more() {
    let system = system();
    let mut news = system.watermarks();
    let (actor, _, door) = doored(&system, ActorSpec::new("a").mailbox(10));
    // The first is in hand, and waits at the door.
    actor.tell(Note(0)).await.unwrap();
    eventually(|| actor.mailbox().is_empty()).await;
    for number in 1..=7 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!(news.try_recv(), Err(TryRecvError::Empty));
    actor.tell(Note(8)).await.unwrap();
    let high = news.try_recv().unwrap();
    assert_eq!((high.path.as_str(), high.serial, high.is_high), ("a", actor.serial(), true));
    assert_eq!((high.change, high.len, high.capacity), (1, 8, 10));
    // Up and down between the marks says nothing.
    door.add_permits(4);
    eventually(|| actor.mailbox().len() == 4).await;
    for number in 9..=14 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!((actor.mailbox().len(), news.try_recv()), (10, Err(TryRecvError::Empty)));

    door.add_permits(7);
    eventually(|| actor.mailbox().len() == 3).await;
    let low = news.try_recv().unwrap();
    assert_eq!((low.is_high, low.change, low.len), (false, 2, 3));
    for number in 15..=19 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!(news.try_recv().unwrap().change, 3);
    assert_eq!((actor.mailbox().is_high(), actor.mailbox().counters().became_high), (true, 2));
    door.add_permits(100);
    eventually(|| actor.mailbox().is_empty()).await;
    assert!(!news.try_recv().unwrap().is_high);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_full_of_bytes_is_nearly_full() {
    let system = system();
    let mut news = system.watermarks();
    let weight = size_of::<Note>();
    let (actor, _) = recorder(&system, ActorSpec::new("a").mailbox_bytes(10 * weight));
    actor.pause();
    for number in 0..8 {
        actor.tell(Note(number)).await.unwrap();
    }
    assert_eq!(news.try_recv().map(|high| (high.is_high, high.len)), Ok((true, 8)));
    actor.kill();
    actor.stopped().await;
    assert!(!news.try_recv().unwrap().is_high, "what was left in it is gone");
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_not_run_and_is_counted() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    actor.pause();
    for number in 0..10 {
        let deadline = Instant::now() + ms(if number % 2 == 0 { 10 } else { 1_000 });
        actor.tell(Note(number)).deadline(deadline).await.unwrap();
    }
    advance(ms(50)).await;
    actor.resume();
    eventually(|| actor.mailbox().is_empty()).await;
    settle().await;
    assert_eq!(*log.lock(), [1, 3, 5, 7, 9]);
    let counters = actor.mailbox().counters();
    assert_eq!((counters.taken, counters.dropped_expired), (10, 5));
}

/// Each message is handled, or counted as dropped, whatever the policy; and none is ever one too many.
#[tokio::test(start_paused = true)]
async fn what_overflows_is_counted_exactly_and_never_kept() {
    for seed in 0..200_u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let capacity = rng.u32(1..20);
        let overflow = match seed % 3 {
            0 => Overflow::DropOldest,
            1 => Overflow::DropNewest,
            _ => Overflow::conflate(|Note(number): &Note| number % 7),
        };
        let system = system();
        let (actor, log) = recorder(&system, ActorSpec::new("a").mailbox(capacity).overflow(overflow));
        let (mut sent, mut longest) = (0_u64, 0);
        for number in 0..rng.u32(50..300) {
            actor.tell(Note(number)).await.unwrap();
            sent += 1;
            longest = longest.max(actor.mailbox().len());
            match rng.u8(0..20) {
                0 => actor.pause(),
                1 => actor.resume(),
                2 => settle().await,
                _ => {}
            }
        }
        actor.resume();
        eventually(|| actor.mailbox().is_empty()).await;
        settle().await;
        let (handled, counters) = (log.lock().len() as u64, actor.mailbox().counters());
        assert!(longest <= capacity, "seed {seed}: {longest} in a mailbox of {capacity}");
        assert_eq!(handled, counters.taken, "seed {seed}");
        assert_eq!(handled + counters.dropped_overflow, sent, "seed {seed}: {counters:?}");
    }
}
