//! Messages that an actor sends to itself, later.

use std::sync::Arc;
use std::time::Duration;

use mesh_actor::{Actor, ActorRef, ActorSpec, Context, Handler, Message, TIMERS_MAX, Timer, TooManyTimers};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance, sleep_until};

use crate::actors::{eventually, ms, settle, system};

/// Starts a timer: once after `.0`, or every `.0`.
struct Once(Duration);
struct Every(Duration);
struct Tick;
struct Crash;

impl Message for Once {
    type Reply = Result<Timer, TooManyTimers>;
}
impl Message for Every {
    type Reply = Result<Timer, TooManyTimers>;
}
impl Message for Tick {
    type Reply = ();
}
impl Message for Crash {
    type Reply = ();
}

/// Notes when its ticks come, and lets each last until the door is open.
struct Clock {
    begun: Instant,
    ticks: Arc<Mutex<Vec<Duration>>>,
    door: Arc<Semaphore>,
}

impl Actor for Clock {}
impl Handler<Once> for Clock {
    async fn handle(&mut self, Once(delay): Once, cx: &mut Context<Self>) -> Result<Timer, TooManyTimers> {
        cx.send_after(delay, Tick)
    }
}
impl Handler<Every> for Clock {
    async fn handle(&mut self, Every(period): Every, cx: &mut Context<Self>) -> Result<Timer, TooManyTimers> {
        cx.send_every(period, || Tick)
    }
}
impl Handler<Tick> for Clock {
    async fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.ticks.lock().push(self.begun.elapsed());
        self.door.acquire().await.expect("the door stays").forget();
    }
}
impl Handler<Crash> for Clock {
    async fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}

struct Bench {
    _system: mesh_actor::System,
    clock: ActorRef<Clock>,
    ticks: Arc<Mutex<Vec<Duration>>>,
    door: Arc<Semaphore>,
    begun: Instant,
}

fn bench(spec: ActorSpec, doors: usize) -> Bench {
    let (ticks, door) = (Arc::<Mutex<Vec<Duration>>>::default(), Arc::new(Semaphore::new(doors)));
    let (begun, system) = (Instant::now(), system());
    let clock = system.spawn(spec, {
        let (ticks, door) = (Arc::clone(&ticks), Arc::clone(&door));
        move || Clock { begun, ticks: Arc::clone(&ticks), door: Arc::clone(&door) }
    });
    Bench { _system: system, clock, ticks, door, begun }
}

impl Bench {
    /// Lets time pass in small steps, so that each timer is seen at its own time.
    async fn until(&self, at: Duration) {
        while self.begun.elapsed() < at {
            advance(ms(1)).await;
            settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_after_its_delay_and_once() {
    let bench = bench(ActorSpec::new("clock"), 100);
    bench.clock.ask(Once(ms(50))).await.unwrap().unwrap();
    bench.until(ms(49)).await;
    assert!(bench.ticks.lock().is_empty());
    bench.until(ms(500)).await;
    assert_eq!(*bench.ticks.lock(), [ms(50)]);
}

#[tokio::test(start_paused = true)]
async fn a_period_begins_with_its_first_tick_and_goes_on() {
    let bench = bench(ActorSpec::new("clock"), 100);
    bench.clock.ask(Every(ms(10))).await.unwrap().unwrap();
    bench.until(ms(45)).await;
    assert_eq!(*bench.ticks.lock(), [ms(10), ms(20), ms(30), ms(40)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_actor_gets_missed_ticks_as_one() {
    let bench = bench(ActorSpec::new("clock").mailbox(1_024), 0);
    bench.clock.ask(Every(ms(10))).await.unwrap().unwrap();
    bench.until(ms(95)).await;
    assert_eq!(*bench.ticks.lock(), [ms(10)], "the first is still being handled");
    assert_eq!(bench.clock.mailbox().len(), 0, "and nothing piles up behind it");
    bench.door.add_permits(100);
    bench.until(ms(115)).await;
    let ticks = bench.ticks.lock().clone();
    assert_eq!(ticks.len(), 4, "eight were missed, and came as one: {ticks:?}");
    assert!(ticks[1] <= ms(96), "at once: {ticks:?}");
    assert_eq!(ticks[2..], [ms(100), ms(110)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_is_silent_even_if_its_message_is_queued() {
    let bench = bench(ActorSpec::new("clock"), 0);
    bench.clock.ask(Once(ms(10))).await.unwrap().unwrap();
    let queued = bench.clock.ask(Once(ms(20))).await.unwrap().unwrap();
    let waiting = bench.clock.ask(Every(ms(30))).await.unwrap().unwrap();
    bench.until(ms(25)).await;
    assert_eq!(bench.clock.mailbox().len(), 1, "the second is behind the first");
    queued.cancel();
    waiting.cancel();
    bench.door.add_permits(100);
    bench.until(ms(200)).await;
    assert_eq!(*bench.ticks.lock(), [ms(10)]);
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_the_life_of_their_actor() {
    let bench = bench(ActorSpec::new("clock"), 100);
    bench.clock.ask(Every(ms(10))).await.unwrap().unwrap();
    bench.until(ms(15)).await;
    bench.clock.tell(Crash).await.unwrap();
    eventually(|| bench.clock.info().restarts == 1).await;
    bench.until(ms(100)).await;
    assert_eq!(*bench.ticks.lock(), [ms(10)], "the next life starts its own");
}

#[tokio::test(start_paused = true)]
async fn a_timer_waits_for_room_in_a_full_mailbox() {
    let bench = bench(ActorSpec::new("clock").mailbox(1), 0);
    bench.clock.ask(Once(ms(20))).await.unwrap().unwrap();
    bench.clock.tell(Tick).await.unwrap();
    settle().await;
    bench.clock.tell(Tick).await.unwrap();
    bench.until(ms(40)).await;
    assert_eq!(bench.clock.mailbox().len(), 1, "never more than fits");
    bench.door.add_permits(100);
    sleep_until(bench.begun + ms(41)).await;
    eventually(|| bench.ticks.lock().len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_has_at_most_1024_timers() {
    let bench = bench(ActorSpec::new("clock"), 0);
    for _ in 0..TIMERS_MAX {
        bench.clock.ask(Once(ms(1_000))).await.unwrap().unwrap();
    }
    assert_eq!(bench.clock.ask(Once(ms(1))).await.unwrap().unwrap_err(), TooManyTimers);
}
