//! Which queued message a new one replaces.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::message::Message;

/// Tells the key of a message, for mailboxes that keep the latest of each key only.
#[derive(Clone)]
pub struct Conflation {
    key_of: Arc<KeyOf>,
}

type KeyOf = dyn Fn(&dyn Any) -> Option<Key> + Send + Sync;

impl Conflation {
    pub(super) fn by<M: Message, K: Hash + Eq + Send + 'static>(key: fn(&M) -> K) -> Self {
        Self {
            key_of: Arc::new(move |message| {
                message.downcast_ref::<M>().map(|message| Key::new(key(message)))
            }),
        }
    }

    /// The message's key; none for a message of another type, which replaces nothing.
    pub(super) fn key_of(&self, message: &dyn Any) -> Option<Key> {
        (self.key_of)(message)
    }
}

impl fmt::Debug for Conflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflation").finish_non_exhaustive()
    }
}

/// A key of any type. A mailbox conflates one type of message, so its keys are of one type.
pub(super) struct Key(Box<dyn AnyKey>);

impl Key {
    fn new<K: Hash + Eq + Send + 'static>(key: K) -> Self {
        Self(Box::new(key))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

/// `Hash` and `Eq` as a trait object can have them.
trait AnyKey: Send {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<K: Hash + Eq + Send + 'static> AnyKey for K {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>().is_some_and(|other| self == other)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}
