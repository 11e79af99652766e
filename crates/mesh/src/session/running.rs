//! Asks of the peer that are being worked on, here or behind this node.

use super::Session;
use crate::{parking::Owner, stream_out::StreamOut};
use mesh_net::{CloseCode, CloseReason};
use mesh_proto::frame::Control;
use std::sync::Arc;

/// An ask of the peer that is being worked on.
pub(super) enum Running {
    /// By an actor here.
    Here(Arc<StreamOut>),
    /// By another node, on which we asked under this number.
    Relayed {
        to: Arc<Session>,
        correlation: u64,
        /// Whether it is a stream that is kept there for its reader.
        keeps: bool,
    },
}

/// Whether the peer said that it goes, and its readers with it.
pub(super) fn has_left(reason: &CloseReason) -> bool {
    use CloseCode::{Dropped, Leaving, Shutdown};
    matches!(reason, CloseReason::Peer { code: Dropped | Leaving | Shutdown, .. })
}

impl Running {
    /// The asker has withdrawn it, and hears of its end.
    pub(super) fn cancel(self) {
        match self {
            Self::Here(stream) => stream.withdraw(),
            Self::Relayed { to, correlation, .. } => to.control(&Control::Cancel { correlation }),
        }
    }

    /// The peer, who is this one, has gone for good: all that it asked for itself ends. A stream that it passed on to a
    /// client is kept for that client, which comes another way.
    pub(super) fn gone(self, peer: Owner) {
        match &self {
            Self::Here(stream) if !stream.is_of(peer) => self.detach(),
            Self::Here(_) | Self::Relayed { .. } => self.abandon(),
        }
    }

    /// The asker is gone for good.
    pub(super) fn abandon(self) {
        if let Self::Relayed { to, correlation, .. } = &self {
            to.pending.take(*correlation);
        }
        self.cancel();
    }

    /// The asker leaves a stream for now, and hears when the stream is kept for it.
    pub(super) fn leave(self, here: &str) {
        match self {
            Self::Here(stream) => stream.leave(here),
            Self::Relayed { to, correlation, keeps: true } => to.control(&Control::Detach { correlation }),
            relayed @ Self::Relayed { .. } => relayed.cancel(),
        }
    }

    /// The asker was cut off: a stream may be kept for it.
    pub(super) fn detach(self) {
        match self {
            Self::Here(stream) => stream.lost(),
            Self::Relayed { to, correlation, keeps: true } => {
                to.pending.take(correlation);
                to.control(&Control::Detach { correlation });
            }
            relayed @ Self::Relayed { .. } => relayed.abandon(),
        }
    }
}
