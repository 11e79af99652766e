//! What lies in a mailbox: letters, of one message each, and parcels, of several.

use std::any::Any;
use std::fmt;

use futures::future::BoxFuture;

use crate::actor::{Actor, Handler};
use crate::context::Context;
use crate::error::AskError;
use crate::message::{Message, Meta};
use crate::reply::Reply;

/// One message in a mailbox of `A`.
pub trait Letter<A: Actor>: Send + 'static {
    /// Handles the message. Calls [`Context::enter`] first, and does not run when that says so.
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()>;

    /// Drops the message unrun, and tells its asker why.
    fn reject(self: Box<Self>, why: &AskError);

    /// The message itself, for mailboxes that conflate. None if it cannot be looked at.
    fn message(&self) -> Option<&dyn Any> {
        None
    }
}

/// Several messages that arrived together, handled one by one without leaving the parcel.
///
/// A parcel owns the room of its messages ([`Slot`](crate::Slot)) and gives it back as it takes them.
pub trait Parcel<A: Actor>: Send + 'static {
    /// Messages that were not taken yet.
    fn remaining(&self) -> usize;

    /// Takes up to `max` messages, at least one, and handles them.
    ///
    /// Before each one: move on to the next first (so that a crash loses one message only), release its part of the
    /// slot, and call [`Context::enter`]. After each one: stop if [`Context::interrupted`]. The future may be
    /// dropped at any await (a kill) or unwind (a crash); the parcel is then opened again by the next incarnation
    /// of the actor, or dropped.
    fn open_run<'a>(&'a mut self, max: usize, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()>;

    /// Drops what remains unrun, and tells the askers why. By default they are told nothing.
    fn reject(self: Box<Self>, why: &AskError) {
        let _ = why;
    }
}

impl<A: Actor> fmt::Debug for dyn Letter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter")
    }
}

impl<A: Actor> fmt::Debug for dyn Parcel<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("remaining", &self.remaining()).finish()
    }
}

/// A tell with nothing beside it: the common case, and no larger than its message.
pub(crate) struct Plain<M>(pub(crate) M);

impl<A: Handler<M>, M: Message> Letter<A> for Plain<M> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        cx.enter_plain();
        let message = self.0;
        Box::pin(async move {
            actor.handle(message, cx).await;
        })
    }

    fn reject(self: Box<Self>, _why: &AskError) {}

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }
}

/// A tell with a deadline or a sender.
pub(crate) struct Told<M> {
    pub(crate) message: M,
    pub(crate) meta: Meta,
}

impl<A: Handler<M>, M: Message> Letter<A> for Told<M> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Self { message, meta } = *self;
            if cx.enter(meta).is_ok() {
                actor.handle(message, cx).await;
            }
        })
    }

    fn reject(self: Box<Self>, _why: &AskError) {}

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.message)
    }
}

/// An ask.
pub(crate) struct Asked<M: Message> {
    pub(crate) message: M,
    pub(crate) meta: Meta,
    pub(crate) reply: Reply<M::Reply>,
}

impl<A: Handler<M>, M: Message> Letter<A> for Asked<M> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Self { message, meta, reply } = *self;
            match cx.enter_asked(meta) {
                Ok(()) => {
                    reply.taken();
                    reply.send(actor.handle(message, cx).await);
                }
                Err(skipped) => reply.fail(skipped.error(cx.me().path())),
            }
        })
    }

    fn reject(self: Box<Self>, why: &AskError) {
        self.reply.fail(why.clone());
    }

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.message)
    }
}
