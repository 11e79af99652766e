//! How much a mailbox holds, and what happens when it is full.

use std::hash::Hash;

use super::conflate::Conflation;
use super::weight::Weight;
use crate::message::Message;

/// The bound of a mailbox, whichever side is reached first, and its overflow policy.
#[derive(Clone, Debug)]
pub struct MailboxConfig {
    /// Messages that fit; 1,024 by default, at least 1.
    pub messages: u32,
    /// Bytes that fit; 1 MiB by default, at least 1. A message heavier than this counts as exactly this, so it
    /// enters alone.
    pub bytes: usize,
    /// What happens to a message for which there is no room; [`Overflow::Wait`] by default.
    pub overflow: Overflow,
}

impl MailboxConfig {
    pub(crate) fn capacity(&self) -> Weight {
        Weight { messages: self.messages.max(1), bytes: self.bytes.max(1) }
    }
}

impl Default for MailboxConfig {
    fn default() -> Self {
        Self { messages: 1024, bytes: 1 << 20, overflow: Overflow::Wait }
    }
}

/// What happens to a message for which a mailbox has no room.
///
/// The dropping policies never make a sender wait and never fail a tell. An ask whose message is dropped fails
/// with `MailboxFull`. In such a mailbox, messages that came together over the network are dropped together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender waits for room, in order of arrival, until its deadline.
    Wait,
    /// The sender is told at once.
    Reject,
    /// The oldest message in the mailbox is dropped.
    DropOldest,
    /// The new message is dropped.
    DropNewest,
    /// A new message replaces the queued one with the same key, and takes its place in the queue. If there is none
    /// and the mailbox is full, the oldest message is dropped. See [`Overflow::conflate`].
    Conflate(Conflation),
}

impl Overflow {
    /// Keeps only the latest message of type `M` for each key. Other types of message are never replaced.
    ///
    /// ```
    /// use mesh_actor::{ActorSpec, Message, Overflow};
    ///
    /// struct Progress { task: u64, percent: u8 }
    /// impl Message for Progress {
    ///     type Reply = ();
    /// }
    /// let latest = Overflow::conflate(|progress: &Progress| progress.task);
    /// let spec = ActorSpec::new("dashboard").mailbox(64).overflow(latest);
    /// ```
    pub fn conflate<M: Message, K: Hash + Eq + Send + 'static>(key: fn(&M) -> K) -> Self {
        Self::Conflate(Conflation::by(key))
    }

    /// Whether the policy drops messages rather than make their senders wait or fail.
    pub fn drops(&self) -> bool {
        match self {
            Self::Wait | Self::Reject => false,
            Self::DropOldest | Self::DropNewest | Self::Conflate(_) => true,
        }
    }

    /// Whether a sender is refused at once.
    pub fn rejects(&self) -> bool {
        matches!(self, Self::Reject)
    }
}
