//! Room in a mailbox.

/// An amount of messages, with the bytes that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// How many messages.
    pub messages: u32,
    /// Their bytes, as of [`Message::weight_bytes`](crate::Message::weight_bytes).
    pub bytes: usize,
}

impl Weight {
    /// No message.
    pub const ZERO: Self = Self { messages: 0, bytes: 0 };

    /// One message of so many bytes.
    pub const fn one(bytes: usize) -> Self {
        Self { messages: 1, bytes }
    }

    /// Whether there is neither a message nor a byte.
    pub const fn is_zero(self) -> bool {
        self.messages == 0 && self.bytes == 0
    }

    /// The smaller of each side.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { messages: self.messages.min(other.messages), bytes: self.bytes.min(other.bytes) }
    }

    /// Both sides subtracted, neither below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// Both sides added, neither beyond its type's largest value.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Whether neither side is larger than the other's.
    pub const fn fits_in(self, other: Self) -> bool {
        self.messages <= other.messages && self.bytes <= other.bytes
    }
}
