//! Messages that are answered after their handler has returned.

use super::{Owed, RemoteParcel, encode, enter};
use crate::{
    failure::{bad_message, failure_of},
    frames::{Frame, Origin, refuse},
    stream_out::StreamOut,
    wire::WireMessage,
};
use futures::future::BoxFuture;
use mesh_actor::{Actor, Answer, AnswerSlot, AskError, Cancel, Context, Handler, Later};
use mesh_proto::frame::{Content, Outcome, ReplyHeader};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Hands out messages of the kind `M`, as long as the next one is of that kind too, without waiting for their answers.
pub(crate) fn answer_later<'a, A, M>(
    parcel: &'a mut RemoteParcel<A>,
    max: usize,
    actor: &'a mut A,
    cx: &'a mut Context<A>,
) -> BoxFuture<'a, ()>
where
    A: Handler<Later<M>>,
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
            cx.holds(|| M::KIND, crate::port::local::mailbox_weight(frame.weight()).bytes);
            let cancel = cancel.unwrap_or_default();
            let Some(once) = once else {
                let slot = parcel.slot_of(&frame, &cancel);
                actor.handle(Later::new(message, Answer::new(slot, frame.deadline, cancel)), cx).await;
                if cx.interrupted() {
                    break;
                }
                continue;
            };
            // Whether its id was there before is known only when it is answered: no other message comes between.
            parcel.room.free(&parcel.frames);
            let mut owed = Owed::new(&parcel.frames, frame.correlation);
            owed.may_be_cancelled(StreamOut::new(cancel.clone()));
            let (slot, answered) = oneshot::channel::<M::Reply>();
            let answer = Answer::new(Box::new(Here(slot)), frame.deadline, cancel);
            actor.handle(Later::new(message, answer), cx).await;
            if let Ok(reply) = answered.await {
                owed.paid();
                parcel.reply_once(&frame, once, &reply);
            }
            if cx.interrupted() {
                break;
            }
        }
        parcel.room.free(&parcel.frames);
    })
}

impl<A: Actor> RemoteParcel<A> {
    fn slot_of<R: Serialize>(&self, frame: &Frame, cancel: &Cancel) -> Box<dyn AnswerSlot<R>> {
        let (origin, correlation) = (Arc::clone(self.frames.origin()), frame.correlation);
        if correlation != 0 {
            origin.begin(correlation, StreamOut::new(cancel.clone()));
        }
        let (path, content) = (Arc::clone(self.frames.path()), frame.content.encoding());
        Box::new(There { origin, path, correlation, content, is_paid: correlation == 0 })
    }
}

/// The way of an answer to who sent the message: it outlives the parcel.
struct There {
    origin: Arc<dyn Origin>,
    path: Arc<str>,
    correlation: u64,
    content: Content,
    is_paid: bool,
}

impl<R: Serialize> AnswerSlot<R> for There {
    fn send(mut self: Box<Self>, reply: R) {
        if std::mem::replace(&mut self.is_paid, true) {
            return;
        }
        self.origin.end(self.correlation);
        let header = ReplyHeader {
            correlation: self.correlation,
            outcome: Outcome::Reply,
            content: self.content,
            body: None,
        };
        let written = self.origin.answer(header, &mut |buffer| encode(self.content, &reply, buffer));
        if let Err(error) = written {
            let failure = bad_message(&self.path, "reply", error.reason, self.origin.here());
            refuse(&*self.origin, self.correlation, &failure);
        }
    }

    fn fail(mut self: Box<Self>, error: AskError) {
        self.refuse(&error);
    }
}

impl There {
    fn refuse(&mut self, error: &AskError) {
        if !std::mem::replace(&mut self.is_paid, true) {
            self.origin.end(self.correlation);
            refuse(&*self.origin, self.correlation, &failure_of(error, self.origin.here()));
        }
    }
}

impl Drop for There {
    fn drop(&mut self) {
        let path = self.path.to_string();
        self.refuse(&AskError::Stopped { path });
    }
}

/// The way of an answer to the parcel, which waits for it.
struct Here<R>(oneshot::Sender<R>);

impl<R: Send> AnswerSlot<R> for Here<R> {
    fn send(self: Box<Self>, reply: R) {
        // The parcel waits, or its actor is gone, and then its asker knows.
        let _ = self.0.send(reply);
    }

    fn fail(self: Box<Self>, _: AskError) {}
}
