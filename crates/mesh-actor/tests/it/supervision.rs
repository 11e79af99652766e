//! Crashes, restarts, and giving up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_actor::{Actor, ActorSpec, ActorState, AskError, Context, ExitReason, Restart, StartError};
use tokio::time::Instant;

use crate::actors::{
    Fail, Log, Note, Panic, Recorder, doored, eventually, ms, recorder, secs, settle, system,
};

#[tokio::test(start_paused = true)]
async fn a_crash_keeps_the_mailbox_and_its_order() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    actor.pause();
    for number in 0..100 {
        actor.tell(Note(number)).await.unwrap();
        if number == 40 {
            actor.tell(Panic).await.unwrap();
        }
    }
    actor.resume();
    let serial = actor.serial();
    assert_eq!(actor.ask(Note(100)).await, Ok(100));
    assert_eq!(*log.lock(), (0..=100).collect::<Vec<_>>());
    assert_eq!((actor.serial(), actor.info().restarts), (serial, 1));
    assert_eq!(actor.info().last_crash.as_deref(), Some("told to"));
    let counters = actor.mailbox().counters();
    assert_eq!((counters.crashed, counters.taken), (1, 102));
}

#[tokio::test(start_paused = true)]
async fn failing_is_a_crash_after_the_reply() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a"));
    assert_eq!(actor.ask(Fail).await, Ok(()));
    actor.ask(Note(0)).await.unwrap();
    assert_eq!(actor.info().last_crash.as_deref(), Some("cannot go on"));
}

#[tokio::test(start_paused = true)]
async fn the_first_restart_is_immediate_and_the_next_ones_are_not() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").backoff(ms(100), secs(5)));
    let started = Instant::now();
    actor.ask(Panic).await.unwrap_err();
    actor.ask(Note(0)).await.unwrap();
    assert_eq!(started.elapsed(), ms(0));
    actor.ask(Panic).await.unwrap_err();
    actor.tell(Note(1)).await.unwrap();
    settle().await;
    assert_eq!(actor.info().state, ActorState::Restarting);
    actor.ask(Note(2)).await.unwrap();
    let pause = started.elapsed();
    assert!(pause >= ms(50) && pause <= ms(101), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_crashes_too_often_is_given_up_and_its_askers_are_told() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").intensity(2, secs(10)));
    let queued = tokio::spawn({
        let actor = actor.clone();
        async move {
            actor.pause();
            for _ in 0..3 {
                actor.tell(Panic).await.unwrap();
            }
            actor.resume();
            actor.ask(Note(0)).timeout(secs(60)).await
        }
    });
    let reason = ExitReason::Crashed { reason: "told to".into(), restarts: 2 };
    assert_eq!(actor.stopped().await, reason);
    assert_eq!(queued.await.unwrap(), Err(AskError::NotRunning { path: "a".into() }));
    assert_eq!(actor.mailbox().counters().crashed, 3);
    assert!(system.is_empty());
}

#[tokio::test(start_paused = true)]
async fn crashes_that_are_far_apart_are_forgiven() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").intensity(1, secs(10)));
    for _ in 0..4 {
        actor.ask(Panic).await.unwrap_err();
        actor.ask(Note(0)).await.unwrap();
        tokio::time::advance(secs(11)).await;
    }
    assert_eq!(actor.info().restarts, 4);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_actor_is_not_started_again() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").restart(Restart::Temporary));
    actor.ask(Panic).await.unwrap_err();
    assert_eq!(actor.stopped().await, ExitReason::Crashed { reason: "told to".into(), restarts: 0 });
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_waits_for_its_restart_can_be_stopped() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").backoff(secs(100), secs(100)));
    actor.ask(Panic).await.unwrap_err();
    actor.ask(Panic).await.unwrap_err();
    let started = Instant::now();
    actor.stop();
    assert_eq!(actor.stopped().await, ExitReason::Stopped);
    assert_eq!(started.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_after_a_crash() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    actor.pause();
    for number in 0..3 {
        actor.tell(Note(number)).await.unwrap();
        actor.tell(Panic).await.unwrap();
    }
    actor.drain();
    actor.resume();
    assert_eq!(actor.stopped().await, ExitReason::Drained);
    assert_eq!(*log.lock(), [0, 1, 2]);
}

