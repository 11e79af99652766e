//! Messages from a peer in an actor's mailbox: decoded one by one as the actor takes them.

use crate::{
    dedup::Answers,
    failure::{bad_message, failure_of},
    frames::{Frame, Frames, refuse},
    stream_out::StreamOut,
    wire::{KindRow, WireMessage},
};
use bytes::BufMut;
use futures::future::BoxFuture;
use mesh_actor::{Actor, AskError, Cancel, Context, Handler, Meta, Parcel, Skipped, Slot};
use mesh_proto::{
    Bounded, EncodeError,
    credit::Weight,
    decode_payload, encode_payload,
    frame::{Content, Outcome, ReplyHeader},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{pin::pin, sync::Arc, task::Poll};

mod later;
mod once;
mod streams;

pub(crate) use later::answer_later;
pub(crate) use streams::answer_streams;

pub(super) type KindTable<A> = Arc<[KindRow<A>]>;

/// A group of messages from one peer, in the mailbox of `A`.
pub(crate) struct RemoteParcel<A: Actor> {
    kinds: KindTable<A>,
    frames: Frames,
    room: TakenRoom<A>,
    answers: Arc<Mutex<Answers>>,
}

/// Room of messages that were taken, freed for several together.
struct TakenRoom<A: Actor> {
    slot: Slot<A>,
    taken: Weight,
}

/// Messages whose room is freed together when none of their handlers waits.
const FREED_TOGETHER: u64 = 32;

impl<A: Actor> RemoteParcel<A> {
    pub(super) fn new(
        kinds: KindTable<A>,
        frames: Frames,
        slot: Slot<A>,
        answers: Arc<Mutex<Answers>>,
    ) -> Self {
        Self { kinds, frames, room: TakenRoom { slot, taken: Weight::ZERO }, answers }
    }

    /// Takes the next message if it is of this kind.
    fn take(&mut self, kind: u16) -> Option<Frame> {
        if self.frames.next_kind() != Some(kind) {
            return None;
        }
        let frame = self.frames.take_next()?;
        self.count(frame.weight());
        Some(frame)
    }

    /// Goes on to the next message if it is of this kind.
    #[inline]
    fn step(&mut self, kind: u16) -> bool {
        let is_there = self.frames.step(kind);
        if is_there {
            self.count(self.frames.in_hand().weight());
        }
        is_there
    }

    #[inline]
    fn count(&mut self, taken: Weight) {
        self.room.taken = self.room.taken.plus(taken);
        if self.room.taken.messages >= FREED_TOGETHER {
            self.room.free(&self.frames);
        }
    }

    /// Tells the asker of a message that does not run.
    fn skip(&self, frame: &Frame, skipped: Skipped) {
        let error = skipped.error(self.frames.path());
        self.frames.refuse(frame, &failure_of(&error, self.frames.origin().here()));
    }

    /// Decodes a message, or answers its sender and gives `None`.
    #[inline]
    fn open<M: WireMessage>(&self, frame: &Frame) -> Option<M> {
        let payload = self.frames.message(frame);
        let reason = match frame.content.encoding() {
            Content::Bincode => match decode_payload(payload) {
                Ok(message) => return Some(message),
                Err(error) => error.to_string(),
            },
            _ => match serde_json::from_slice(payload) {
                Ok(Bounded(message)) => return Some(message),
                Err(error) => error.to_string(),
            },
        };
        self.refuse_unread(frame, M::KIND, reason);
        None
    }

    #[cold]
    fn refuse_unread(&self, frame: &Frame, kind: &str, reason: String) {
        let path = self.frames.path();
        tracing::warn!(actor = %path, kind, reason, "message cannot be decoded");
        self.frames.refuse(frame, &bad_message(path, kind, reason, self.frames.origin().here()));
    }

    fn reply<R: Serialize>(&self, frame: &Frame, outcome: Outcome, reply: &R) {
        if frame.correlation == 0 {
            return;
        }
        let content = frame.content.encoding();
        let header = ReplyHeader { correlation: frame.correlation, outcome, content, body: None };
        let written = self.frames.origin().answer(header, &mut |buffer| encode(content, reply, buffer));
        if let Err(error) = written {
            self.refuse_bad(frame, "reply", error.reason);
        }
    }

    /// The signal of an ask, which may be set already: it was withdrawn while it waited here.
    #[inline]
    fn cancel_of(&self, frame: &Frame) -> Option<Cancel> {
        (frame.correlation != 0).then(|| {
            let cancel = Cancel::new();
            if self.frames.origin().is_withdrawn(frame.correlation) {
                cancel.cancel();
            }
            cancel
        })
    }

    #[cold]
    fn refuse_bad(&self, frame: &Frame, kind: &str, reason: String) {
        let here = self.frames.origin().here();
        self.frames.refuse(frame, &bad_message(self.frames.path(), kind, reason, here));
    }
}

impl<A: Actor> TakenRoom<A> {
    /// Frees the places of messages that were taken, and lets their senders send more.
    fn free(&mut self, frames: &Frames) {
        let taken = std::mem::take(&mut self.taken);
        if taken != Weight::ZERO {
            self.slot.release(super::local::mailbox_weight(taken));
            frames.taken();
        }
    }
}

/// Shows the actor the message in hand.
fn enter<A: Actor>(
    cx: &mut Context<A>,
    node: Option<&Arc<str>>,
    frame: &Frame,
    cancel: Option<Cancel>,
) -> Result<(), Skipped> {
    if node.is_none() && frame.sender == 0 {
        return cx.enter(Meta { deadline: frame.deadline, sender: None, cancel });
    }
    cx.enter_from(node, frame.sender, frame.deadline, cancel)
}

impl<A: Actor> Parcel<A> for RemoteParcel<A> {
    fn remaining(&self) -> usize {
        self.frames.len()
    }

    fn open_run<'a>(&'a mut self, max: usize, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        let kind = self.frames.next_kind().map_or(0, usize::from);
        // Headers that name no kind of the channel were refused when they came.
        let open_run = self.kinds[kind].open_run;
        open_run(self, max, actor, cx)
    }

    fn reject(self: Box<Self>, why: &AskError) {
        let Self { mut frames, .. } = *self;
        let failure = failure_of(why, frames.origin().here());
        while let Some(frame) = frames.take_next() {
            frames.refuse(&frame, &failure);
        }
    }

    fn die(self: Box<Self>, why: &AskError, died: &mut dyn FnMut(&str, usize)) {
        let Self { mut frames, kinds, .. } = *self;
        let failure = failure_of(why, frames.origin().here());
        loop {
            let kind = frames.next_kind().and_then(|kind| kinds.get(usize::from(kind)));
            let Some(frame) = frames.take_next() else { return };
            if frame.correlation == 0 {
                let bytes = super::local::mailbox_weight(frame.weight()).bytes;
                died(kind.map_or("message", |kind| kind.name), bytes);
            }
            frames.refuse(&frame, &failure);
        }
    }
}

