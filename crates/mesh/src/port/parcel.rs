//! Messages from a peer in an actor's mailbox: decoded one by one as the actor takes them.

use crate::{
    dedup::{Answers, MessageId},
    failure::{bad_message, failure_of},
    frames::{Frame, Frames, refuse},
    kept::{Kept, Reader},
    parking::Key,
    stream_out::StreamOut,
    wire::{KindRow, WireMessage},
};
use bytes::{BufMut, Bytes};
use futures::future::BoxFuture;
use mesh_actor::{
    Actor, AskError, Cancel, Context, Handler, Items, Meta, Parcel, Skipped, Slot, StreamHandler, Streaming,
};
use mesh_proto::{
    EncodeError, Failure,
    credit::Weight,
    decode_payload, encode_frame, encode_payload,
    frame::{Content, INLINE_BYTES_MAX, Outcome, ReplyHeader},
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::{pin::pin, sync::Arc, task::Poll};
use tokio::sync::mpsc;

mod once;

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
        self.room.taken = self.room.taken.plus(frame.weight());
        if self.room.taken.messages >= FREED_TOGETHER {
            self.room.free(&self.frames);
        }
        Some(frame)
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
                Ok(message) => return Some(message),
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
    fn cancel_of(&self, frame: &Frame) -> Option<Cancel> {
        (frame.correlation != 0).then(|| {
            let cancel = Cancel::new();
            if self.frames.origin().is_withdrawn(frame.correlation) {
                cancel.cancel();
            }
            cancel
        })
    }

    /// Keeps a stream for its reader, if the message has an id for it, and this node has a place for one more.
    fn keep(&self, frame: &Frame, cancel: &Cancel) -> Option<Arc<Kept>> {
        if !frame.content.has_id() {
            return None;
        }
        let origin = self.frames.origin();
        let (owner, parking) = origin.keeper()?;
        let (id, _) = MessageId::split(self.frames.payload(frame))?;
        let key = Key { owner, stream: id.bits() };
        let reader = Reader { origin: Arc::clone(origin), correlation: frame.correlation, turn: 0 };
        let path = Arc::clone(self.frames.path());
        let content = frame.content.encoding();
        let kept = Kept::new(key, &parking, path, frame.kind, content, cancel.clone(), reader);
        parking.insert(&kept).then_some(kept)
    }

    fn send_item(&self, frame: &Frame, item: &Bytes) {
        let header = ReplyHeader {
            correlation: frame.correlation,
            outcome: Outcome::Item,
            content: frame.content.encoding(),
            body: None,
        };
        let sent = self.frames.origin().answer(header, &mut |out| {
            out.put_slice(item);
            Ok(())
        });
        debug_assert!(sent.is_ok(), "an encoded item is only copied");
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
            let Some(frame) = parcel.take(kind) else { break };
            let Ok(once) = parcel.first_time(&frame) else { continue };
            let Some(message) = parcel.open::<M>(&frame) else { continue };
            let cancel = parcel.cancel_of(&frame);
            if let Err(skipped) = enter(cx, node.as_ref(), &frame, cancel.clone()) {
                parcel.skip(&frame, skipped);
                continue;
            }
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
                    Some(once) => parcel.reply_once(&frame, once, &reply),
                    None => parcel.reply(&frame, Outcome::Reply, &reply),
                }
            }
            if cx.interrupted() {
                break;
            }
        }
        parcel.room.free(&parcel.frames);
    })
}

/// Handles one message of the kind `M` that is answered by a stream.
pub(crate) fn answer_streams<'a, A, M>(
    parcel: &'a mut RemoteParcel<A>,
    _max: usize,
    actor: &'a mut A,
    cx: &'a mut Context<A>,
) -> BoxFuture<'a, ()>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
    A: StreamHandler<M>,
{
    Box::pin(async move {
        let kind = parcel.frames.next_kind().unwrap_or_default();
        let Some(frame) = parcel.take(kind) else { return };
        parcel.room.free(&parcel.frames);
        let Some(message) = parcel.open::<M>(&frame) else { return };
        let node = parcel.frames.origin().node().cloned();
        let cancel = parcel.cancel_of(&frame).unwrap_or_default();
        if let Err(skipped) = enter(cx, node.as_ref(), &frame, Some(cancel.clone())) {
            return parcel.skip(&frame, skipped);
        }
        let (items, made) = Items::channel(1);
        if let Some(kept) = parcel.keep(&frame, &cancel) {
            let owed = KeptOwed::begin(&parcel.frames, frame.correlation, &kept);
            let sends = send_items(parcel, &frame, &cancel, made, Out::Kept(&kept));
            let (reply, ()) = futures::join!(actor.stream(message, items, cx), sends);
            owed.pay(frame.content.encoding(), &reply);
        } else {
            let stream = StreamOut::new(cancel.clone());
            let mut owed = Owed::new(&parcel.frames, frame.correlation);
            owed.may_be_cancelled(Arc::clone(&stream));
            let sends = send_items(parcel, &frame, &cancel, made, Out::Plain(&stream));
            let (reply, ()) = futures::join!(actor.stream(message, items, cx), sends);
            owed.paid();
            parcel.reply(&frame, Outcome::Reply, &reply);
        }
        // The end of the turn is for the runner to see.
        let _ = cx.interrupted();
    })
}

