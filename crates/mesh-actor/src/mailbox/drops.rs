//! Mailboxes that drop messages rather than make their senders wait.
//!
//! Nobody waits for room in them, so giving room back wakes nobody.

use std::sync::Arc;
use std::task::Waker;

use super::config::Overflow;
use super::conflate::Key;
use super::inner::{Inner, Refusal, ring};
use super::marks::Crossing;
use super::permit::Slot;
use super::queue::{Entry, Queue};
use super::weight::Weight;
use crate::actor::Actor;
use crate::letter::{Letter, Parcel};

/// What became of a letter.
enum Placed<A: Actor> {
    In(Option<Waker>, Option<Crossing>),
    Instead(Box<dyn Letter<A>>),
    /// Not yet: the oldest entry had to go first.
    Evicted {
        new: Box<dyn Letter<A>>,
        old: Entry<A>,
    },
    Dropped(Box<dyn Letter<A>>),
    Closed(Box<dyn Letter<A>>),
}

impl<A: Actor> Inner<A> {
    pub(super) fn offer_dropping<L: Letter<A>>(
        &self,
        letter: Box<L>,
        bytes: usize,
    ) -> Result<(), (Box<L>, Refusal)> {
        // Asked before the letter loses its type; a mailbox that closes in between rejects the letter itself.
        if self.lock().gate.is_closed {
            return Err((letter, Refusal::Closed));
        }
        self.push_dropping(letter, bytes);
        Ok(())
    }

    /// Takes a letter in, at the cost of others or of itself.
    pub(super) fn push_dropping(&self, mut letter: Box<dyn Letter<A>>, bytes: usize) {
        let bytes = bytes.min(self.capacity().bytes);
        loop {
            match self.place(letter, bytes) {
                Placed::In(bell, crossing) => {
                    ring(bell);
                    return self.tell(crossing);
                }
                Placed::Instead(old) => return old.reject(&self.full()),
                Placed::Dropped(new) => return new.reject(&self.full()),
                Placed::Closed(new) => return new.reject(&self.not_running()),
                // Rejected with the lock free: a parcel gives its own room back.
                Placed::Evicted { new, old } => {
                    old.reject(&self.full());
                    letter = new;
                }
            }
        }
    }

    pub(super) fn push_parcel_dropping(
        self: &Arc<Self>,
        weight: Weight,
        make: impl FnOnce(Slot<A>) -> Box<dyn Parcel<A>>,
    ) {
        let admitted = loop {
            let mut queue = self.lock();
            if queue.gate.is_closed {
                break false;
            }
            if queue.ledger.admit(weight) {
                queue.arrive(weight.messages);
                break true;
            }
            let Some(old) = self.evict(&mut queue) else {
                queue.counters.dropped_overflow += u64::from(weight.messages);
                break false;
            };
            drop(queue);
            old.reject(&self.full());
        };
        let parcel = make(Slot::new(Arc::clone(self), if admitted { weight } else { Weight::ZERO }));
        if admitted {
            return self.push_arrived(parcel);
        }
        parcel.reject(&self.refusal());
    }

    /// Puts a letter in the place of the one with its key, else at the end, else makes room.
    fn place(&self, new: Box<dyn Letter<A>>, bytes: usize) -> Placed<A> {
        let key = self.key_of(&*new);
        let mut queue = self.lock();
        if queue.gate.is_closed {
            return Placed::Closed(new);
        }
        if let Some((old, old_bytes, ledger)) = key.as_ref().and_then(|key| queue.latest(key))
            && ledger.exchange(Weight::one(*old_bytes), Weight::one(bytes))
        {
            *old_bytes = bytes;
            let old = std::mem::replace(old, new);
            queue.counters.dropped_overflow += 1;
            return Placed::Instead(old);
        }
        if queue.ledger.admit(Weight::one(bytes)) {
            if let Some(key) = key {
                queue.index(key);
            }
            queue.arrive(1);
            queue.push(Entry::Letter(new, bytes));
            let bell = queue.ring();
            return Placed::In(bell, queue.crossing());
        }
        match self.evict(&mut queue) {
            Some(old) => Placed::Evicted { new, old },
            None => {
                queue.counters.dropped_overflow += 1;
                Placed::Dropped(new)
            }
        }
    }

    /// Removes the oldest entry, if the policy is to drop old ones. A letter's room is free at once.
    fn evict(&self, queue: &mut Queue<A>) -> Option<Entry<A>> {
        if matches!(self.config().overflow, Overflow::DropNewest) {
            return None;
        }
        let entry = queue.pop(|letter| self.key_of(letter))?;
        match &entry {
            Entry::Letter(_, bytes) => {
                queue.release(Weight::one(*bytes), &mut Vec::new());
                queue.counters.dropped_overflow += 1;
            }
            Entry::Parcel(parcel) => queue.counters.dropped_overflow += parcel.remaining() as u64,
        }
        Some(entry)
    }

    pub(super) fn key_of(&self, letter: &dyn Letter<A>) -> Option<Key> {
        match &self.config().overflow {
            Overflow::Conflate(conflation) => conflation.key_of(letter.message()?),
            Overflow::Wait | Overflow::Reject | Overflow::DropOldest | Overflow::DropNewest => None,
        }
    }
}
