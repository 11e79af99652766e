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
mod hand;
mod ledger;
mod marks;
mod permit;
mod queue;
mod weight;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

pub use self::config::{MailboxConfig, Overflow};
pub use self::conflate::Conflation;
pub(crate) use self::hand::{Hand, Next};
pub use self::permit::{MailboxClosed, Permit, Reserve, Slot};
pub use self::queue::Counters;
pub(crate) use self::queue::Entry;
use self::queue::Queue;
pub use self::weight::Weight;
use crate::actor::Actor;
use crate::cell::Bell;
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

/// Called when somebody starts to wait for room, or is refused for want of it.
type Pressure = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Inner<A: Actor> {
    pub(crate) life: Life,
    config: MailboxConfig,
    capacity: Weight,
    queue: Mutex<Queue<A>>,
    /// Something more urgent than the next message: stop, kill, pause. Read between any two messages.
    attention: AtomicBool,
    pressure: RwLock<Option<Pressure>>,
}

/// Why a letter was not taken in.
pub(crate) enum Refusal {
    Full { len: u32, capacity: u32 },
    Closed,
}

impl<A: Actor> Mailbox<A> {
    pub(crate) fn new(life: Life, config: MailboxConfig) -> Self {
        let capacity = config.capacity();
        let inner = Inner {
            life,
            config,
            capacity,
            queue: Mutex::new(Queue::new(capacity)),
            attention: AtomicBool::new(false),
            pressure: RwLock::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The mailbox's bound and policy.
    pub fn config(&self) -> &MailboxConfig {
        &self.inner.config
    }

    /// What fits, in messages and in bytes.
    pub fn capacity(&self) -> Weight {
        self.inner.capacity
    }

    /// Messages queued: accepted, and not yet taken by the handler.
    pub fn len(&self) -> u32 {
        self.inner.queue.lock().ledger.queued().messages
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages queued, with their bytes.
    pub fn queued(&self) -> Weight {
        self.inner.queue.lock().ledger.queued()
    }

    /// What permits hold that were not used yet.
    pub fn reserved(&self) -> Weight {
        self.inner.queue.lock().ledger.reserved()
    }

    /// How long the oldest queued message has waited, to within the arrival of 64 messages.
    pub fn oldest(&self) -> Option<Duration> {
        let since = self.inner.queue.lock().oldest()?;
        Some(since.elapsed())
    }

    /// Whether the mailbox is nearly full: from 80 % on, until it is down to 30 %.
    pub fn is_high(&self) -> bool {
        self.inner.queue.lock().is_high()
    }

    /// What happened in this mailbox since it was made.
    pub fn counters(&self) -> Counters {
        self.inner.queue.lock().counters
    }

    /// Whether somebody waits for room.
    pub fn has_waiters(&self) -> bool {
        self.inner.queue.lock().ledger.has_waiters()
    }

    /// Whether the mailbox takes no more messages: its actor stops, drains, or has stopped.
    pub fn is_closed(&self) -> bool {
        self.inner.queue.lock().gate.is_closed
    }

    /// Has `callback` called whenever somebody starts to wait for room or is refused for want of it. It replaces
    /// the callback before.
    ///
    /// It is called in the sender's task, with no lock held, and should return quickly: for instance to ask peers
    /// for reservations that they do not use.
    pub fn on_pressure(&self, callback: Arc<dyn Fn() + Send + Sync>) {
        *self.inner.pressure.write() = Some(callback);
    }

    /// Reserves all of `weight` now, or nothing. Nothing while others wait for room, and when the mailbox is closed.
    ///
    /// More than the mailbox's capacity counts as the capacity, on either side. In a mailbox that drops, this always
    /// succeeds and keeps no room: the policy acts when the message is pushed.
    pub fn try_reserve(&self, weight: Weight) -> Option<Permit<A>> {
        let weight = weight.min(self.inner.capacity);
        let mut queue = self.inner.queue.lock();
        let granted = !queue.gate.is_closed && (self.inner.drops() || queue.ledger.reserve(weight));
        drop(queue);
        granted.then(|| self.inner.permit(weight))
    }

    /// Reserves as much of `weight` as is free now, on each side by itself; nothing while others wait for room.
    ///
    /// In a mailbox that drops, this grants all of it, up to the capacity, and keeps no room.
    pub fn reserve_up_to(&self, weight: Weight) -> Permit<A> {
        let weight = weight.min(self.inner.capacity);
        let mut queue = self.inner.queue.lock();
        let granted = if queue.gate.is_closed {
            Weight::ZERO
        } else if self.inner.drops() {
            weight
        } else {
            queue.ledger.reserve_up_to(weight)
        };
        drop(queue);
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
        Reserve::new(Arc::clone(&self.inner), weight.min(self.inner.capacity))
    }

    /// Queues a letter in the room of `permit`; what the permit has left over is given back.
    ///
    /// It never fails for want of room. When the mailbox is closed, the letter is rejected as `NotRunning`.
    pub fn push(&self, mut permit: Permit<A>, letter: Box<dyn Letter<A>>) {
        let room = permit.take(permit.weight());
        self.inner.push_reserved(Weight { messages: 1, ..room }, room, letter);
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
        self.inner.attention.load(Ordering::Relaxed)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<A>> {
        &self.inner
    }
}

impl<A: Actor> Inner<A> {
    pub(crate) fn drops(&self) -> bool {
        self.config.overflow.drops()
    }

    fn permit(self: &Arc<Self>, weight: Weight) -> Permit<A> {
        Permit::new(Arc::clone(self), weight)
    }

    /// Takes a letter in without waiting; gives it back when there is no room.
    pub(crate) fn offer<L: Letter<A>>(&self, letter: Box<L>, bytes: usize) -> Result<(), (Box<L>, Refusal)> {
        let bytes = bytes.min(self.capacity.bytes);
        if self.drops() {
            return self.offer_dropping(letter, bytes);
        }
        let mut queue = self.queue.lock();
        if queue.gate.is_closed {
            return Err((letter, Refusal::Closed));
        }
        if !queue.ledger.admit(Weight::one(bytes)) {
            let len = queue.ledger.queued().messages;
            return Err((letter, Refusal::Full { len, capacity: self.capacity.messages }));
        }
        queue.push(Entry::Letter(letter, bytes), 1);
        let bell = queue.ring();
        drop(queue);
        ring(bell);
        Ok(())
    }

    /// Queues a letter of `weight` that takes the place of the reservation `room`.
    fn push_reserved(&self, weight: Weight, room: Weight, letter: Box<dyn Letter<A>>) {
        if self.drops() {
            self.push_dropping(letter, weight.bytes);
            return;
        }
        let mut wakes = Vec::new();
        let mut queue = self.queue.lock();
        if queue.gate.is_closed {
            queue.ledger.release_reserved(room, &mut wakes);
            drop(queue);
            wake(wakes);
            letter.reject(&self.not_running());
            return;
        }
        queue.ledger.enqueue(weight);
        queue.ledger.release_reserved(room.minus(weight), &mut wakes);
        queue.push(Entry::Letter(letter, weight.bytes), 1);
        let bell = queue.ring();
        drop(queue);
        wake(wakes);
        ring(bell);
    }

    fn push_parcel(
        self: &Arc<Self>,
        mut permit: Permit<A>,
        make: impl FnOnce(Slot<A>) -> Box<dyn Parcel<A>>,
    ) {
        let weight = permit.take(permit.weight());
        if self.drops() {
            self.push_parcel_dropping(weight, make);
            return;
        }
        self.queue.lock().ledger.enqueue(weight);
        let parcel = make(Slot::new(Arc::clone(self), weight));
        let mut queue = self.queue.lock();
        if queue.gate.is_closed {
            drop(queue);
            parcel.reject(&self.not_running());
            return;
        }
        queue.push(Entry::Parcel(parcel), weight.messages);
        let bell = queue.ring();
        drop(queue);
        ring(bell);
    }

    /// Tells who listens that there is not enough room.
    pub(crate) fn press(&self) {
        let callback = self.pressure.read().clone();
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Gives a reservation back.
    fn unreserve(&self, weight: Weight) {
        if weight.is_zero() || self.drops() {
            return;
        }
        let mut wakes = Vec::new();
        self.queue.lock().ledger.release_reserved(weight, &mut wakes);
        wake(wakes);
    }

    /// Gives the room of queued messages back.
    fn release(&self, weight: Weight, taken: bool) {
        if weight.is_zero() {
            return;
        }
        let mut wakes = Vec::new();
        let mut queue = self.queue.lock();
        queue.release(weight, &mut wakes);
        if taken {
            queue.counters.taken += u64::from(weight.messages);
        }
        drop(queue);
        wake(wakes);
    }

    pub(crate) fn not_running(&self) -> AskError {
        AskError::NotRunning { path: self.life.path().to_owned() }
    }

    pub(crate) fn full(&self) -> AskError {
        let mut queue = self.queue.lock();
        let oldest = queue.oldest().map_or(Duration::ZERO, |since| Instant::now() - since);
        AskError::MailboxFull {
            path: self.life.path().to_owned(),
            len: queue.ledger.queued().messages,
            capacity: self.capacity.messages,
            oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Closes for good, and rejects all that is queued.
    pub(crate) fn bury(&self) {
        self.turn(|gate| {
            gate.is_closed = true;
            gate.is_listening = false;
            gate.bell = None;
        });
        let mut wakes = Vec::new();
        let mut queue = self.queue.lock();
        let entries = queue.clear();
        for entry in &entries {
            if let Entry::Letter(_, bytes) = entry {
                queue.release(Weight::one(*bytes), &mut wakes);
            }
        }
        drop(queue);
        wake(wakes);
        let why = self.not_running();
        for entry in entries {
            entry.reject(&why);
        }
    }
}

impl<A: Actor> Entry<A> {
    fn reject(self, why: &AskError) {
        match self {
            Self::Letter(letter, _) => letter.reject(why),
            Self::Parcel(parcel) => parcel.reject(why),
        }
    }
}

fn wake(wakes: Vec<Waker>) {
    for waker in wakes {
        waker.wake();
    }
}

/// The bell of an actor that has just ended goes nowhere: the next incarnation looks into the queue by itself.
fn ring(bell: Option<Bell>) {
    if let Some(bell) = bell {
        bell.ring();
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
        let queue = self.inner.queue.lock();
        f.debug_struct("Mailbox")
            .field("of", &self.inner.life.path())
            .field("capacity", &self.inner.capacity)
            .field("queued", &queue.ledger.queued())
            .field("reserved", &queue.ledger.reserved())
            .finish_non_exhaustive()
    }
}
