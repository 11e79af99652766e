//! What the actor takes from other nodes.

use std::{future, time::Duration};

use bytes::Bytes;
use mesh::{Context, Handler, Kinds, Message, WireActor, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::actor::Counter;

impl WireActor for Counter {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds
            .message::<Note>()
            .message::<Echo>()
            .message::<CountNotes>()
            .message::<SlowDown>()
            .message::<Stick>()
    }
}

/// To be counted.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Note {
    #[serde(with = "mesh::raw_bytes")]
    #[schemars(with = "Vec<u8>")]
    pub(super) body: Bytes,
}

impl Message for Note {
    type Reply = ();

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

impl WireMessage for Note {
    const KIND: &'static str = "bench.note.v1";
}

impl Handler<Note> for Counter {
    async fn handle(&mut self, note: Note, _cx: &mut Context<Self>) {
        std::hint::black_box(note.body.last());
        self.notes += 1;
        if !self.pause.is_zero() {
            sleep(self.pause).await;
        }
    }
}

/// To be sent back.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Echo {
    #[serde(with = "mesh::raw_bytes")]
    #[schemars(with = "Vec<u8>")]
    pub(super) body: Bytes,
}

impl Message for Echo {
    type Reply = Bytes;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

impl WireMessage for Echo {
    const KIND: &'static str = "bench.echo.v1";
}

impl Handler<Echo> for Counter {
    async fn handle(&mut self, echo: Echo, _cx: &mut Context<Self>) -> Bytes {
        echo.body
    }
}

/// How many notes were handled, beyond `since`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct CountNotes {
    pub(super) since: u64,
}

impl Message for CountNotes {
    type Reply = u64;
}

impl WireMessage for CountNotes {
    const KIND: &'static str = "bench.count.v1";
}

impl Handler<CountNotes> for Counter {
    async fn handle(&mut self, count: CountNotes, _cx: &mut Context<Self>) -> u64 {
        self.notes.saturating_sub(count.since)
    }
}

/// From now on each note takes this long.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct SlowDown {
    pub(super) millis: u64,
}

impl Message for SlowDown {
    type Reply = ();
}

impl WireMessage for SlowDown {
    const KIND: &'static str = "bench.slow_down.v1";
}

impl Handler<SlowDown> for Counter {
    async fn handle(&mut self, slow: SlowDown, _cx: &mut Context<Self>) {
        self.pause = Duration::from_millis(slow.millis);
    }
}

/// Never returns.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Stick {
    pub(super) forever: bool,
}

impl Message for Stick {
    type Reply = ();
}

impl WireMessage for Stick {
    const KIND: &'static str = "bench.stick.v1";
}

impl Handler<Stick> for Counter {
    async fn handle(&mut self, stick: Stick, _cx: &mut Context<Self>) {
        if stick.forever {
            future::pending::<()>().await;
        }
    }
}
