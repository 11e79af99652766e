//! Ids, paths, frames and the codec of the mesh, as plain data and pure state machines.
//!
//! ```text
//! stream  = preamble | frame*          preamble: which stream this is, and the version of its frames
//! frame   = u32 length | header | payload
//! header  = bincode (this crate)       payload: bytes that only the two ends understand
//! ```
//!
//! What flows between two nodes is one control stream, a few ordered lanes of messages, one stream
//! of replies, and a stream for each large body ([`frame`]). How much may flow is decided by
//! [`credit`]: nobody sends a message for which the receiver has not set room aside.
//!
//! Who is in the mesh is decided by [`membership`], SWIM as a state machine.
//!
//! This crate never asks the time, opens no socket, spawns nothing, and knows no actor: it can be
//! tested with values alone.

mod codec;
pub mod credit;
mod directory;
mod enroll;
mod failure;
pub mod frame;
mod grant;
mod id;
pub mod membership;
mod path;
mod topics;

pub use codec::{
    Bounded, DECODE_BYTES_MAX, DecodeError, EncodeError, decode_frame, decode_payload, encode_frame,
    encode_payload, encode_payload_to_vec,
};
pub use directory::{
    Answer, CAPABILITIES_MAX, Delta, Digest, Directory, Entry, Known, NAMES_MAX, Need, Publication, Taken,
    check_capability, epoch_capability,
};
pub use enroll::{ENROLL_BYTES_MAX, EnrollReply, EnrollRequest};
pub use failure::{Failure, Json, Retry};
pub use grant::{ActorPattern, GRANT_TEXT_BYTES_MAX, GRANTS_MAX, Grant, GrantSet, InvalidGrant, Verb};
pub use id::{ActorId, Boot, NodeId};
pub use membership::MemberState;
pub use path::{ActorPath, InvalidKind, InvalidPath, Kind, check_name};
pub use topics::{SUBSCRIPTIONS_MAX, Subscription, TooManySubscriptions, TopicNews, Topics, check_topic};