/// Where the items of a stream go.
#[derive(Clone, Copy)]
enum Out<'a> {
    /// To who asked, and with its connection it ends.
    Plain(&'a StreamOut),
    /// To who reads it then.
    Kept(&'a Kept),
}

impl Out<'_> {
    /// Waits for room for an item, which a kept stream takes then; whether anybody will read it.
    async fn room(self, item: &Bytes) -> bool {
        match self {
            Self::Plain(stream) => {
                stream.reserve(item.len()).await;
                true
            }
            Self::Kept(kept) => kept.send(item.clone()).await.is_ok(),
        }
    }
}

/// Sends items as they are made, each when the reader has room; ends when the handler drops its end, and when nobody
/// reads any more.
async fn send_items<A: Actor, T: Serialize>(
    parcel: &RemoteParcel<A>,
    frame: &Frame,
    cancel: &Cancel,
    mut made: mpsc::Receiver<T>,
    out: Out<'_>,
) {
    loop {
        let item = tokio::select! {
            item = made.recv() => item,
            () = cancel.cancelled() => None,
        };
        let Some(item) = item else { return };
        let mut buffer = Vec::new();
        if let Err(error) = encode(frame.content.encoding(), &item, &mut buffer) {
            tracing::warn!(actor = %parcel.frames.path(), error = %error, "item cannot be encoded");
            return;
        }
        if buffer.len() > INLINE_BYTES_MAX {
            tracing::warn!(actor = %parcel.frames.path(), bytes = buffer.len(), "item is too large for a stream");
            return;
        }
        let item = Bytes::from(buffer);
        let is_read = tokio::select! {
            is_read = out.room(&item) => is_read,
            () = cancel.cancelled() => false,
        };
        match out {
            _ if !is_read => return,
            Out::Plain(_) => parcel.send_item(frame, &item),
            Out::Kept(_) => {}
        }
    }
}

fn encode<T: Serialize>(content: Content, value: &T, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
    match content {
        Content::Bincode => encode_payload(value, buffer),
        _ => serde_json::to_writer(buffer.writer(), value)
            .map_err(|error| EncodeError { reason: error.to_string() }),
    }
}

/// The end that is owed to whoever reads a kept stream then. A handler that panics, is killed or fails ends it with
/// `STOPPED`.
struct KeptOwed<'a> {
    frames: &'a Frames,
    kept: &'a Arc<Kept>,
    is_paid: bool,
}

impl<'a> KeptOwed<'a> {
    fn begin(frames: &'a Frames, correlation: u64, kept: &'a Arc<Kept>) -> Self {
        frames.origin().begin(correlation, StreamOut::of_kept(kept, 0));
        Self { frames, kept, is_paid: false }
    }

    fn pay<R: Serialize>(mut self, content: Content, reply: &R) {
        self.is_paid = true;
        let mut payload = Vec::new();
        match encode(content, reply, &mut payload) {
            Ok(()) => self.kept.finish(Outcome::Reply, content, payload.into()),
            Err(error) => {
                let here = self.frames.origin().here();
                self.fail(&bad_message(self.frames.path(), "reply", error.reason, here));
            }
        }
    }

    fn fail(&self, failure: &Failure) {
        let mut payload = Vec::new();
        encode_frame(failure, &mut payload);
        self.kept.finish(Outcome::Failure, Content::Bincode, payload.into());
    }
}

impl Drop for KeptOwed<'_> {
    fn drop(&mut self) {
        if !self.is_paid {
            let error = AskError::Stopped { path: self.frames.path().to_string() };
            self.fail(&failure_of(&error, self.frames.origin().here()));
        }
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
