//! A stream that outlives its reader's connection.
//!
//! ```text
//!   handler ─► item 34 ─► kept: 30 31 32 33 34 ─► reader, while there is one
//!                               ▲           └─ sent again to who attaches, from the item that it asks for
//!                               └─ dropped when the reader says that it is done with it
//! ```
//!
//! What is kept is what the reader has not acknowledged, and never more than the window: so a stream without a reader
//! holds its handler back as a slow reader does.

use crate::{
    frames::{Origin, refuse},
    parking::{Key, Owner, Parking},
    stream_out::STREAM_WINDOW,
};
use bytes::{BufMut, Bytes};
use mesh_actor::Cancel;
use mesh_proto::{
    EncodeError, Failure,
    credit::Weight,
    frame::{Content, Outcome, ReplyHeader},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::Notify, time::Instant};

/// A stream with an id, from its first item until its reader has its end or nobody came for it.
pub(crate) struct Kept {
    key: Key,
    /// The actor's path, and the kind's place: what a reader must be allowed to.
    path: Arc<str>,
    kind: u16,
    content: Content,
    cancel: Cancel,
    turns: AtomicU64,
    parking: Weak<Parking>,
    state: Mutex<State>,
    room: Notify,
}

struct State {
    reader: Option<Reader>,
    items: VecDeque<Bytes>,
    bytes: u64,
    /// The number of the last item that was made.
    last: u64,
    end: Option<(Outcome, Content, Bytes)>,
    /// When the reader gave its last sign.
    since: Instant,
    is_over: bool,
}

/// Who reads: where its answers go, and under which number.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) correlation: u64,
    /// The how manieth reader it is, from 0.
    pub(crate) turn: u64,
}

/// Nobody reads the stream any more, and nobody will.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over;

/// Why a reader cannot go on where it wants to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The first item that there is.
    pub(crate) first: u64,
}

impl Kept {
    /// Whose it is.
    pub(crate) fn owner(&self) -> Owner {
        self.key.owner
    }

    pub(crate) fn new(
        key: Key,
        parking: &Arc<Parking>,
        path: Arc<str>,
        kind: u16,
        content: Content,
        cancel: Cancel,
        reader: Reader,
    ) -> Arc<Self> {
        let state = State {
            reader: Some(reader),
            items: VecDeque::new(),
            bytes: 0,
            last: 0,
            end: None,
            since: Instant::now(),
            is_over: false,
        };
        let (state, room, parking) = (Mutex::new(state), Notify::new(), Arc::downgrade(parking));
        let turns = AtomicU64::new(0);
        Arc::new(Self { key, path, kind, content, cancel, turns, parking, state, room })
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn kind(&self) -> u16 {
        self.kind
    }

    /// When nobody has read for as long as can be, if nobody does now.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (!state.is_over && (state.reader.is_none() || state.end.is_some())).then_some(state.since)
    }

