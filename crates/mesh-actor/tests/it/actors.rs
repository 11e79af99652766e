//! Actors that tests let do things.

use std::sync::Arc;
use std::time::Duration;

use mesh_actor::{Actor, ActorRef, ActorSpec, Context, Handler, Message, Runtimes, System};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// What a recorder has handled, in order.
pub(crate) type Log = Arc<Mutex<Vec<u32>>>;

/// Notes numbers. Before each it waits for a pass at its door, if it has one.
pub(crate) struct Recorder {
    pub(crate) log: Log,
    pub(crate) door: Option<Arc<Semaphore>>,
}

impl Actor for Recorder {}

/// Notes this number; the reply is how many were noted before.
#[derive(Debug, PartialEq)]
pub(crate) struct Note(pub(crate) u32);

impl Message for Note {
    type Reply = usize;
}

impl Handler<Note> for Recorder {
    async fn handle(&mut self, Note(number): Note, _: &mut Context<Self>) -> usize {
        if let Some(door) = &self.door {
            door.acquire().await.expect("the door stays").forget();
        }
        let mut log = self.log.lock();
        log.push(number);
        log.len() - 1
    }
}

/// Panics.
pub(crate) struct Panic;

impl Message for Panic {
    type Reply = ();
}

impl Handler<Panic> for Recorder {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("told to");
    }
}

/// Fails the actor after its reply.
pub(crate) struct Fail;

impl Message for Fail {
    type Reply = ();
}

impl Handler<Fail> for Recorder {
    async fn handle(&mut self, _: Fail, cx: &mut Context<Self>) {
        cx.fail("cannot go on");
    }
}

/// Has the actor stop by itself.
pub(crate) struct Leave;

impl Message for Leave {
    type Reply = ();
}

impl Handler<Leave> for Recorder {
    async fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        cx.stop();
    }
}

pub(crate) fn system() -> System {
    System::new(Runtimes::current())
}

/// A recorder that handles at once.
pub(crate) fn recorder(system: &System, spec: ActorSpec) -> (ActorRef<Recorder>, Log) {
    let log = Log::default();
    let actor = spawn(system, spec, &log, None);
    (actor, log)
}

/// A recorder that waits at a closed door; passes are added to let it handle.
pub(crate) fn doored(system: &System, spec: ActorSpec) -> (ActorRef<Recorder>, Log, Arc<Semaphore>) {
    let log = Log::default();
    let door = Arc::new(Semaphore::new(0));
    let actor = spawn(system, spec, &log, Some(Arc::clone(&door)));
    (actor, log, door)
}

fn spawn(system: &System, spec: ActorSpec, log: &Log, door: Option<Arc<Semaphore>>) -> ActorRef<Recorder> {
    let log = Arc::clone(log);
    system.spawn(spec, move || Recorder { log: Arc::clone(&log), door: door.clone() })
}

/// Lets other tasks run until `fact` holds; fails the test when it does not come true.
pub(crate) async fn eventually(fact: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if fact() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not come true");
}

/// Lets the tasks of a current-thread runtime come to rest.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
