//! What actors say to each other: messages, and what travels beside them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cancel::Cancel;

/// Something that an actor can be asked or told.
///
/// The reply belongs to the message, so that a caller needs the message's type and not the actor's.
///
/// ```
/// use mesh_actor::Message;
///
/// struct Question(String);
/// impl Message for Question {
///     type Reply = Result<String, String>;
///
///     fn weight_bytes(&self) -> usize {
///         size_of::<Self>() + self.0.len()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    note = "write `impl Message for {Self} {{ type Reply = …; }}`"
)]
pub trait Message: Sized + Send + 'static {
    /// What an ask brings back; `()` when there is nothing to say.
    type Reply: Send + 'static;

    /// How many bytes of its mailbox's bound the message takes, while it is queued.
    ///
    /// The default is the size of the value itself. Add what it owns on the heap when that may be large:
    /// a mailbox is bounded by the sum of these figures.
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }

    /// A copy to be kept while the message is handled, for actors that have messages handled again whose handler
    /// crashed ([`ActorSpec::redeliver`](crate::ActorSpec::redeliver)). By default there is none.
    ///
    /// Write `Some(self.clone())` for a message that may run more than once.
    fn copy(&self) -> Option<Self> {
        None
    }
}

/// A message that is answered with a sequence of items, then with its reply.
pub trait Streaming: Message {
    /// One item of the answer.
    type Item: Send + 'static;
}

/// Who sent a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The node of the sender; `None` is this process.
    pub node: Option<Arc<str>>,
    /// The sender's serial on its node, as of [`ActorRef::serial`](crate::ActorRef::serial).
    pub serial: u64,
}

/// What travels beside a message.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// When the answer stops being of use. A message that is taken later than this is dropped unrun.
    pub deadline: Option<Instant>,
    /// Who sent it, when the sender said so.
    pub sender: Option<Sender>,
    /// Set as soon as nobody waits for the answer any more. Beside a message that is yet to be sent: what its caller
    /// sets to withdraw it.
    pub cancel: Option<Cancel>,
}

impl Meta {
    /// Whether nothing travels beside the message.
    pub fn is_empty(&self) -> bool {
        self.deadline.is_none() && self.sender.is_none() && self.cancel.is_none()
    }
}
