//! What stands on the streams between two peers.
//!
//! | stream | how many each way | carries |
//! |---|---|---|
//! | control | 1, first in line | [`Control`] frames: hello, credits, members, names |
//! | lane | [`LANES`] | [`MessageHeader`] and payload; one (sender, receiver) pair always takes the same lane |
//! | reply | 1 | [`ReplyHeader`] and payload |
//! | body | one for each payload over [`INLINE_BYTES_MAX`] | the payload alone; its header stands in a lane, and holds its place |
//!
//! Every stream opens with a [`Preamble`]; every frame is `u32 length (little endian) | header | payload`.

mod control;
mod features;
mod message;
mod varint;

pub use control::{ChannelKind, Control, Hello, Overflow};
pub use features::Features;
pub use message::{Body, Content, MessageHeader, Outcome, ReplyHeader};

/// Version of the frames on every stream. A peer that speaks another is refused at the hello.
pub const VERSION: u8 = 1;

/// Ordered streams of messages each way.
pub const LANES: u8 = 8;

/// A longer payload travels on a stream of its own: 65 KiB, so that 64 KiB with its encoding stays in the lane.
pub const INLINE_BYTES_MAX: usize = 65 * 1024;

/// Longest payload of one message or reply: 16 MiB.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest frame on a lane or the reply stream: an inline payload with room for its header.
pub const FRAME_BYTES_MAX: usize = INLINE_BYTES_MAX + 1024;

/// Longest frame on the control stream: 64 KiB. Longer lists go in parts ([`ROWS_MAX`]).
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// Most rows of a list in one control frame: 32 members or names.
pub const ROWS_MAX: usize = 32;

/// Most kinds that one actor takes from outside of its process: 256.
pub const KINDS_MAX: usize = 256;

/// The lane for messages from one sender to one channel. The same pair always gets the same lane.
#[must_use]
pub fn lane_of(sender: u64, channel: u32) -> u8 {
    // Fibonacci hashing: neighbouring serials and channels spread over all lanes.
    let mixed = (sender ^ (u64::from(channel) << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u8::try_from((mixed >> 40) % u64::from(LANES)).expect("a remainder of LANES is below it")
}

/// First four bytes of every stream: `M`, the version, the sort of stream, the lane's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// The one control stream.
    Control,
    /// A lane, by its number below [`LANES`].
    Lane(u8),
    /// The one stream of replies.
    Reply,
    /// A payload; its number (`u64`, little endian) follows, then its bytes.
    Body,
}

/// Bytes of the number behind [`Preamble::Body`].
pub const BODY_NUMBER_BYTES: usize = 8;

/// Bytes of a [`Preamble`].
pub const PREAMBLE_BYTES: usize = 4;

impl Preamble {
    /// The bytes that open the stream.
    #[must_use]
    pub fn encode(self) -> [u8; PREAMBLE_BYTES] {
        let (sort, lane) = match self {
            Self::Control => (0, 0),
            Self::Lane(lane) => (1, lane),
            Self::Reply => (2, 0),
            Self::Body => (3, 0),
        };
        [b'M', VERSION, sort, lane]
    }

    /// Reads what [`Preamble::encode`] wrote.
    ///
    /// # Errors
    /// [`PreambleError`] when the peer speaks another protocol or version, or names no stream of ours.
    pub fn decode(bytes: [u8; PREAMBLE_BYTES]) -> Result<Self, PreambleError> {
        match bytes {
            [b'M', VERSION, 0, 0] => Ok(Self::Control),
            [b'M', VERSION, 1, lane] if lane < LANES => Ok(Self::Lane(lane)),
            [b'M', VERSION, 2, 0] => Ok(Self::Reply),
            [b'M', VERSION, 3, 0] => Ok(Self::Body),
            [b'M', version, ..] if version != VERSION => Err(PreambleError::Version { theirs: version }),
            _ => Err(PreambleError::Unknown { bytes }),
        }
    }
}

/// Why a stream was refused at its first bytes; the peer's fault, and the end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreambleError {
    /// The peer's frames have another version.
    #[error("peer speaks version {theirs} of the frames, this node {VERSION}")]
    Version {
        /// The peer's version.
        theirs: u8,
    },
    /// The bytes open no stream of the mesh.
    #[error("{bytes:02x?} opens no stream of the mesh")]
    Unknown {
        /// What came.
        bytes: [u8; PREAMBLE_BYTES],
    },
}

#[cfg(test)]
mod tests;
