//! The batch that an actor has in hand.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Waker;

use super::inner::{Inner, wake};
use super::queue::Entry;
use super::weight::Weight;
use crate::actor::Actor;
use crate::context::Context;
use crate::letter::Letter;

/// Messages taken from the queue under one lock, and opened one by one.
///
/// What is in hand still counts as queued. Dropped, by a crash or a kill, the hand puts what was not opened back to
/// the front of the queue.
pub(crate) struct Hand<'a, A: Actor> {
    mailbox: &'a Inner<A>,
    entries: &'a mut VecDeque<Entry<A>>,
    taken: Weight,
    has_waited: bool,
}

/// What is next for an actor that put its hand down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing, until the bell rings.
    Rest,
    /// More messages.
    More,
    /// It has stopped, drained or been killed.
    Leave,
}

impl<'a, A: Actor> Hand<'a, A> {
    /// Takes up to `max` entries; none while the actor is paused or must end.
    pub(crate) fn take(mailbox: &'a Inner<A>, entries: &'a mut VecDeque<Entry<A>>, max: usize) -> Self {
        let mut queue = mailbox.lock();
        let has_waited = queue.has_waited();
        if !queue.gate.is_shut() {
            if mailbox.drops() {
                // One at a time: what is in hand can't be dropped or replaced any more.
                entries.extend(queue.pop(|letter| mailbox.key_of(letter)));
            } else {
                queue.take(entries, max);
            }
        }
        drop(queue);
        Self { mailbox, entries, taken: Weight::ZERO, has_waited }
    }

    /// Whether some message here has waited for more than its actor's waking up.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Opens the next entry and lets it run; false if there is none.
    pub(crate) async fn open_next(&mut self, actor: &mut A, cx: &mut Context<A>) -> bool {
        match self.entries.pop_front() {
            Some(Entry::Letter(letter, bytes)) => {
                self.taken = self.taken.plus(Weight::one(bytes));
                cx.weighs(bytes);
                self.open_letter(letter, actor, cx).await;
                cx.turn().count_one();
            }
            Some(parcel @ Entry::Parcel(_)) => {
                // It stays in hand while it is open, so that a crash loses none of the rest.
                self.entries.push_front(parcel);
                self.open_parcel(actor, cx).await;
            }
            None => return false,
        }
        true
    }

    async fn open_letter(&mut self, letter: Box<dyn Letter<A>>, actor: &mut A, cx: &mut Context<A>) {
        let mut has_waited = false;
        let mut opening = letter.open(actor, cx);
        poll_fn(|task| {
            let poll = opening.as_mut().poll(task);
            if poll.is_pending() {
                has_waited = true;
                // A handler that waits may do so for long: its slot, and those before it, are free now.
                settle(self.mailbox, &mut self.taken);
            }
            poll
        })
        .await;
        drop(opening);
        if has_waited {
            cx.turn().has_waited();
        }
    }

    async fn open_parcel(&mut self, actor: &mut A, cx: &mut Context<A>) {
        settle(self.mailbox, &mut self.taken);
        let Some(Entry::Parcel(parcel)) = self.entries.front_mut() else { return };
        let (remaining, taken) = (parcel.remaining(), cx.turn().taken());
        if remaining > 0 {
            let max = cx.turn().left() as usize;
            parcel.open_run(max, actor, cx).await;
            cx.turn().forget_time();
        }
        if cx.turn().taken() == taken {
            cx.turn().count_one();
        }
        let left = parcel.remaining();
        if left == remaining && left > 0 {
            tracing::error!(actor = self.mailbox.life.path(), left, "parcel takes no message and is dropped");
        }
        if left == 0 || left == remaining {
            self.entries.pop_front();
        }
    }

    /// Puts the hand down after a turn, and tells what is next. If the actor is to rest, `bell` is rung for it.
    pub(crate) fn finish(&mut self, expired: u64, bell: &Waker) -> Next {
        let mut wakes = Vec::new();
        let taken = std::mem::take(&mut self.taken);
        let mut queue = self.mailbox.lock();
        queue.counters.taken += u64::from(taken.messages);
        queue.counters.dropped_expired += expired;
        if !taken.is_zero() {
            queue.release(taken, &mut wakes);
        }
        queue.put_back(self.entries);
        let next = queue.next();
        if next == Next::Rest {
            queue.gate.bell = Some(bell.clone());
        }
        let crossing = queue.crossing();
        drop(queue);
        wake(wakes);
        self.mailbox.tell(crossing);
        next
    }
}

impl<A: Actor> Drop for Hand<'_, A> {
    fn drop(&mut self) {
        settle(self.mailbox, &mut self.taken);
        if !self.entries.is_empty() {
            self.mailbox.lock().put_back(self.entries);
        }
    }
}

/// Gives back the room of the messages taken so far.
fn settle<A: Actor>(mailbox: &Inner<A>, taken: &mut Weight) {
    mailbox.release(std::mem::take(taken), true);
}
