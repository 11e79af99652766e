//! Where messages go that nobody will handle.

use std::sync::{Arc, Weak};

use super::inner::{Inner, ring};
use super::queue::Entry;
use super::weight::Weight;
use crate::actor::Actor;
use crate::context::InHand;
use crate::dead_letters::{DeadReason, Remains};
use crate::error::{AskError, TellError};
use crate::letter::{Again, Letter};

/// A message with the way to its actor, which it does not keep alive.
struct Buried<A: Actor> {
    mailbox: Weak<Inner<A>>,
    path: Arc<str>,
    letter: Box<dyn Letter<A>>,
    bytes: usize,
}

impl<A: Actor> Remains for Buried<A> {
    fn replay(self: Box<Self>) -> Result<(), (Box<dyn Remains>, TellError)> {
        let Some(mailbox) = self.mailbox.upgrade() else {
            let path = self.path.to_string();
            return Err((self, AskError::NotRunning { path }));
        };
        let weight = Weight::one(self.bytes).min(mailbox.capacity());
        if !mailbox.try_reserve(weight) {
            return Err((self, mailbox.refusal()));
        }
        mailbox.push_reserved(mailbox.permit(weight), self.letter);
        Ok(())
    }
}

impl<A: Actor> Inner<A> {
    fn bury(
        self: &Arc<Self>,
        letter: Option<Box<dyn Letter<A>>>,
        kind: &str,
        bytes: usize,
        reason: DeadReason,
    ) {
        let (mailbox, path) = (Arc::downgrade(self), self.life.shared_path());
        let remains =
            letter.map(|letter| Box::new(Buried { mailbox, path, letter, bytes }) as Box<dyn Remains>);
        self.life.dead_letters().add(self.life.path(), kind, bytes, reason, remains);
    }

    /// An entry of an actor that takes no more.
    pub(super) fn let_die(self: &Arc<Self>, entry: Entry<A>, why: &AskError) {
        match entry {
            Entry::Letter(letter, bytes) => {
                let kind = letter.kind();
                if let Some(letter) = letter.die(why) {
                    self.bury(Some(letter), kind, bytes, DeadReason::NotRunning);
                }
            }
            Entry::Parcel(parcel) => parcel.die(why, &mut |kind, bytes| {
                self.bury(None, kind, bytes, DeadReason::NotRunning);
            }),
        }
    }

    /// The message in hand has crashed its actor: it is the next one again, or dead.
    pub(crate) fn has_crashed(self: &Arc<Self>, in_hand: InHand<A>, reason: &str) {
        let may_try_again = in_hand.may_try_again();
        let InHand { kind, bytes, tried, copy, .. } = in_hand;
        // Nobody said what was in hand.
        let Some(kind) = kind.map(|kind| kind()) else { return };
        let (bytes, copy) = (bytes as usize, copy.map(|copy| *copy));
        let reason = || DeadReason::Poison { reason: reason.to_owned(), times: u32::from(tried) + 1 };
        match copy {
            Some(letter) if may_try_again => {
                if let Err(letter) = self.put_first(Box::new(Again { letter, tried: tried + 1 }), bytes) {
                    self.bury(Some(letter), kind, bytes, reason());
                }
            }
            copy => self.bury(copy, kind, bytes, reason()),
        }
    }

    /// Queues a letter before all others; gives it back when there is no room.
    fn put_first(&self, letter: Box<dyn Letter<A>>, bytes: usize) -> Result<(), Box<dyn Letter<A>>> {
        let bytes = bytes.min(self.capacity().bytes);
        let mut queue = self.lock();
        if queue.gate.must_end() || !queue.ledger.admit(Weight::one(bytes)) {
            return Err(letter);
        }
        queue.arrive(1);
        queue.put_back(&mut [Entry::Letter(letter, bytes)].into());
        let (bell, crossing) = (queue.ring(), queue.crossing());
        drop(queue);
        ring(bell);
        self.tell(crossing);
        Ok(())
    }
}
