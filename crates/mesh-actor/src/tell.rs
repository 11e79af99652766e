//! A message without an answer, about to be sent.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::deliver::Deliver;
use crate::error::{TellError, TryTellError};
use crate::message::{Message, Meta, Sender};

/// A tell. It is sent when it is awaited, and waits for room until its deadline; by default 5 s.
///
/// `Ok` means that the message is in the recipient's mailbox (or on its way to another node), not that it was
/// handled. A tell that was given a deadline is dropped unrun when it is taken later than that.
#[must_use = "a tell is not sent until it is awaited"]
pub struct Tell<'a, M: Message> {
    to: &'a dyn Deliver<M>,
    message: M,
    meta: Meta,
}

impl<'a, M: Message> Tell<'a, M> {
    pub(crate) fn new(to: &'a dyn Deliver<M>, message: M) -> Self {
        Self { to, message, meta: Meta::default() }
    }

    /// Gives the message this long to be taken.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.meta.deadline = Some(Instant::now() + timeout);
        self
    }

    /// Gives the message until then to be taken. `None` leaves the default: 5 s for room, then no limit.
    pub fn deadline(mut self, deadline: impl Into<Option<Instant>>) -> Self {
        self.meta.deadline = deadline.into().or(self.meta.deadline);
        self
    }

    /// Says who tells.
    pub fn from(mut self, sender: Sender) -> Self {
        self.meta.sender = Some(sender);
        self
    }
}

impl<M: Message> IntoFuture for Tell<'_, M> {
    type Output = Result<(), TellError>;
    type IntoFuture = TellFuture;

    // Most tells end here: what they carry is not to be moved about for each.
    #[inline(always)]
    fn into_future(self) -> TellFuture {
        let Self { to, message, meta } = self;
        TellFuture(match to.try_tell(message, &meta) {
            Ok(()) => State::Done(Some(Ok(()))),
            Err(TryTellError::Refused { error, .. }) => State::Done(Some(Err(error))),
            Err(TryTellError::Full { message, .. }) => State::Waiting(to.tell(message, meta)),
        })
    }
}

/// The future of a [`Tell`]: done at once where there is room, without an allocation of its own.
///
/// # Cancel safety
/// Dropped before it is done, it has left the line, and the message is not sent.
#[must_use = "futures do nothing unless polled"]
pub struct TellFuture(State);

enum State {
    Done(Option<Result<(), TellError>>),
    Waiting(BoxFuture<'static, Result<(), TellError>>),
}

impl Future for TellFuture {
    type Output = Result<(), TellError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(outcome) => {
                Poll::Ready(outcome.take().expect("a future is not polled after its end"))
            }
            State::Waiting(waiting) => waiting.as_mut().poll(cx),
        }
    }
}

impl<M: Message> fmt::Debug for Tell<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tell").field("to", &self.to.path()).field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl fmt::Debug for TellFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TellFuture").field("is_done", &matches!(self.0, State::Done(_))).finish()
    }
}
