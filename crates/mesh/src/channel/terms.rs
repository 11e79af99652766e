//! What a channel is good for.

use mesh_proto::{
    ActorId,
    credit::Weight,
    frame::{ChannelKind, Overflow},
};

/// What the receiver said of itself when the channel was opened.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) actor: ActorId,
    pub(crate) kinds: Vec<ChannelKind>,
    pub(crate) overflow: Overflow,
    pub(crate) capacity: Weight,
}

impl Terms {
    /// The place of a kind in headers.
    pub(crate) fn kind(&self, name: &str) -> Option<u16> {
        let place = self.kinds.iter().position(|kind| kind.name == name)?;
        u16::try_from(place).ok()
    }
}
