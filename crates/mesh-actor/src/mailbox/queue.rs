//! The queue itself: one short lock around the books, the entries and the bell.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::task::Waker;

use tokio::time::Instant;

use super::ages::Ages;
use super::conflate::Key;
use super::gate::Gate;
use super::hand::Next;
use super::ledger::Ledger;
use super::marks::{Crossing, Marks};
use super::weight::Weight;
use crate::actor::Actor;
use crate::letter::{Letter, Parcel};

/// What lies in the queue. A letter's room is kept in the books until it is taken, a parcel's by its own slot.
pub(crate) enum Entry<A: Actor> {
    Letter(Box<dyn Letter<A>>, usize),
    Parcel(Box<dyn Parcel<A>>),
}

/// What the lock protects.
pub(crate) struct Queue<A: Actor> {
    pub(crate) ledger: Ledger,
    entries: VecDeque<Entry<A>>,
    ages: Ages,
    marks: Marks,
    /// Sequence number of the first entry, for the conflation index.
    first: u64,
    latest: HashMap<Key, u64>,
    pub(super) gate: Gate,
    pub(crate) counters: Counters,
}

/// What happened in a mailbox since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that left the queue for the handler, those that were then dropped as expired included.
    pub taken: u64,
    /// Messages dropped unrun: their deadline had passed, or nobody waited for the answer.
    pub dropped_expired: u64,
    /// Messages dropped by the overflow policy.
    pub dropped_overflow: u64,
    /// Crashes of the actor.
    pub crashed: u64,
    /// Times that the mailbox became nearly full: 80 %, after it was down to 30 %.
    pub became_high: u64,
}

impl<A: Actor> Queue<A> {
    pub(crate) fn new(capacity: Weight) -> Self {
        Self {
            ledger: Ledger::new(capacity),
            entries: VecDeque::new(),
            ages: Ages::default(),
            marks: Marks::new(capacity),
            first: 0,
            latest: HashMap::new(),
            gate: Gate::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn oldest(&mut self) -> Option<Instant> {
        self.ages.oldest()
    }

    /// Whether some message here has waited for more than its actor's waking up.
    pub(crate) fn has_waited(&self) -> bool {
        self.ages.has_waited()
    }

    pub(crate) fn is_high(&self) -> bool {
        self.marks.is_high()
    }

    /// Whether the mailbox is on the other side of its watermarks than was told last. To be asked before the lock is
    /// released, and told after.
    #[inline]
    pub(crate) fn crossing(&mut self) -> Option<Crossing> {
        self.marks.crossing(self.ledger.queued().messages)
    }

    /// What happened here so far.
    pub(crate) fn counted(&self) -> Counters {
        Counters { became_high: self.marks.times_high(), ..self.counters }
    }

    /// Notes that messages arrive, whose weight is in the books already.
    pub(crate) fn arrive(&mut self, messages: u32) {
        let wakes = self.entries.is_empty() && self.is_idle();
        self.ages.arrive(messages, wakes);
        self.marks.rose(self.ledger.queued());
    }

    /// Puts an entry at the end, whose messages have arrived.
    pub(crate) fn push(&mut self, entry: Entry<A>) {
        self.entries.push_back(entry);
    }

    /// Remembers the entry that is about to be pushed as the latest of its key.
    pub(crate) fn index(&mut self, key: Key) {
        self.latest.insert(key, self.first + self.entries.len() as u64);
    }

    /// The queued letter with this key.
    pub(crate) fn latest(&mut self, key: &Key) -> Option<(&mut Box<dyn Letter<A>>, &mut usize, &mut Ledger)> {
        let at = self.latest.get(key)?.checked_sub(self.first)?;
        match self.entries.get_mut(usize::try_from(at).ok()?)? {
            Entry::Letter(letter, bytes) => Some((letter, bytes, &mut self.ledger)),
            Entry::Parcel(_) => None,
        }
    }

    /// Removes the first entry. A letter's room stays in the books; `key_of` tells which key it leaves.
    pub(crate) fn pop(&mut self, key_of: impl FnOnce(&dyn Letter<A>) -> Option<Key>) -> Option<Entry<A>> {
        let entry = self.entries.pop_front()?;
        if let Entry::Letter(letter, _) = &entry
            && let Some(key) = key_of(&**letter)
            && self.latest.get(&key) == Some(&self.first)
        {
            self.latest.remove(&key);
        }
        self.first += 1;
        Some(entry)
    }

    /// Moves up to `max` entries into the hand, which is empty.
    pub(crate) fn take(&mut self, hand: &mut VecDeque<Entry<A>>, max: usize) {
        let count = self.entries.len().min(max);
        if count == self.entries.len() {
            std::mem::swap(&mut self.entries, hand);
        } else {
            hand.extend(self.entries.drain(..count));
        }
        self.first += count as u64;
    }

    /// Puts what is left in the hand back to the front, in its order.
    pub(crate) fn put_back(&mut self, hand: &mut VecDeque<Entry<A>>) {
        while let Some(entry) = hand.pop_back() {
            self.entries.push_front(entry);
            self.first -= 1;
        }
    }

    /// Gives room back, for messages that left the queue.
    pub(crate) fn release(&mut self, weight: Weight, wakes: &mut Vec<Waker>) {
        self.ages.leave(weight.messages);
        self.ledger.release_queued(weight, wakes);
        self.marks.fell(self.ledger.queued());
    }

    /// Removes everything, for good.
    pub(crate) fn clear(&mut self) -> VecDeque<Entry<A>> {
        self.latest.clear();
        std::mem::take(&mut self.entries)
    }

    /// Whether no entry waits. What is in an actor's hand is not looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bell of an actor that rests, if there is something for it to do.
    pub(crate) fn ring(&mut self) -> Option<Waker> {
        if self.gate.bell.is_none() || self.next() == Next::Rest {
            return None;
        }
        self.gate.bell.take()
    }

    /// What is next for an actor with empty hands.
    pub(crate) fn next(&self) -> Next {
        let gate = &self.gate;
        if gate.must_end() {
            Next::Leave
        } else if gate.is_paused {
            Next::Rest
        } else if !self.is_empty() {
            Next::More
        } else if gate.is_draining {
            Next::Leave
        } else {
            Next::Rest
        }
    }

    /// Whether the actor does nothing, and would answer its bell.
    fn is_idle(&self) -> bool {
        self.gate.bell.is_some() && !self.gate.is_paused
    }
}

impl<A: Actor> fmt::Debug for Queue<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("ledger", &self.ledger).field("entries", &self.entries.len()).finish()
    }
}
