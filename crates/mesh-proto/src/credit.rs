//! How much a sender may send: room in a mailbox, lent ahead of time.
//!
//! ```text
//!   receiver                                    sender
//!   reserves room in the mailbox ── Grant ──►   may charge messages against it
//!   reserved room becomes a message  ◄── lane ─ charged message
//!   room freed, or a grant wanted    ◄── Want ─ a message waits
//!   somebody else waits for room ─ Reclaim ──►
//!   unreserves it                ◄─ Return ──── gives back what it has not used
//! ```
//!
//! A grant is room that the mailbox has set aside, so what is granted and what is queued never exceed
//! its capacity together, however many peers send. All sums are cumulative: a repeated or overtaken
//! frame changes nothing. Credit has two sides, messages and bytes, since a mailbox has two bounds.

use bincode::{Decode, Encode};

mod receiver;
mod sender;

pub use receiver::{Overrun, ReceiverCredit, Shortage};
pub use sender::SenderCredit;

/// Bytes that every message is charged beside its payload, for what the queue itself needs.
pub const MESSAGE_OVERHEAD_BYTES: u64 = 64;

/// An amount of room: messages, and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Weight {
    /// Messages.
    pub messages: u64,
    /// Bytes, [`MESSAGE_OVERHEAD_BYTES`] for each message included.
    pub bytes: u64,
}

impl Weight {
    /// No room at all.
    pub const ZERO: Self = Self { messages: 0, bytes: 0 };

    /// What one message with a payload of `payload_bytes` is charged in a mailbox of this `capacity`.
    ///
    /// One that is heavier than the mailbox's bound is charged the whole bound: it enters alone.
    #[must_use]
    pub fn of_message(payload_bytes: usize, capacity: Self) -> Self {
        let bytes = payload_bytes as u64 + MESSAGE_OVERHEAD_BYTES;
        Self { messages: 1, bytes: bytes.min(capacity.bytes) }
    }

    /// Whether `self` holds at least `other`, on both sides.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.messages >= other.messages && self.bytes >= other.bytes
    }

    /// Both sides added; at the end of the range it stays there.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Both sides subtracted, neither below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// The smaller of each side.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { messages: self.messages.min(other.messages), bytes: self.bytes.min(other.bytes) }
    }

    /// The larger of each side.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { messages: self.messages.max(other.messages), bytes: self.bytes.max(other.bytes) }
    }
}

#[cfg(test)]
mod tests;
