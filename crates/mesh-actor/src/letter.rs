//! What lies in a mailbox: letters, of one message each, and parcels, of several.

use std::any::{Any, type_name};
use std::fmt;

use futures::future::BoxFuture;

use crate::actor::{Actor, Handler};
use crate::context::Context;
use crate::error::AskError;
use crate::message::{Message, Meta, Sender};
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

    /// What it is, for lists of dead letters: by default nothing in particular.
    fn kind(&self) -> &'static str {
        "message"
    }

    /// The actor has ended. Tells the asker why, and gives the message back, to be kept as a dead letter, if there is
    /// none who could be told.
    fn die(self: Box<Self>, why: &AskError) -> Option<Box<dyn Letter<A>>> {
        self.reject(why);
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

    /// The actor has ended. As [`reject`](Self::reject), and says of each message whose sender cannot be told what it is
    /// and how many bytes it has.
    fn die(self: Box<Self>, why: &AskError, died: &mut dyn FnMut(&str, usize)) {
        let _ = died;
        self.reject(why);
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
        cx.hold(&message, |copy| Box::new(Self(copy)));
        Box::pin(async move {
            actor.handle(message, cx).await;
        })
    }

    fn reject(self: Box<Self>, _why: &AskError) {}

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }

    fn kind(&self) -> &'static str {
        type_name::<M>()
    }

    fn die(self: Box<Self>, _why: &AskError) -> Option<Box<dyn Letter<A>>> {
        Some(self)
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
            let sender = meta.sender.clone();
            if cx.enter(meta).is_ok() {
                cx.hold(&message, |copy| Self::again(copy, sender));
                actor.handle(message, cx).await;
            }
        })
    }

    fn reject(self: Box<Self>, _why: &AskError) {}

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.message)
    }

    fn kind(&self) -> &'static str {
        type_name::<M>()
    }

    /// Without its deadline: who sends it again, later, wants it handled then.
    fn die(self: Box<Self>, _why: &AskError) -> Option<Box<dyn Letter<A>>> {
        let Self { message, meta } = *self;
        Some(Box::new(Self { message, meta: Meta { deadline: None, ..meta } }))
    }
}

impl<M: Message> Told<M> {
    /// A message to be handled again; its deadline was for the first try.
    fn again<A: Handler<M>>(message: M, sender: Option<Sender>) -> Box<dyn Letter<A>> {
        Box::new(Self { message, meta: Meta { sender, ..Meta::default() } })
    }
}

/// A message that has crashed its actor before.
pub(crate) struct Again<A: Actor> {
    pub(crate) letter: Box<dyn Letter<A>>,
    pub(crate) tried: u8,
}

impl<A: Actor> Letter<A> for Again<A> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        cx.tries_again(self.tried);
        self.letter.open(actor, cx)
    }

    fn reject(self: Box<Self>, why: &AskError) {
        self.letter.reject(why);
    }

    fn kind(&self) -> &'static str {
        self.letter.kind()
    }

    fn die(self: Box<Self>, why: &AskError) -> Option<Box<dyn Letter<A>>> {
        self.letter.die(why)
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
                    cx.names::<M>();
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
