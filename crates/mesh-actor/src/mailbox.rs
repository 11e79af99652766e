//! Bounded mailboxes, outside of the actor: they outlive its crashes.
//!
//! ```text
//!   tell, ask ───────────────► offer ──┐                       ┌── hand: up to 64 messages
//!   reserve ► Permit ► push, push_parcel ┴► entries ──(bell)──►┤   counted as queued until taken
//!        └ line of those who wait        books: reserved + queued <= capacity
//! ```
//!
//! There is one lock, held for a few instructions by each push and by each batch taken. No foreign code runs under
//! it except a conflation's key function: callbacks, wakers, rejections and the bell wait until it is released.

mod ages;
mod config;
mod conflate;
mod drops;
mod gate;
mod grave;
mod hand;
mod inner;
mod ledger;
mod marks;
mod permit;
mod queue;
mod weight;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::config::{MailboxConfig, Overflow};
pub use self::conflate::Conflation;
pub(crate) use self::hand::{Hand, Next};
pub(crate) use self::inner::{Inner, Refusal};
pub use self::permit::{MailboxClosed, Permit, Reserve, Slot};
pub use self::queue::Counters;
pub(crate) use self::queue::Entry;
pub use self::weight::Weight;
use crate::actor::Actor;
use crate::error::AskError;
use crate::letter::{Letter, Parcel};
use crate::life::Life;

/// The mailbox of one actor: bounded in messages and in bytes, whoever sends.
///
/// Senders in this process use the [`ActorRef`](crate::ActorRef); this handle is for those who carry messages from
/// elsewhere and must know beforehand that there is room. Cheap to clone.
pub struct Mailbox<A: Actor> {
    inner: Arc<Inner<A>>,
}

impl<A: Actor> Mailbox<A> {
    pub(crate) fn new(life: Life, config: MailboxConfig) -> Self {
        Self { inner: Arc::new(Inner::new(life, config)) }
    }

    /// The mailbox's bound and policy.
    pub fn config(&self) -> &MailboxConfig {
        self.inner.config()
    }

    /// What fits, in messages and in bytes.
    pub fn capacity(&self) -> Weight {
        self.inner.capacity()
    }

    /// Messages queued: accepted, and not yet taken by the handler.
    pub fn len(&self) -> u32 {
        self.inner.lock().ledger.queued().messages
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages queued, with their bytes.
    pub fn queued(&self) -> Weight {
        self.inner.lock().ledger.queued()
    }

    /// What permits hold that were not used yet.
    pub fn reserved(&self) -> Weight {
        self.inner.lock().ledger.reserved()
    }

    /// How long the oldest queued message has waited, to within the arrival of 64 messages.
    pub fn oldest(&self) -> Option<Duration> {
        let since = self.inner.lock().oldest()?;
        Some(since.elapsed())
    }

    /// Whether the mailbox is nearly full: from 80 % on, until it is down to 30 %.
    pub fn is_high(&self) -> bool {
        self.inner.lock().is_high()
    }

    /// What happened in this mailbox since it was made.
    pub fn counters(&self) -> Counters {
        self.inner.lock().counted()
    }

    /// Whether somebody waits for room.
    pub fn has_waiters(&self) -> bool {
        self.inner.lock().ledger.has_waiters()
    }

    /// Whether the mailbox takes no more messages: its actor stops, drains, or has stopped.
    pub fn is_closed(&self) -> bool {
        self.inner.lock().gate.is_closed
    }

    /// Has `callback` called whenever somebody starts to wait for room or is refused for want of it. It replaces
    /// the callback before.
    ///
    /// It is called in the sender's task, with no lock held, and should return quickly: for instance to ask peers
    /// for reservations that they do not use.
    pub fn on_pressure(&self, callback: Arc<dyn Fn() + Send + Sync>) {
        self.inner.set_pressure(callback);
    }

    /// Reserves all of `weight` now, or nothing. Nothing while others wait for room, and when the mailbox is closed.
    ///
    /// More than the mailbox's capacity counts as the capacity, on either side. In a mailbox that drops, this always
    /// succeeds and keeps no room: the policy acts when the message is pushed.
    pub fn try_reserve(&self, weight: Weight) -> Option<Permit<A>> {
        let weight = weight.min(self.inner.capacity());
        self.inner.try_reserve(weight).then(|| self.inner.permit(weight))
    }

    /// Reserves as much of `weight` as is free now, on each side by itself; nothing while others wait for room.
    ///
    /// In a mailbox that drops, this grants all of it, up to the capacity, and keeps no room.
    pub fn reserve_up_to(&self, weight: Weight) -> Permit<A> {
        let weight = weight.min(self.inner.capacity());
        let granted = self.inner.reserve_up_to(weight);
        self.inner.permit(granted)
    }

    /// Waits until all of `weight` is reserved, in one line with all who wait for room in this mailbox.
    ///
    /// More than the mailbox's capacity counts as the capacity, on either side. There is no deadline here: bring one.
    ///
    /// # Errors
    /// [`MailboxClosed`]: the actor stops, or has stopped.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped future leaves the line and gives back what it was granted meanwhile.
    pub fn reserve(&self, weight: Weight) -> Reserve<A> {
        Reserve::new(Arc::clone(&self.inner), weight.min(self.inner.capacity()))
    }

    /// Queues a letter in the room of `permit`; what the permit has left over is given back.
    ///
    /// It never fails for want of room, if the permit has that of one message. When the mailbox is closed, the letter
    /// is rejected as `NotRunning`.
    pub fn push(&self, permit: Permit<A>, letter: Box<dyn Letter<A>>) {
        self.inner.push_reserved(permit, letter);
    }

    /// Queues several messages as one parcel, in the room of `permit`.
    ///
    /// `make` gets the room as a [`Slot`] that counts as queued until the parcel releases it part by part.
    /// When the mailbox is closed, the parcel is rejected as `NotRunning`.
    pub fn push_parcel(&self, permit: Permit<A>, make: impl FnOnce(Slot<A>) -> Box<dyn Parcel<A>>) {
        self.inner.push_parcel(permit, make);
    }

    /// The error of a message that finds no room now.
    pub fn full_error(&self) -> AskError {
        self.inner.full()
    }

    pub(crate) fn needs_attention(&self) -> bool {
        self.inner.needs_attention()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<A>> {
        &self.inner
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<A: Actor> From<Arc<Inner<A>>> for Mailbox<A> {
    fn from(inner: Arc<Inner<A>>) -> Self {
        Self { inner }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.inner.lock();
        f.debug_struct("Mailbox")
            .field("of", &self.inner.life.path())
            .field("capacity", &self.inner.capacity())
            .field("queued", &queue.ledger.queued())
            .field("reserved", &queue.ledger.reserved())
            .finish_non_exhaustive()
    }
}