/// Fails to start a few times.
struct Fragile;

impl Actor for Fragile {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        if cx.me().info().restarts < 2 { Err(StartError::new("not yet")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_a_crash_and_is_tried_again() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("a"), || Fragile);
    eventually(|| actor.info().state == ActorState::Restarting).await;
    tokio::time::sleep(secs(1)).await;
    let info = actor.info();
    assert_eq!((info.state, info.restarts), (ActorState::Running, 2));
    assert_eq!(info.last_crash.as_deref(), Some("not yet"));
}

#[tokio::test(start_paused = true)]
async fn an_actor_can_be_made_by_something_that_waits_and_fails() {
    let system = system();
    let attempts = Arc::new(AtomicU32::new(0));
    let log = Log::default();
    let (seen, made) = (Arc::clone(&attempts), Arc::clone(&log));
    let actor = system.spawn_with(ActorSpec::new("a"), move || {
        let (attempt, log) = (seen.fetch_add(1, Ordering::Relaxed), Arc::clone(&made));
        async move {
            tokio::time::sleep(secs(1)).await;
            if attempt == 0 {
                std::fs::read("/nowhere/at/all")?;
            }
            Ok(Recorder { log, door: None })
        }
    });
    assert_eq!(actor.ask(Note(1)).await, Ok(0));
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    assert!(actor.info().last_crash.is_some_and(|reason| reason.contains("No such file")));
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_panics_is_a_crash() {
    let system = system();
    let mut first = true;
    let log = Log::default();
    let actor = system.spawn(ActorSpec::new("a"), move || {
        assert!(!std::mem::take(&mut first), "no first try");
        Recorder { log: Arc::clone(&log), door: None }
    });
    actor.ask(Note(0)).await.unwrap();
    assert_eq!(actor.info().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_kill_reaches_an_actor_that_is_being_made() {
    let system = system();
    let actor = system.spawn_with(ActorSpec::new("a"), std::future::pending::<Result<Recorder, StartError>>);
    settle().await;
    actor.kill();
    assert_eq!(actor.stopped().await, ExitReason::Killed);
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_one_actor_leaves_the_others_alone() {
    let system = system();
    let (a, _) = recorder(&system, ActorSpec::new("a"));
    let (b, _, door) = doored(&system, ActorSpec::new("b"));
    let asked = tokio::spawn({
        let b = b.clone();
        async move { b.ask(Note(0)).await }
    });
    settle().await;
    a.ask(Panic).await.unwrap_err();
    door.add_permits(1);
    assert_eq!(asked.await.unwrap(), Ok(0));
    assert_eq!(b.info().restarts, 0);
}

/// A message that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb");
    }
}

impl mesh_actor::Message for Bomb {
    type Reply = ();
}

impl mesh_actor::Handler<Bomb> for Recorder {
    async fn handle(&mut self, _: Bomb, _: &mut Context<Self>) {}
}

#[tokio::test(start_paused = true)]
async fn a_message_that_panics_when_it_is_dropped_harms_only_its_actor() {
    let system = system();
    let (a, _) = recorder(&system, ActorSpec::new("a"));
    let (b, _) = recorder(&system, ActorSpec::new("b"));
    a.tell(Bomb).await.unwrap();
    a.ask(Note(0)).await.unwrap();
    assert_eq!(a.info().restarts, 1);
    a.pause();
    a.tell(Bomb).await.unwrap();
    a.stop();
    assert_eq!(a.stopped().await, ExitReason::Stopped);
    b.ask(Panic).await.unwrap_err();
    b.ask(Note(1)).await.unwrap();
}
