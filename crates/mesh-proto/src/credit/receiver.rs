//! The receiver's half of a channel's credit.

use super::Weight;

/// What a receiver has lent on one channel, and how far ahead it lends.
///
/// The window begins small and doubles whenever the sender has used as much as it holds, up to its limit:
/// a sender of one message costs the mailbox a few places, a busy one soon never waits.
#[derive(Debug, Clone)]
pub struct ReceiverCredit {
    granted: Weight,
    received: Weight,
    returned: Weight,
    window: Weight,
    /// What was received since the window has its width.
    used: Weight,
    window_max: Weight,
    capacity: Weight,
}

/// A peer sent more than it was granted. It broke the protocol: its message is refused, its connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sent or returned {sent:?} with {outstanding:?} of credit")]
pub struct Overrun {
    /// What came.
    pub sent: Weight,
    /// What it was allowed.
    pub outstanding: Weight,
}

/// The first window, in messages and bytes.
const FIRST: Weight = Weight { messages: 4, bytes: 4 * 1024 };

/// The widest window in messages; a mailbox with fewer places bounds it further.
const WIDEST_MESSAGES: u64 = 8192;

impl ReceiverCredit {
    /// For a mailbox of this capacity. Nothing is granted yet.
    #[must_use]
    pub fn new(capacity: Weight) -> Self {
        let window_max = capacity.min(Weight { messages: WIDEST_MESSAGES, bytes: u64::MAX });
        Self {
            granted: Weight::ZERO,
            received: Weight::ZERO,
            returned: Weight::ZERO,
            window: FIRST.min(window_max),
            used: Weight::ZERO,
            window_max,
            capacity,
        }
    }

    /// Lent, and neither used nor given back. The mailbox holds exactly this much room for the channel.
    #[must_use]
    #[inline]
    pub fn outstanding(&self) -> Weight {
        self.granted.minus(self.received).minus(self.returned)
    }

    /// A message came.
    ///
    /// # Errors
    /// [`Overrun`] when it was not covered; the credit is then as before.
    #[inline]
    pub fn receive(&mut self, weight: Weight) -> Result<(), Overrun> {
        let outstanding = self.outstanding();
        if !outstanding.covers(weight) {
            return Err(Overrun { sent: weight, outstanding });
        }
        self.received = self.received.plus(weight);
        self.used = self.used.plus(weight);
        Ok(())
    }

    /// The sender gave credit back, `returned` in all. Answers how much of it is new: that room is free again.
    ///
    /// # Errors
    /// [`Overrun`] when it returns more than it had.
    pub fn take_back(&mut self, returned: Weight) -> Result<Weight, Overrun> {
        let fresh = returned.minus(self.returned);
        let outstanding = self.outstanding();
        if !outstanding.covers(fresh) {
            return Err(Overrun { sent: fresh, outstanding });
        }
        self.returned = self.returned.plus(fresh);
        // A sender that let credit lie idle is not lent so much at once again.
        self.window = FIRST.min(self.window_max);
        self.used = Weight::ZERO;
        Ok(fresh)
    }

    /// Room worth reserving now to fill the window again, or zero while less than a quarter of it is missing.
    #[must_use]
    #[inline]
    pub fn wanted(&self) -> Weight {
        let missing = self.window.minus(self.outstanding());
        let quarter =
            Weight { messages: (self.window.messages / 4).max(1), bytes: (self.window.bytes / 4).max(1) };
        let is_due = missing.messages >= quarter.messages || missing.bytes >= quarter.bytes;
        if is_due { missing } else { Weight::ZERO }
    }

    /// Lends `room` that the mailbox has set aside; answers the sum of all grants, for the frame.
    pub fn grant(&mut self, room: Weight) -> Weight {
        if self.used.messages >= self.window.messages || self.used.bytes >= self.window.bytes {
            self.window = self.window.plus(self.window).min(self.window_max);
            self.used = Weight::ZERO;
        }
        self.granted = self.granted.plus(room);
        self.granted
    }

    /// What a sender still waits for that asked until all grants sum up to `until`.
    #[must_use]
    pub fn short_of(&self, until: Weight) -> Shortage {
        let short = until.minus(self.granted);
        if short == Weight::ZERO {
            Shortage::None
        } else if self.capacity.minus(self.outstanding()).covers(short) {
            Shortage::Lend(short)
        } else {
            Shortage::Awaits
        }
    }
}

/// What has to be done about a sender that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Nothing: its grant is under way.
    None,
    /// This much is to be lent.
    Lend(Weight),
    /// Its own earlier messages have to come first: its wish has overtaken them. (A peer that wishes for more than the
    /// mailbox holds waits here for ever, and nobody else does.)
    Awaits,
}
