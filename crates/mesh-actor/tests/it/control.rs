//! Orders to an actor: stop, drain, kill, pause, resume.

use std::sync::Arc;

use mesh_actor::{Actor, ActorSpec, ActorState, AskError, Context, ExitReason, Restart};
use parking_lot::Mutex;

use crate::actors::{Leave, Note, doored, eventually, ms, recorder, secs, settle, system};

#[tokio::test(start_paused = true)]
async fn a_paused_actor_takes_nothing_until_it_is_resumed() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    actor.ask(Note(0)).await.unwrap();
    actor.pause();
    for number in 1..4 {
        actor.tell(Note(number)).await.unwrap();
    }
    settle().await;
    assert_eq!((actor.mailbox().len(), actor.info().state), (3, ActorState::Paused));
    actor.resume();
    eventually(|| actor.mailbox().is_empty()).await;
    assert_eq!(*log.lock(), [0, 1, 2, 3]);
    assert_eq!(actor.info().state, ActorState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_pause_comes_between_two_messages_of_a_batch() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a"));
    for number in 0..5 {
        actor.tell(Note(number)).await.unwrap();
    }
    settle().await;
    actor.pause();
    door.add_permits(100);
    settle().await;
    assert_eq!(*log.lock(), [0]);
    assert_eq!(actor.mailbox().len(), 4);
    actor.resume();
    actor.ask(Note(5)).await.unwrap();
    assert_eq!(*log.lock(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_before_what_is_queued() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a"));
    actor.tell(Note(0)).await.unwrap();
    settle().await;
    let queued = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Note(1)).await }
    });
    settle().await;
    actor.stop();
    door.add_permits(100);
    assert_eq!(actor.stopped().await, ExitReason::Stopped);
    assert_eq!(*log.lock(), [0]);
    assert_eq!(queued.await.unwrap(), Err(AskError::NotRunning { path: "a".into() }));
    assert_eq!(actor.info().state, ActorState::Stopped);
    assert!(system.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_is_queued_and_refuses_what_is_new() {
    let system = system();
    let (actor, log, door) = doored(&system, ActorSpec::new("a"));
    for number in 0..200 {
        actor.tell(Note(number)).await.unwrap();
    }
    actor.drain();
    assert_eq!(actor.tell(Note(200)).await, Err(AskError::NotRunning { path: "a".into() }));
    door.add_permits(1000);
    assert_eq!(actor.stopped().await, ExitReason::Drained);
    assert_eq!(*log.lock(), (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_idle_actor_drains_at_once() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a"));
    actor.ask(Note(0)).await.unwrap();
    actor.drain();
    assert_eq!(actor.stopped().await, ExitReason::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_kill_interrupts_the_handler() {
    let system = system();
    let (actor, log, _door) = doored(&system, ActorSpec::new("a"));
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Note(0)).await }
    });
    settle().await;
    actor.kill();
    assert_eq!(actor.stopped().await, ExitReason::Killed);
    assert_eq!(asked.await.unwrap(), Err(AskError::Stopped { path: "a".into() }));
    assert!(log.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_are_told_when_the_actor_stops() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("a").mailbox(1));
    actor.pause();
    actor.tell(Note(0)).await.unwrap();
    let waiting = tokio::spawn({
        let actor = actor.clone();
        async move { actor.tell(Note(1)).await }
    });
    eventually(|| actor.mailbox().has_waiters()).await;
    actor.stop();
    assert_eq!(waiting.await.unwrap(), Err(AskError::NotRunning { path: "a".into() }));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_by_itself_ends_unless_it_is_permanent() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").restart(Restart::Transient));
    actor.ask(Leave).await.unwrap();
    assert_eq!(actor.stopped().await, ExitReason::Stopped);
    assert_eq!(actor.info().restarts, 0);

    let (actor, _) = recorder(&system, ActorSpec::new("b").restart(Restart::Permanent));
    actor.ask(Leave).await.unwrap();
    actor.ask(Note(0)).await.unwrap();
    assert_eq!(actor.info().restarts, 1);
}

/// Has enough before it has begun.
struct Reluctant;

impl Actor for Reluctant {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), mesh_actor::StartError> {
        cx.stop();
        Ok(())
    }
}

impl mesh_actor::Handler<Note> for Reluctant {
    async fn handle(&mut self, _: Note, _: &mut Context<Self>) -> usize {
        unreachable!("it has stopped")
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_while_it_starts_takes_no_message() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("a").restart(Restart::Transient), || Reluctant);
    assert_eq!(actor.ask(Note(0)).await, Err(AskError::NotRunning { path: "a".into() }));
    assert_eq!(actor.stopped().await, ExitReason::Stopped);
}

/// Notes its own start and end.
struct Lifecycle(Arc<Mutex<Vec<String>>>);

impl Actor for Lifecycle {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), mesh_actor::StartError> {
        self.0.lock().push(format!("started {}", cx.me().path()));
        Ok(())
    }

    async fn stopped(&mut self, reason: &ExitReason, _: &mut Context<Self>) {
        self.0.lock().push(format!("stopped: {reason}"));
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.0.lock().push("dropped".to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_hears_of_its_start_and_its_end() {
    let system = system();
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let actor = system.spawn(ActorSpec::new("a"), move || Lifecycle(Arc::clone(&seen)));
    actor.drain();
    actor.stopped().await;
    assert_eq!(*log.lock(), ["started a", "stopped: drained", "dropped"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_all_and_kills_those_that_take_too_long() {
    let system = system();
    let (quick, _) = recorder(&system, ActorSpec::new("quick"));
    let (slow, _, _door) = doored(&system, ActorSpec::new("slow"));
    slow.tell(Note(0)).await.unwrap();
    settle().await;
    system.shutdown(secs(3)).await.unwrap();
    assert_eq!(quick.stopped().await, ExitReason::Stopped);
    assert_eq!(slow.stopped().await, ExitReason::Killed);
    let (late, _) = recorder(&system, ActorSpec::new("late"));
    assert_eq!(late.stopped().await, ExitReason::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_system_drains_all_or_says_who_is_late() {
    let system = system();
    let (_, log) = {
        let (actor, log) = recorder(&system, ActorSpec::new("quick"));
        actor.tell(Note(1)).await.unwrap();
        (actor, log)
    };
    let (slow, _, door) = doored(&system, ActorSpec::new("slow"));
    slow.tell(Note(0)).await.unwrap();
    let late = system.drain(ms(100)).await.unwrap_err();
    assert_eq!(late.names, ["slow"]);
    assert_eq!(*log.lock(), [1]);
    door.add_permits(1);
    system.drain(ms(100)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_dropped_kills_its_actors() {
    let system = system();
    let (actor, ..) = doored(&system, ActorSpec::new("a"));
    actor.tell(Note(0)).await.unwrap();
    drop(system);
    assert_eq!(actor.stopped().await, ExitReason::Killed);
}

#[tokio::test(start_paused = true)]
async fn the_list_shows_every_actor_that_has_not_ended() {
    let system = system();
    let (a, _) = recorder(&system, ActorSpec::new("a").mailbox(8));
    let (b, ..) = doored(&system, ActorSpec::new("b"));
    a.ask(Note(0)).await.unwrap();
    a.pause();
    a.tell(Note(1)).await.unwrap();
    let list = system.list();
    assert_eq!(list.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((list[0].len, list[0].capacity, list[0].state), (1, 8, ActorState::Paused));
    assert!(list[0].serial < list[1].serial);
    b.kill();
    b.stopped().await;
    assert_eq!(system.len(), 1);
}