/// Handles messages of the kind `M` as long as the next one is of that kind too.
pub(crate) fn answer_messages<'a, A, M>(
    parcel: &'a mut RemoteParcel<A>,
    max: usize,
    actor: &'a mut A,
    cx: &'a mut Context<A>,
) -> BoxFuture<'a, ()>
where
    A: Handler<M>,
    M: WireMessage,
{
    Box::pin(async move {
        let kind = parcel.frames.next_kind().unwrap_or_default();
        let node = parcel.frames.origin().node().cloned();
        for _ in 0..max {
            if !parcel.step(kind) {
                break;
            }
            let frame = parcel.frames.in_hand();
            let Ok(once) = parcel.first_time(frame) else { continue };
            let Some(message) = parcel.open::<M>(frame) else { continue };
            let cancel = parcel.cancel_of(frame);
            if let Err(skipped) = enter(cx, node.as_ref(), frame, cancel.clone()) {
                parcel.skip(frame, skipped);
                continue;
            }
            cx.holds(|| M::KIND, super::local::mailbox_weight(frame.weight()).bytes);
            let mut owed = (frame.correlation != 0).then(|| Owed::new(&parcel.frames, frame.correlation));
            let reply = {
                let mut handling = pin!(actor.handle(message, cx));
                match futures::poll!(handling.as_mut()) {
                    Poll::Ready(reply) => reply,
                    Poll::Pending => {
                        // It may wait for long: its place, and those before it, are free now, and its asker
                        // may go away meanwhile.
                        parcel.room.free(&parcel.frames);
                        if let (Some(owed), Some(cancel)) = (&mut owed, cancel) {
                            owed.may_be_cancelled(StreamOut::new(cancel));
                        }
                        handling.await
                    }
                }
            };
            if let Some(owed) = owed {
                owed.paid();
                match once {
                    Some(once) => parcel.reply_once(frame, once, &reply),
                    None => parcel.reply(frame, Outcome::Reply, &reply),
                }
            }
            if cx.interrupted() {
                break;
            }
        }
        parcel.room.free(&parcel.frames);
    })
}

pub(crate) fn encode<T: Serialize>(
    content: Content,
    value: &T,
    buffer: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match content {
        Content::Bincode => encode_payload(value, buffer),
        _ => serde_json::to_writer(buffer.writer(), value)
            .map_err(|error| EncodeError { reason: error.to_string() }),
    }
}

/// A reply that is owed while a handler runs. A handler that panics, is killed or fails pays with `STOPPED`.
struct Owed<'a> {
    frames: &'a Frames,
    correlation: u64,
    /// Whether the origin knows that the ask is being handled.
    is_begun: bool,
    is_paid: bool,
}

impl<'a> Owed<'a> {
    fn new(frames: &'a Frames, correlation: u64) -> Self {
        Self { frames, correlation, is_begun: false, is_paid: false }
    }

    /// Lets the asker withdraw the ask, and grant room to its stream, while the handler runs.
    fn may_be_cancelled(&mut self, stream: Arc<StreamOut>) {
        if self.correlation != 0 {
            self.is_begun = true;
            self.frames.origin().begin(self.correlation, stream);
        }
    }

    fn paid(mut self) {
        self.is_paid = true;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        let origin = self.frames.origin();
        if self.is_begun {
            origin.end(self.correlation);
        }
        if !self.is_paid {
            let error = AskError::Stopped { path: self.frames.path().to_string() };
            refuse(&**origin, self.correlation, &failure_of(&error, origin.here()));
        }
    }
}
