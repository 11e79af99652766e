//! Messages that are answered by a stream: kept for a reader that is cut off, or ending with it.

use super::{Owed, RemoteParcel, encode, enter};
use crate::{
    dedup::MessageId,
    failure::{bad_message, failure_of},
    frames::{Frame, Frames},
    kept::{Kept, Reader},
    parking::Key,
    stream_out::StreamOut,
    wire::WireMessage,
};
use bytes::{BufMut, Bytes};
use futures::future::BoxFuture;
use mesh_actor::{Actor, AskError, Cancel, Context, Items, StreamHandler, Streaming};
use mesh_proto::{
    Failure, encode_frame,
    frame::{Content, INLINE_BYTES_MAX, Outcome, ReplyHeader},
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tokio::sync::mpsc;

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
        cx.holds(|| M::KIND, crate::port::local::mailbox_weight(frame.weight()).bytes);
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

impl<A: Actor> RemoteParcel<A> {
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
