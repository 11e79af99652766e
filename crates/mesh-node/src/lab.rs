//! Actors for tests and trials: one that answers, one that is slow, one that crashes, one that remembers, one that
//! streams; one that asks people first, where the node has approvals; and a kind that can be placed.

use std::sync::Arc;
use std::time::Duration;

use mesh::{
    Actor, ActorSpec, Context, Handler, Items, Kinds, Mesh, Message, PublishError, StreamHandler, Streaming,
    WireActor, WireMessage,
};
use mesh_agents::approvals::Gate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod guarded;
mod placed;
mod worker;

pub use guarded::{Done, Guard, Guarded, ListDone};
use guarded::{GUARDED, GuardedActor};
pub(crate) use placed::register;
pub use placed::{Who, WhoAmI};

/// A text to be sent back: `lab.echo.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// What to send back.
    pub text: String,
}

/// The answer to [`Echo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Echoed {
    /// What was sent.
    pub text: String,
    /// The node that sends it back.
    pub node: String,
}

impl Message for Echo {
    type Reply = Echoed;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

impl WireMessage for Echo {
    const KIND: &'static str = "lab.echo.v1";
}

/// Work that takes a while: `lab.work.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// How long it takes, in milliseconds.
    pub ms: u64,
    /// Luggage that makes the message as large as one likes.
    pub pad: String,
}

/// The answer to [`Work`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worked {
    /// How much work this actor has done since it started, this one included.
    pub n: u64,
}

impl Message for Work {
    type Reply = Worked;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.pad.len()
    }
}

impl WireMessage for Work {
    const KIND: &'static str = "lab.work.v1";
}

/// A message whose handler panics: `lab.crash.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crash {}

impl Message for Crash {
    type Reply = ();
}

impl WireMessage for Crash {
    const KIND: &'static str = "lab.crash.v1";
}

/// A number to be added: `lab.add.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// How much; it may be negative.
    pub by: i64,
}

/// The answer to [`Add`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    /// The sum since the actor started; it stays at the ends of its range.
    pub total: i64,
}

impl Message for Add {
    type Reply = Added;
}

impl WireMessage for Add {
    const KIND: &'static str = "lab.add.v1";
}

/// Asks for the numbers from 1 to some number, one after the other: `lab.count_to.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountTo {
    /// The last number.
    pub to: u64,
    /// The pause before each, in milliseconds.
    pub every_ms: u64,
    /// How many bytes of luggage come with each; at most 64,000.
    pub pad: u32,
}

/// An item of the answer to [`CountTo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// The number.
    pub n: u64,
    /// As long as was asked for.
    pub pad: String,
}

/// The end of the answer to [`CountTo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The last number that was sent.
    pub n: u64,
}

impl Message for CountTo {
    type Reply = Counted;
}

impl Streaming for CountTo {
    type Item = Tick;
}

impl WireMessage for CountTo {
    const KIND: &'static str = "lab.count_to.v1";
}

/// Longest luggage of a [`Tick`]: an item has to fit into one frame.
const PAD_MAX: u32 = 64_000;

struct TicksActor;

impl Actor for TicksActor {}

impl StreamHandler<CountTo> for TicksActor {
    async fn stream(&mut self, count: CountTo, items: Items<Tick>, cx: &mut Context<Self>) -> Counted {
        let CountTo { to, every_ms, pad } = count;
        let pad = "x".repeat(pad.min(PAD_MAX) as usize);
        for n in 1..=to {
            if every_ms > 0 {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(every_ms)) => {}
                    () = cx.cancelled() => return Counted { n: n - 1 },
                }
            }
            if items.send(Tick { n, pad: pad.clone() }).await.is_err() {
                return Counted { n: n - 1 };
            }
        }
        Counted { n: to }
    }
}

impl WireActor for TicksActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.stream::<CountTo>()
    }
}

struct EchoActor {
    node: Arc<str>,
}

impl Actor for EchoActor {}

impl Handler<Echo> for EchoActor {
    async fn handle(&mut self, Echo { text }: Echo, _: &mut Context<Self>) -> Echoed {
        Echoed { text, node: self.node.to_string() }
    }
}

impl WireActor for EchoActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Echo>()
    }
}

struct SlowActor {
    done: u64,
}

impl Actor for SlowActor {}

impl Handler<Work> for SlowActor {
    async fn handle(&mut self, Work { ms, .. }: Work, cx: &mut Context<Self>) -> Worked {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => self.done += 1,
            // Nobody waits for it any more: what is not needed is not done.
            () = cx.cancelled() => {}
        }
        Worked { n: self.done }
    }
}

impl WireActor for SlowActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Work>()
    }
}

struct CrashActor {
    node: Arc<str>,
}

impl Actor for CrashActor {}

impl Handler<Crash> for CrashActor {
    async fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a crash was asked for");
    }
}

impl Handler<Echo> for CrashActor {
    async fn handle(&mut self, Echo { text }: Echo, _: &mut Context<Self>) -> Echoed {
        Echoed { text, node: self.node.to_string() }
    }
}

impl WireActor for CrashActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Crash>().message::<Echo>()
    }
}

struct CountActor {
    total: i64,
}

impl Actor for CountActor {}

impl Handler<Add> for CountActor {
    async fn handle(&mut self, Add { by }: Add, _: &mut Context<Self>) -> Added {
        self.total = self.total.saturating_add(by);
        Added { total: self.total }
    }
}

impl WireActor for CountActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Add>()
    }
}

/// Spawns them and publishes them under the name of their node.
pub(crate) fn publish(mesh: &Mesh, gate: Option<&Gate>) -> Result<(), PublishError> {
    if let Some(gate) = gate {
        let (gate, spec) = (gate.clone(), ActorSpec::new(GUARDED));
        spawn(mesh, GUARDED, spec, move || GuardedActor::new(gate.clone()))?;
    }
    let node: Arc<str> = mesh.node_name();
    let name = Arc::clone(&node);
    let echo = ActorSpec::new("echo").capability("lab:echo");
    spawn(mesh, "echo", echo, move || EchoActor { node: Arc::clone(&name) })?;
    // The bound that is meant to be met is that of messages: 64 with 16 KiB of luggage fit.
    let slow = ActorSpec::new("slow").mailbox(64).mailbox_bytes(2 << 20);
    spawn(mesh, "slow", slow, || SlowActor { done: 0 })?;
    // Crashing is its trade: it is not given up for doing it often.
    let crash = ActorSpec::new("crash").intensity(100, Duration::from_secs(10));
    spawn(mesh, "crash", crash, move || CrashActor { node: Arc::clone(&node) })?;
    spawn(mesh, "count", ActorSpec::new("count"), || CountActor { total: 0 })?;
    spawn(mesh, "ticks", ActorSpec::new("ticks"), || TicksActor)
}

fn spawn<A: WireActor>(
    mesh: &Mesh,
    name: &str,
    spec: ActorSpec,
    make: impl Fn() -> A + Send + Sync + 'static,
) -> Result<(), PublishError> {
    // Each node has its own: the full path is meant.
    mesh.publish(name, &mesh.spawn(spec.on_every_node(), make))
}

#[cfg(test)]
mod tests;
