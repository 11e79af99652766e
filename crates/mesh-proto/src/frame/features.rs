//! What a peer knows beyond the base of version 1.

use bincode::{Decode, Encode};
use std::{fmt, ops::BitOr};

/// A set of optional abilities, announced in [`super::Hello::features`]: one bit each.
///
/// | bit | feature | who announces it may be sent |
/// |---|---|---|
/// | 0 | [`OPENS_FOR_CLIENTS`](Self::OPENS_FOR_CLIENTS) | [`OpenFor`](super::Control::OpenFor) |
/// | 1 | [`ISSUES`](Self::ISSUES) | [`Renew`](super::Control::Renew): it holds the authority's key; to its clients every node says so, and asks on |
/// | 2 | [`DELTAS`](Self::DELTAS) | [`NamesKnown`](super::Control::NamesKnown) and [`NamesChanged`](super::Control::NamesChanged), in place of `Published` and `Withdrawn` |
/// | 3 | [`REATTACHES`](Self::REATTACHES) | streams with an id, [`Attach`](super::Control::Attach), [`Detach`](super::Control::Detach) and [`Release`](super::Control::Release) |
/// | 4 | [`TOPICS`](Self::TOPICS) | [`Topics`](super::Control::Topics) |
/// | 16 | [`RETIRES`](Self::RETIRES) | [`Retire`](super::Control::Retire) and [`Retired`](super::Control::Retired); it tells its clients that it leaves |
/// | 32 | [`PINGS`](Self::PINGS) | [`Ping`](super::Control::Ping) |
/// | 33 | [`SWIM`](Self::SWIM) | datagrams of membership, and [`Sync`](super::Control::Sync). Who does not is a member for as long as it is connected |
/// | 34 | [`IDS`](Self::IDS) | messages with an id ([`super::Content::has_id`]) |
///
/// Bits that this version does not know are kept and mean nothing.
///
/// ```
/// use mesh_proto::frame::Features;
/// let theirs = Features::DELTAS | Features::from_bits(1 << 60);
/// assert!(theirs.contains(Features::DELTAS) && !theirs.contains(Features::PINGS));
/// assert!(Features::NONE.contains(Features::NONE));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Features(u64);

impl Features {
    /// The base alone.
    pub const NONE: Self = Self(0);
    /// Opens channels for clients of other nodes.
    pub const OPENS_FOR_CLIENTS: Self = Self(1);
    /// Holds the authority's key, and renews certificates.
    pub const ISSUES: Self = Self(1 << 1);
    /// Tells and hears names as versioned deltas.
    pub const DELTAS: Self = Self(1 << 2);
    /// Keeps streams that carry an id for readers who were cut off.
    ///
    /// The id stands before the message that begins the stream ([`BincodeWithId`](super::Content::BincodeWithId)), and the
    /// stream's [`StreamGrant`](super::Control::StreamGrant)s acknowledge its items: those up to the sum of grants less the
    /// first window.
    pub const REATTACHES: Self = Self(1 << 3);
    /// Hears of subscriptions to topics.
    pub const TOPICS: Self = Self(1 << 4);
    /// Ends connections that are given up without losing what is on them.
    pub const RETIRES: Self = Self(1 << 16);
    /// Answers pings.
    pub const PINGS: Self = Self(1 << 32);
    /// Takes part in SWIM.
    pub const SWIM: Self = Self(1 << 33);
    /// Remembers the ids of messages that it has answered.
    pub const IDS: Self = Self(1 << 34);

    /// What every peer of this version announces; a node that issues certificates adds [`ISSUES`](Self::ISSUES).
    pub const ALL: Self = Self(
        Self::OPENS_FOR_CLIENTS.0
            | Self::DELTAS.0
            | Self::REATTACHES.0
            | Self::TOPICS.0
            | Self::RETIRES.0
            | Self::PINGS.0
            | Self::SWIM.0
            | Self::IDS.0,
    );

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `others` are in it.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({:#x})", self.0)
    }
}
