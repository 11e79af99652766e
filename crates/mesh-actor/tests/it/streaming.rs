//! Answers that are sequences of items.

use std::sync::Arc;

use mesh_actor::{Actor, ActorSpec, AskError, Closed, Context, Items, Message, StreamHandler, Streaming};
use parking_lot::Mutex;

use crate::actors::{eventually, secs, settle, system};

/// Asks for the numbers below this.
struct CountTo(u32);

impl Message for CountTo {
    type Reply = &'static str;
}

impl Streaming for CountTo {
    type Item = u32;
}

#[derive(Default)]
struct Counter {
    sent: Arc<Mutex<u32>>,
    closed: Arc<Mutex<bool>>,
}

impl Actor for Counter {}

impl StreamHandler<CountTo> for Counter {
    async fn stream(
        &mut self,
        CountTo(end): CountTo,
        items: Items<u32>,
        cx: &mut Context<Self>,
    ) -> &'static str {
        for number in 0..end {
            assert!(number != 13, "unlucky");
            if items.send(number).await == Err(Closed) {
                *self.closed.lock() = cx.is_cancelled();
                return "closed";
            }
            *self.sent.lock() = number + 1;
        }
        "done"
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_brings_its_items_in_order_and_then_its_reply() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("a"), Counter::default);
    let mut stream = actor.stream(CountTo(10));
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item);
    }
    assert_eq!(items, (0..10).collect::<Vec<_>>());
    assert_eq!(stream.finish().await, Ok("done"));
    assert_eq!(actor.stream(CountTo(5)).finish().await, Ok("done"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_holds_the_handler_back() {
    let system = system();
    let sent = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&sent);
    let actor =
        system.spawn(ActorSpec::new("a"), move || Counter { sent: Arc::clone(&seen), ..Counter::default() });
    let mut stream = actor.stream(CountTo(12));
    assert_eq!(stream.next().await, Some(0));
    settle().await;
    let ahead = *sent.lock();
    assert_eq!(ahead, 12, "twelve fit between the two");

    let actor = system.spawn(ActorSpec::new("b"), {
        let sent = Arc::clone(&sent);
        move || Endless { sent: Arc::clone(&sent) }
    });
    *sent.lock() = 0;
    let mut stream = actor.stream(Forever);
    assert!(stream.next().await.is_some());
    settle().await;
    assert_eq!(*sent.lock(), 17, "one was read, and sixteen fit between the two");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_cancels_its_handler() {
    let system = system();
    let closed = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&closed);
    let actor = system
        .spawn(ActorSpec::new("a"), move || Counter { closed: Arc::clone(&seen), ..Counter::default() });
    actor.tell(mesh_actor::Open { message: CountTo(3), items: Items::channel(8).0 }).await.unwrap();
    let recipient = actor.recipient::<mesh_actor::Open<CountTo>>();
    let mut stream = recipient.stream(CountTo(12));
    assert_eq!(stream.next().await, Some(0));
    drop(stream);
    let mut stream = recipient.stream(CountTo(1));
    assert_eq!(stream.next().await, Some(0));

    let sent = Arc::new(Mutex::new(0));
    let endless = system.spawn(ActorSpec::new("b"), {
        let sent = Arc::clone(&sent);
        move || Endless { sent: Arc::clone(&sent) }
    });
    let mut stream = endless.stream(Forever);
    assert!(stream.next().await.is_some());
    drop(stream);
    endless.drain();
    endless.stopped().await;
    eventually(|| *sent.lock() > 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_handler_crashes_ends_with_the_items_before_and_an_error() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("a"), Counter::default);
    let mut stream = actor.stream(CountTo(100));
    let mut count = 0;
    while stream.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 13);
    assert_eq!(stream.finish().await, Err(AskError::Stopped { path: "a".into() }));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline() {
    let system = system();
    let actor = system.spawn(ActorSpec::new("a"), || Silent);
    let mut stream = actor.stream(Forever).timeout(secs(9));
    let started = tokio::time::Instant::now();
    assert_eq!(stream.next().await, None);
    assert_eq!(started.elapsed(), secs(9));
    assert_eq!(stream.finish().await.unwrap_err().code(), "TIMEOUT");
}

struct Forever;

impl Message for Forever {
    type Reply = ();
}

impl Streaming for Forever {
    type Item = ();
}

struct Endless {
    sent: Arc<Mutex<u32>>,
}

impl Actor for Endless {}

impl StreamHandler<Forever> for Endless {
    async fn stream(&mut self, _: Forever, items: Items<()>, _: &mut Context<Self>) {
        while items.send(()).await.is_ok() {
            *self.sent.lock() += 1;
        }
    }
}

struct Silent;

impl Actor for Silent {}

impl StreamHandler<Forever> for Silent {
    async fn stream(&mut self, _: Forever, _items: Items<()>, _: &mut Context<Self>) {
        std::future::pending().await
    }
}
