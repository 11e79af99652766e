//! The actor that is measured, and what it takes within one process.

use std::time::Duration;

use mesh::{Actor, Context, Handler, Message};

/// Counts notes and returns what it is asked.
#[derive(Default)]
pub(super) struct Counter {
    pub(super) notes: u64,
    /// What each note from another node takes.
    pub(super) pause: Duration,
}

impl Actor for Counter {}

/// 64 bytes within one process, to be counted.
pub(super) struct Note(pub(super) [u8; 64]);

impl Message for Note {
    type Reply = ();
}

impl Handler<Note> for Counter {
    async fn handle(&mut self, Note(body): Note, _cx: &mut Context<Self>) {
        std::hint::black_box(body);
        self.notes += 1;
    }
}

/// 64 bytes within one process, to be sent back.
pub(super) struct Echo(pub(super) [u8; 64]);

impl Message for Echo {
    type Reply = [u8; 64];
}

impl Handler<Echo> for Counter {
    async fn handle(&mut self, Echo(body): Echo, _cx: &mut Context<Self>) -> [u8; 64] {
        body
    }
}

/// How many notes were handled.
pub(super) struct CountNotes;

impl Message for CountNotes {
    type Reply = u64;
}

impl Handler<CountNotes> for Counter {
    async fn handle(&mut self, _: CountNotes, _cx: &mut Context<Self>) -> u64 {
        self.notes
    }
}

/// Crashes the actor.
pub(super) struct Crash;

impl Message for Crash {
    type Reply = ();
}

impl Handler<Crash> for Counter {
    async fn handle(&mut self, _: Crash, cx: &mut Context<Self>) {
        cx.fail("told to crash");
    }
}
