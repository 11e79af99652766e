//! Tells per second and asks between two actors of one process, beside raw ractor.
//!
//! Run with `cargo run --release -p mesh-actor --example local_rates`. The mailbox is bounded by 1,024 messages, the
//! queue of ractor by nothing. With the argument `tells` or `asks`, it measures these only.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_actor::{Actor, ActorRef, ActorSpec, Context, Handler, Message, Runtimes, System};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::JoinSet;

type Payload = [u8; 64];

const TELLS: u64 = 4_000_000;
const ASKS: u32 = 200_000;
const WARM_UP: u32 = 20_000;
const ROUNDS: usize = 3;

/// Counts what arrives, and says when all of it has.
struct Count {
    arrived: u64,
    all: Arc<Notify>,
}

impl Count {
    fn note(&mut self, payload: &Payload) {
        std::hint::black_box(payload[0]);
        self.arrived += 1;
        if self.arrived.is_multiple_of(TELLS) {
            self.all.notify_one();
        }
    }
}

struct Ours(Count);

impl Actor for Ours {}

struct Tell(Payload);

impl Message for Tell {
    type Reply = ();
}

impl Handler<Tell> for Ours {
    async fn handle(&mut self, Tell(payload): Tell, _: &mut Context<Self>) {
        self.0.note(&payload);
    }
}

struct Ask(Payload);

impl Message for Ask {
    type Reply = Payload;
}

impl Handler<Ask> for Ours {
    async fn handle(&mut self, Ask(payload): Ask, _: &mut Context<Self>) -> Payload {
        payload
    }
}

/// The same by ractor alone.
struct Raw;

enum RawMessage {
    Tell(Payload),
    Ask(Payload, ractor::RpcReplyPort<Payload>),
}

impl ractor::Actor for Raw {
    type Msg = RawMessage;
    type State = Count;
    type Arguments = Count;

    async fn pre_start(
        &self,
        _: ractor::ActorRef<RawMessage>,
        count: Count,
    ) -> Result<Count, ractor::ActorProcessingErr> {
        Ok(count)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<RawMessage>,
        message: RawMessage,
        count: &mut Count,
    ) -> Result<(), ractor::ActorProcessingErr> {
        match message {
            RawMessage::Tell(payload) => count.note(&payload),
            RawMessage::Ask(payload, reply) => reply.send(payload)?,
        }
        Ok(())
    }
}

async fn rate_of_ours(actor: &ActorRef<Ours>, all: &Notify, senders: u64) -> f64 {
    let started = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..senders {
        let actor = actor.clone();
        sending.spawn(async move {
            for _ in 0..TELLS / senders {
                actor.tell(Tell([1; 64])).await.expect("the actor runs");
            }
        });
    }
    all.notified().await;
    TELLS as f64 / started.elapsed().as_secs_f64() / 1e6
}

async fn rate_of_ractor(actor: &ractor::ActorRef<RawMessage>, all: &Notify, senders: u64) -> f64 {
    let started = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..senders {
        let actor = actor.clone();
        sending.spawn(async move {
            for number in 0..TELLS / senders {
                actor.cast(RawMessage::Tell([1; 64])).expect("the actor runs");
                // Its senders never wait; without this the whole run would lie in its queue.
                if number % 256 == 255 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    all.notified().await;
    TELLS as f64 / started.elapsed().as_secs_f64() / 1e6
}

/// The median and the 99th percentile of one ask after another.
async fn latency<F: Future<Output = Payload>>(mut ask: impl FnMut() -> F) -> (Duration, Duration) {
    let mut times = Vec::new();
    for number in 0..ASKS + WARM_UP {
        let started = Instant::now();
        std::hint::black_box(ask().await);
        if number >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn compare(runtime: &'static str) {
    let system = System::new(Runtimes::current());
    let all = Arc::new(Notify::new());
    let told = Arc::clone(&all);
    let ours =
        system.spawn(ActorSpec::new("ours"), move || Ours(Count { arrived: 0, all: Arc::clone(&told) }));
    let count = Count { arrived: 0, all: Arc::clone(&all) };
    let (raw, task) = ractor::Actor::spawn(None, Raw, count).await.expect("it starts");
    let only = std::env::args().nth(1);
    if only.as_deref() != Some("asks") {
        compare_tells(runtime, &ours, &raw, &all).await;
    }
    if only.as_deref() != Some("tells") {
        compare_asks(runtime, &ours, &raw).await;
    }
    raw.stop(None);
    task.await.expect("it ends");
    system.shutdown(Duration::from_secs(5)).await.expect("all actors end");
}

async fn compare_tells(
    runtime: &str,
    ours: &ActorRef<Ours>,
    raw: &ractor::ActorRef<RawMessage>,
    all: &Notify,
) {
    for senders in [1, 8] {
        for _ in 0..ROUNDS {
            let ours = rate_of_ours(ours, all, senders).await;
            let raw = rate_of_ractor(raw, all, senders).await;
            let ratio = ours / raw;
            println!(
                "{runtime:>11}, {senders} senders: ours {ours:6.2} M/s, ractor {raw:6.2} M/s, {ratio:5.2}x"
            );
        }
    }
}

async fn compare_asks(runtime: &str, ours: &ActorRef<Ours>, raw: &ractor::ActorRef<RawMessage>) {
    for _ in 0..ROUNDS {
        let (p50, p99) = latency(|| async { ours.ask(Ask([2; 64])).await.expect("it replies") }).await;
        println!("{runtime:>11}, asks: ours                p50 {p50:?}, p99 {p99:?}");
        for (name, timeout) in
            [("ractor             ", None), ("ractor with timeout", Some(Duration::from_secs(5)))]
        {
            let ask = || async {
                let reply = raw.call(|port| RawMessage::Ask([2; 64], port), timeout).await;
                reply.expect("it runs").expect("it replies")
            };
            let (p50, p99) = latency(ask).await;
            println!("{runtime:>11}, asks: {name} p50 {p50:?}, p99 {p99:?}");
        }
    }
}

fn main() {
    let one = Builder::new_current_thread().enable_all().build().expect("a runtime");
    one.block_on(async { tokio::spawn(compare("one thread")).await.expect("it runs through") });
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    two.block_on(async { tokio::spawn(compare("two workers")).await.expect("it runs through") });
}
