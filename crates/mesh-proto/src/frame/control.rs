//! Frames of the control stream.
//!
//! **The base of version 1** is every frame that [`Control::needs`] no feature for: the hello, channels and their credit,
//! cancellation, streams' credit, and names as `Published` and `Withdrawn`. Every peer that speaks version 1 of the frames knows it. What came later is sent only to who
//! announces it in [`Hello::features`], and has a bit there ([`Features`]); so two versions that share a base understand each
//! other, and neither ever sees a frame that it does not know. For that reason an unknown frame is no news from the future
//! but a fault of the peer ([`crate::DecodeError::Unknown`]), and ends its connection: frames are not skipped, since who skips one would miss
//! credit or a name and not know it. Unknown bits of features are ignored.
//!
//! A new frame stands at the end of [`Control`], and has its bit in [`Features`]; a frame's fields never change. What cannot be done so is
//! the next version of the frames, under the next ALPN protocol.

use super::Features;
use crate::{ActorId, Boot, Delta, Entry, Failure, Known, TopicNews, credit::Weight, membership};
use bincode::{Decode, Encode};

/// First frame each way. Nothing else is sent, nor believed, before it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The run of the sender's process.
    pub boot: Boot,
    /// What the sender knows beyond the base.
    pub features: Features,
    /// Where the sender accepts connections; `None` for a client.
    pub listens: Option<String>,
}

/// What a full mailbox does, as far as a distant sender must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Overflow {
    /// Senders wait for room.
    Wait,
    /// Senders for whom there is no room are told `MAILBOX_FULL` at once.
    Reject,
}

/// A kind that a channel takes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChannelKind {
    /// `area.verb_or_noun.vN`.
    pub name: String,
    /// Whether it answers with a stream of items before its reply.
    pub streams: bool,
}

/// A frame of the control stream. Numbers of channels and asks are the sender's of the messages.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Control {
    /// The sender introduces itself.
    Hello(Hello),
    /// Asks for a channel to the actor at `path`.
    Open {
        /// The opener's number for it, from 1, never used again on this connection.
        channel: u32,
        /// Where the actor is found.
        path: String,
    },
    /// The channel is open.
    Opened {
        /// The opener's number.
        channel: u32,
        /// The actor behind it.
        actor: ActorId,
        /// The kinds that it takes; headers name them by their place here.
        kinds: Vec<ChannelKind>,
        /// What its mailbox does when full.
        overflow: Overflow,
        /// Its mailbox's bounds; a heavier message is charged the whole bound.
        capacity: Weight,
        /// The first credit.
        granted: Weight,
    },
    /// The channel is not open, or no longer: no such actor, or it stopped.
    Closed {
        /// The opener's number.
        channel: u32,
        /// Why.
        failure: Failure,
    },
    /// The opener needs the channel no more.
    Close {
        /// The opener's number.
        channel: u32,
    },
    /// All credit granted to the channel since it was opened.
    Grant {
        /// The opener's number.
        channel: u32,
        /// The sum of all grants.
        granted: Weight,
    },
    /// A sender waits until all grants sum up to this.
    Want {
        /// The opener's number.
        channel: u32,
        /// The sum of grants at which its first waiting message can go.
        until: Weight,
    },
    /// Others wait for room: give unused credit back.
    Reclaim {
        /// The opener's number.
        channel: u32,
    },
    /// All credit given back since the channel was opened.
    Return {
        /// The opener's number.
        channel: u32,
        /// The sum of all returns.
        returned: Weight,
    },
    /// The asker no longer waits for this reply.
    Cancel {
        /// The asker's number.
        correlation: u64,
    },
    /// All items that the asker has made room for since its stream began.
    StreamGrant {
        /// The asker's number.
        correlation: u64,
        /// The sum of all grants, in items and bytes.
        granted: Weight,
    },
    /// Push/pull of members.
    Sync(membership::Sync),
    /// Published names of the sender: all at first, then those that came. Only for who knows no deltas.
    Published(Vec<Entry>),
    /// Published names of the sender that went. Only for who knows no deltas.
    Withdrawn(Vec<String>),
    /// The sender stops taking work and will close.
    Leaving,
    /// The answer to `Want` of a mailbox that rejects: there is no room, and whoever waits is told.
    Full {
        /// The opener's number.
        channel: u32,
        /// `MAILBOX_FULL`, with what the owner knows of its mailbox.
        failure: Failure,
    },
    /// Is there anybody? That QUIC acknowledges it is the answer.
    Ping,
    /// As `Open`, for a client of the sender's. The receiver believes the certificate, not the sender.
    OpenFor {
        /// The opener's number for it.
        channel: u32,
        /// Where the actor is found.
        path: String,
        /// The client's certificate, DER.
        client: Vec<u8>,
    },
    /// Asks a node that holds the authority's key for a new certificate, of the same name and key as the connection's.
    Renew,
    /// The answer to `Renew`.
    Renewed {
        /// The new certificate, DER; `None` if this node issues none.
        certificate: Option<Vec<u8>>,
    },
    /// This connection is given up: the sender begins nothing more on it, and finishes what it began.
    Retire,
    /// The sender has read every lane of a connection that is given up to its end.
    Retired,
    /// Subscriptions of the sender's actors: all at first, then each change.
    Topics(TopicNews),
    /// What the sender has of the receiver's names.
    NamesKnown(Known),
    /// What has changed in the sender's names.
    NamesChanged(Delta),
    /// Goes on with a stream whose connection was lost, with the item of this number. It is answered as the message was that
    /// began the stream: by items and a reply, or by a failure.
    Attach {
        /// The asker's channel to the actor that makes the items.
        channel: u32,
        /// The asker's number for the answers from now on.
        correlation: u64,
        /// The id that the asker gave the stream when it began.
        stream: u128,
        /// The first item that the asker has not got, counted from 1.
        next: u64,
    },
    /// The reader of a stream is away: the stream is kept as if the reader's connection had been lost.
    Detach {
        /// The asker's number.
        correlation: u64,
    },
    /// The reader has a stream's end: nothing of the stream has to be kept.
    Release {
        /// The asker's channel to the actor that made the items.
        channel: u32,
        /// The id that the asker gave the stream.
        stream: u128,
    },
}

impl Control {
    /// What a peer must know to be sent this frame; nothing for those of the base.
    #[must_use]
    pub fn needs(&self) -> Features {
        match self {
            Self::OpenFor { .. } => Features::OPENS_FOR_CLIENTS,
            Self::Renew => Features::ISSUES,
            Self::NamesKnown(_) | Self::NamesChanged(_) => Features::DELTAS,
            Self::Retire | Self::Retired => Features::RETIRES,
            Self::Topics(_) => Features::TOPICS,
            Self::Attach { .. } | Self::Detach { .. } | Self::Release { .. } => Features::REATTACHES,
            Self::Ping => Features::PINGS,
            Self::Sync(_) => Features::SWIM,
            // The answer to a frame of the receiver's own.
            Self::Renewed { .. } => Features::NONE,
            Self::Hello(_)
            | Self::Open { .. }
            | Self::Opened { .. }
            | Self::Closed { .. }
            | Self::Close { .. }
            | Self::Grant { .. }
            | Self::Want { .. }
            | Self::Reclaim { .. }
            | Self::Return { .. }
            | Self::Cancel { .. }
            | Self::StreamGrant { .. }
            | Self::Published(_)
            | Self::Withdrawn(_)
            | Self::Leaving
            | Self::Full { .. } => Features::NONE,
        }
    }
}
