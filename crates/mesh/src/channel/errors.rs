//! What is said of a message that did not go.

use super::{Channel, Phase, Terms};
use crate::failure::error_of;
use mesh_actor::AskError;
use mesh_proto::frame::MESSAGE_BYTES_MAX;

impl Channel {
    pub(super) fn closed_error(&self) -> AskError {
        match &*self.phase.lock() {
            Phase::Closed(failure) => error_of(failure.clone()),
            Phase::Opening | Phase::Open(_) => self.session.unreachable(false),
        }
    }

    pub(crate) fn mailbox_full(&self, terms: &Terms) -> AskError {
        let capacity = u32::try_from(terms.capacity.messages).unwrap_or(u32::MAX);
        AskError::MailboxFull { path: self.path.to_string(), len: capacity, capacity, oldest_ms: 0 }
    }

    pub(crate) fn too_large(&self, bytes: usize) -> AskError {
        AskError::TooLarge {
            path: self.path.to_string(),
            bytes: bytes as u64,
            bytes_max: MESSAGE_BYTES_MAX as u64,
        }
    }
}
