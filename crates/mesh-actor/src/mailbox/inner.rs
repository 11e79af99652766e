//! What all handles of one mailbox share, and how messages get in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::time::Instant;

use super::config::MailboxConfig;
use super::marks::Crossing;
use super::permit::{Permit, Slot};
use super::queue::{Entry, Queue};
use super::weight::Weight;
use crate::actor::Actor;
use crate::error::AskError;
use crate::letter::{Letter, Parcel};
use crate::life::Life;
use crate::watermark::Watermark;

/// Called when somebody starts to wait for room, or is refused for want of it.
type Pressure = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct Inner<A: Actor> {
    pub(crate) life: Life,
    config: MailboxConfig,
    drops: bool,
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

impl<A: Actor> Inner<A> {
    pub(super) fn new(life: Life, config: MailboxConfig) -> Self {
        let capacity = config.capacity();
        Self {
            life,
            drops: config.overflow.drops(),
            config,
            capacity,
            queue: Mutex::new(Queue::new(capacity)),
            attention: AtomicBool::new(false),
            pressure: RwLock::new(None),
        }
    }

    pub(super) fn config(&self) -> &MailboxConfig {
        &self.config
    }

    pub(super) fn capacity(&self) -> Weight {
        self.capacity
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue<A>> {
        self.queue.lock()
    }

    /// Whether the overflow policy drops messages: then nobody waits, and nothing is kept for reservations.
    pub(super) fn drops(&self) -> bool {
        self.drops
    }

    pub(super) fn needs_attention(&self) -> bool {
        self.attention.load(Ordering::Relaxed)
    }

    pub(super) fn set_attention(&self, needed: bool) {
        self.attention.store(needed, Ordering::Relaxed);
    }

    pub(super) fn try_reserve(&self, weight: Weight) -> bool {
        let mut queue = self.queue.lock();
        !queue.gate.is_closed && (self.drops || queue.ledger.reserve(weight))
    }

    pub(super) fn reserve_up_to(&self, weight: Weight) -> Weight {
        let mut queue = self.queue.lock();
        match (queue.gate.is_closed, self.drops) {
            (true, _) => Weight::ZERO,
            (false, true) => weight,
            (false, false) => queue.ledger.reserve_up_to(weight),
        }
    }

    pub(super) fn permit(self: &Arc<Self>, weight: Weight) -> Permit<A> {
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
        queue.arrive(1);
        queue.push(Entry::Letter(letter, bytes));
        let (bell, crossing) = (queue.ring(), queue.crossing());
        drop(queue);
        ring(bell);
        self.tell(crossing);
        Ok(())
    }

    /// Queues a letter in the room of a permit.
    pub(super) fn push_reserved(&self, mut permit: Permit<A>, letter: Box<dyn Letter<A>>) {
        let room = permit.weight();
        if room.messages == 0 {
            letter.reject(&self.refusal());
            return;
        }
        if self.drops() {
            self.push_dropping(letter, room.bytes);
            return;
        }
        let weight = Weight { messages: 1, ..permit.take(room) };
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
        queue.arrive(1);
        queue.push(Entry::Letter(letter, weight.bytes));
        let (bell, crossing) = (queue.ring(), queue.crossing());
        drop(queue);
        wake(wakes);
        ring(bell);
        self.tell(crossing);
    }

    pub(super) fn push_parcel(
        self: &Arc<Self>,
        mut permit: Permit<A>,
        make: impl FnOnce(Slot<A>) -> Box<dyn Parcel<A>>,
    ) {
        let weight = permit.take(permit.weight());
        if self.drops() {
            self.push_parcel_dropping(weight, make);
            return;
        }
        {
            let mut queue = self.queue.lock();
            queue.ledger.enqueue(weight);
            queue.arrive(weight.messages);
        }
        self.push_arrived(make(Slot::new(Arc::clone(self), weight)));
    }

    /// Queues a parcel whose messages are in the books, or rejects it.
    pub(super) fn push_arrived(&self, parcel: Box<dyn Parcel<A>>) {
        let mut queue = self.queue.lock();
        if queue.gate.is_closed {
            drop(queue);
            parcel.reject(&self.not_running());
            return;
        }
        queue.push(Entry::Parcel(parcel));
        let (bell, crossing) = (queue.ring(), queue.crossing());
        drop(queue);
        ring(bell);
        self.tell(crossing);
    }

    pub(super) fn set_pressure(&self, callback: Pressure) {
        *self.pressure.write() = Some(callback);
    }

    /// Tells who listens that there is not enough room.
    pub(crate) fn press(&self) {
        let callback = self.pressure.read().clone();
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Gives a reservation back.
    pub(super) fn unreserve(&self, weight: Weight) {
        if weight.is_zero() || self.drops() {
            return;
        }
        let mut wakes = Vec::new();
        self.queue.lock().ledger.release_reserved(weight, &mut wakes);
        wake(wakes);
    }

    /// Gives the room of queued messages back.
    pub(super) fn release(&self, weight: Weight, taken: bool) {
        if weight.is_zero() {
            return;
        }
        let mut wakes = Vec::new();
        let mut queue = self.queue.lock();
        queue.release(weight, &mut wakes);
        if taken {
            queue.counters.taken += u64::from(weight.messages);
        }
        let crossing = queue.crossing();
        drop(queue);
        wake(wakes);
        self.tell(crossing);
    }

    /// Tells who listens that the mailbox became nearly full, or is so no more. Without the lock, since listeners are woken.
    #[inline]
    pub(super) fn tell(&self, crossing: Option<Crossing>) {
        if let Some(crossing) = crossing {
            self.tell_of(crossing);
        }
    }

    #[cold]
    fn tell_of(&self, Crossing { is_high, change, len }: Crossing) {
        let (serial, capacity) = (self.life.serial(), self.capacity.messages);
        tracing::debug!(
            actor = self.life.path(),
            is_high,
            mailbox_len = len,
            capacity,
            "mailbox passed a watermark"
        );
        self.life.watermarks().tell(|| Watermark {
            serial,
            path: self.life.path().to_owned(),
            is_high,
            change,
            len,
            capacity,
        });
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

    /// Closes, maybe for good, and rejects all that is queued.
    pub(crate) fn refuse_all(self: &Arc<Self>) {
        self.turn(|gate| {
            gate.is_closed = true;
            gate.task = None;
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
        let crossing = queue.crossing();
        drop(queue);
        wake(wakes);
        self.tell(crossing);
        let why = self.not_running();
        for entry in entries {
            self.let_die(entry, &why);
        }
    }
}

impl<A: Actor> Entry<A> {
    pub(super) fn reject(self, why: &AskError) {
        match self {
            Self::Letter(letter, _) => letter.reject(why),
            Self::Parcel(parcel) => parcel.reject(why),
        }
    }
}

pub(super) fn wake(wakes: Vec<Waker>) {
    for waker in wakes {
        waker.wake();
    }
}

pub(super) fn ring(bell: Option<Waker>) {
    if let Some(bell) = bell {
        bell.wake();
    }
}