    /// Sends an item, or keeps it for the reader that comes back; waits until there is room for it. There is one producer.
    ///
    /// Cancel safe: the item is taken in the moment in which the wait ends.
    pub(crate) async fn send(&self, payload: Bytes) -> Result<(), Over> {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_over {
                    return Err(Over);
                }
                // An item heavier than the window goes alone.
                let has_room =
                    (state.items.len() as u64) < STREAM_WINDOW.messages && state.bytes < STREAM_WINDOW.bytes;
                if has_room {
                    state.last += 1;
                    state.bytes += payload.len() as u64;
                    state.items.push_back(payload.clone());
                    self.parked(|parking| parking.holds_more(payload.len()));
                    // Under the lock, so that who attaches now gets it once.
                    state.tell(Outcome::Item, self.content, &payload);
                    break;
                }
            }
            self.room.notified().await;
        }
        self.parked(|parking| parking.relieve());
        Ok(())
    }

    /// The handler has ended: the stream has its reply, or a failure.
    pub(crate) fn finish(&self, outcome: Outcome, content: Content, payload: Bytes) {
        {
            let mut state = self.state.lock();
            state.since = Instant::now();
            state.tell(outcome, content, &payload);
            if !state.is_over {
                self.parked(|parking| parking.holds_more(payload.len()));
                state.bytes += payload.len() as u64;
                state.end = Some((outcome, content, payload));
            }
        }
        if self.cancel.is_cancelled() {
            // Who withdrew it has its end, and does not come back.
            self.parked(|parking| parking.remove(self.key));
        }
        self.parked(|parking| parking.idles());
    }

    /// The reader is done with all items but those of the window's last part.
    pub(crate) fn on_grant(&self, granted: Weight) {
        let mut state = self.state.lock();
        state.since = Instant::now();
        let done = granted.messages.saturating_sub(STREAM_WINDOW.messages).min(state.last);
        while state.first() <= done {
            let Some(item) = state.items.pop_front() else { break };
            state.bytes -= item.len() as u64;
            self.parked(|parking| parking.holds_less(item.len()));
        }
        drop(state);
        self.room.notify_one();
    }

    /// The number of the next reader: so that what comes late of one before it does not touch it.
    pub(crate) fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The reader of this turn is away, and may come back; answers who it was.
    pub(crate) fn park(&self, turn: u64) -> Option<Reader> {
        let reader = {
            let mut state = self.state.lock();
            let reader = state.reader.take_if(|reader| reader.turn == turn)?;
            state.since = Instant::now();
            reader
        };
        self.parked(|parking| parking.idles());
        Some(reader)
    }

    /// Gives the stream to a reader, from its item `next` on; answers who read it until now.
    ///
    /// # Errors
    /// [`Missing`]: that item is not here any more, or is yet to come behind others.
    pub(crate) fn attach(&self, reader: Reader, next: u64) -> Result<Option<Reader>, Missing> {
        let mut state = self.state.lock();
        let first = state.first();
        let skipped = next.checked_sub(first).filter(|_| next <= state.last + 1 && !state.is_over);
        let skipped = skipped.ok_or(Missing { first })?;
        let before = state.reader.replace(reader);
        state.since = Instant::now();
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        for item in state.items.iter().skip(skipped) {
            state.tell(Outcome::Item, self.content, item);
        }
        if let Some((outcome, content, payload)) = &state.end {
            state.tell(*outcome, *content, payload);
        }
        Ok(before)
    }

    /// What is kept of this node's streams, unless the node is gone.
    fn parked(&self, then: impl FnOnce(&Parking)) {
        if let Some(parking) = self.parking.upgrade() {
            then(&parking);
        }
    }

    /// The reader of this turn has withdrawn it: it is kept no longer than its handler needs.
    pub(crate) fn withdraw(&self, turn: u64) {
        let has_ended = {
            let state = self.state.lock();
            if state.reader.as_ref().is_none_or(|reader| reader.turn != turn) {
                return;
            }
            state.end.is_some()
        };
        self.cancel.cancel();
        if has_ended {
            self.parked(|parking| parking.remove(self.key));
        }
    }

    /// Nobody comes for it, or it is over: its handler finds it closed. Answers who still had it.
    pub(crate) fn close(&self) -> Option<Reader> {
        let mut state = self.state.lock();
        state.is_over = true;
        state.items = VecDeque::new();
        let bytes = usize::try_from(std::mem::take(&mut state.bytes)).unwrap_or(usize::MAX);
        self.parked(|parking| parking.holds_less(bytes));
        let reader = state.reader.clone();
        let has_ended = state.end.take().is_some();
        drop(state);
        if !has_ended {
            self.cancel.cancel();
        }
        self.room.notify_one();
        reader
    }
}

impl State {
    /// The number of the first item that is kept, or of the next one.
    fn first(&self) -> u64 {
        self.last + 1 - self.items.len() as u64
    }

    fn tell(&self, outcome: Outcome, content: Content, payload: &[u8]) {
        let Some(Reader { origin, correlation, .. }) = &self.reader else { return };
        let header = ReplyHeader { correlation: *correlation, outcome, content, body: None };
        let sent = origin.answer(header, &mut |buffer| {
            buffer.put_slice(payload);
            Ok(())
        });
        if let Err(EncodeError { reason }) = sent {
            let failure = crate::failure::bad_message("", "reply", reason, origin.here());
            refuse(&**origin, *correlation, &failure);
        }
    }
}

impl Reader {
    /// Tells who read until now that it does not any more.
    pub(crate) fn dismiss(&self, failure: Option<&Failure>) {
        self.origin.end(self.correlation);
        if let Some(failure) = failure {
            refuse(&*self.origin, self.correlation, failure);
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("key", &self.key).field("path", &self.path).finish_non_exhaustive()
    }
}
