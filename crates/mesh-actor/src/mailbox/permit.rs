//! Room in a mailbox, held before and after the message is in it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::inner::{Inner, wake};
use super::ledger::Ticket;
use super::weight::Weight;
use crate::actor::Actor;

/// Room that is reserved in a mailbox, and given back when dropped.
#[must_use = "a dropped permit gives its room back"]
pub struct Permit<A: Actor> {
    mailbox: Arc<Inner<A>>,
    weight: Weight,
}

impl<A: Actor> Permit<A> {
    pub(super) fn new(mailbox: Arc<Inner<A>>, weight: Weight) -> Self {
        Self { mailbox, weight }
    }

    /// What is reserved.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Takes a part out, at most all of it on either side.
    pub fn split(&mut self, part: Weight) -> Self {
        let part = self.take(part);
        Self::new(Arc::clone(&self.mailbox), part)
    }

    /// Joins another permit of the same mailbox to this one.
    ///
    /// # Panics
    /// If the other permit is of another mailbox.
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.mailbox, &other.mailbox), "both permits are of one mailbox");
        self.weight = self.weight.plus(other.take(other.weight));
    }

    /// Gives a part of the room back, at most all of it.
    pub fn release(&mut self, part: Weight) {
        drop(self.split(part));
    }

    pub(super) fn take(&mut self, part: Weight) -> Weight {
        let part = part.min(self.weight);
        self.weight = self.weight.minus(part);
        part
    }
}

impl<A: Actor> Drop for Permit<A> {
    fn drop(&mut self) {
        self.mailbox.unreserve(self.weight);
    }
}

impl<A: Actor> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// The room of queued messages, held by the parcel that they lie in, and given back when dropped.
pub struct Slot<A: Actor> {
    mailbox: Arc<Inner<A>>,
    weight: Weight,
}

impl<A: Actor> Slot<A> {
    pub(super) fn new(mailbox: Arc<Inner<A>>, weight: Weight) -> Self {
        Self { mailbox, weight }
    }

    /// What still counts as queued.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Gives the room of messages back that are being taken, at most all of it.
    pub fn release(&mut self, part: Weight) {
        let part = part.min(self.weight);
        self.weight = self.weight.minus(part);
        self.mailbox.release(part, true);
    }
}

impl<A: Actor> Drop for Slot<A> {
    fn drop(&mut self) {
        self.mailbox.release(self.weight, false);
    }
}

impl<A: Actor> fmt::Debug for Slot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// The mailbox takes no more messages: its actor stops, drains, or has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox is closed")]
pub struct MailboxClosed;

/// A place in the line of those who wait for room; see [`Mailbox::reserve`](super::Mailbox::reserve).
#[must_use = "nothing is reserved until awaited"]
pub struct Reserve<A: Actor> {
    mailbox: Arc<Inner<A>>,
    weight: Weight,
    ticket: Option<Ticket>,
}

impl<A: Actor> Reserve<A> {
    pub(super) fn new(mailbox: Arc<Inner<A>>, weight: Weight) -> Self {
        Self { mailbox, weight, ticket: None }
    }
}

impl<A: Actor> Future for Reserve<A> {
    type Output = Result<Permit<A>, MailboxClosed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut queue = this.mailbox.lock();
        let mut pressed = false;
        let granted = match this.ticket {
            Some(ticket) => queue.ledger.poll(ticket, cx.waker()),
            None if queue.gate.is_closed => false,
            None if this.mailbox.drops() || queue.ledger.reserve(this.weight) => true,
            None => {
                this.ticket = Some(queue.ledger.wait(this.weight, cx.waker().clone()));
                pressed = true;
                false
            }
        };
        let closed = queue.gate.is_closed;
        drop(queue);
        if pressed {
            this.mailbox.press();
        }
        if granted {
            this.ticket = None;
            Poll::Ready(Ok(this.mailbox.permit(this.weight)))
        } else if closed {
            Poll::Ready(Err(MailboxClosed))
        } else {
            Poll::Pending
        }
    }
}

impl<A: Actor> Drop for Reserve<A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut wakes = Vec::new();
            self.mailbox.lock().ledger.leave(ticket, self.weight, &mut wakes);
            wake(wakes);
        }
    }
}

impl<A: Actor> fmt::Debug for Reserve<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("weight", &self.weight).finish_non_exhaustive()
    }
}
