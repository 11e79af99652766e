//! The books of a mailbox: what is reserved, what is queued, and who waits for room, in order.
//!
//! One rule: `reserved + queued <= capacity`, in messages and in bytes, after every call.
//! This module takes no lock and wakes nobody: it says whom to wake.

use std::collections::{BTreeMap, HashSet};
use std::task::Waker;

use super::weight::Weight;

/// The accounts.
#[derive(Debug)]
pub(crate) struct Ledger {
    capacity: Weight,
    reserved: Weight,
    queued: Weight,
    waiting: BTreeMap<Ticket, Waiter>,
    granted: HashSet<Ticket>,
    next_ticket: Ticket,
}

/// A place in the line.
pub(crate) type Ticket = u64;

#[derive(Debug)]
struct Waiter {
    weight: Weight,
    waker: Waker,
}

impl Ledger {
    pub(crate) fn new(capacity: Weight) -> Self {
        Self {
            capacity,
            reserved: Weight::ZERO,
            queued: Weight::ZERO,
            waiting: BTreeMap::new(),
            granted: HashSet::new(),
            next_ticket: 0,
        }
    }

    pub(crate) fn queued(&self) -> Weight {
        self.queued
    }

    pub(crate) fn reserved(&self) -> Weight {
        self.reserved
    }

    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Room that is free now. Those who wait come first: while there are any, nothing is free for others.
    pub(crate) fn free(&self) -> Weight {
        if self.has_waiters() { Weight::ZERO } else { self.room() }
    }

    /// Queues without a reservation, if there is room and nobody waits.
    pub(crate) fn admit(&mut self, weight: Weight) -> bool {
        let fits = weight.fits_in(self.free());
        if fits {
            self.queued = self.queued.plus(weight);
        }
        fits
    }

    /// Reserves, if there is room and nobody waits.
    pub(crate) fn reserve(&mut self, weight: Weight) -> bool {
        let fits = weight.fits_in(self.free());
        if fits {
            self.reserved = self.reserved.plus(weight);
        }
        fits
    }

    /// Reserves as much of it as is free.
    pub(crate) fn reserve_up_to(&mut self, weight: Weight) -> Weight {
        let part = weight.min(self.free());
        self.reserved = self.reserved.plus(part);
        part
    }

    /// Turns a reservation into queued messages.
    pub(crate) fn enqueue(&mut self, weight: Weight) {
        debug_assert!(weight.fits_in(self.reserved), "more was queued than reserved");
        self.reserved = self.reserved.minus(weight);
        self.queued = self.queued.plus(weight);
    }

    /// Exchanges one queued message for another, if the other fits.
    pub(crate) fn exchange(&mut self, old: Weight, new: Weight) -> bool {
        let rest = self.queued.minus(old);
        let fits = rest.plus(new).plus(self.reserved).fits_in(self.capacity);
        if fits {
            self.queued = rest.plus(new);
        }
        fits
    }

    /// Gives queued messages' room back.
    pub(crate) fn release_queued(&mut self, weight: Weight, wakes: &mut Vec<Waker>) {
        debug_assert!(weight.fits_in(self.queued), "more was released than queued");
        self.queued = self.queued.minus(weight);
        self.grant(wakes);
    }

    /// Gives a reservation back.
    pub(crate) fn release_reserved(&mut self, weight: Weight, wakes: &mut Vec<Waker>) {
        debug_assert!(weight.fits_in(self.reserved), "more was released than reserved");
        self.reserved = self.reserved.minus(weight);
        self.grant(wakes);
    }

    /// Enters the line.
    pub(crate) fn wait(&mut self, weight: Weight, waker: Waker) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, Waiter { weight, waker });
        ticket
    }

    /// Whether the ticket's turn came; else whom to wake when it does. A turn is told once.
    pub(crate) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        if self.granted.remove(&ticket) {
            return true;
        }
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.waker.clone_from(waker);
        }
        false
    }

    /// Leaves the line, and gives back what was granted meanwhile.
    pub(crate) fn leave(&mut self, ticket: Ticket, weight: Weight, wakes: &mut Vec<Waker>) {
        if self.granted.remove(&ticket) {
            self.release_reserved(weight, wakes);
        } else if self.waiting.remove(&ticket).is_some() {
            // Whoever stood behind may be lighter.
            self.grant(wakes);
        }
    }

    /// Sends everybody in the line away.
    pub(crate) fn dismiss(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(std::mem::take(&mut self.waiting).into_values().map(|waiter| waiter.waker));
    }

    fn room(&self) -> Weight {
        self.capacity.minus(self.reserved.plus(self.queued))
    }

    /// First come, first served: a light one never overtakes a heavy one, so nobody starves.
    fn grant(&mut self, wakes: &mut Vec<Waker>) {
        while let Some(first) = self.waiting.first_entry() {
            let weight = first.get().weight;
            if !weight.fits_in(self.capacity.minus(self.reserved.plus(self.queued))) {
                return;
            }
            let (ticket, waiter) = first.remove_entry();
            self.reserved = self.reserved.plus(weight);
            self.granted.insert(ticket);
            wakes.push(waiter.waker);
        }
    }
}

#[cfg(test)]
mod tests;
