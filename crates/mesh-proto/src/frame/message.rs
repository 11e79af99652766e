//! Headers of the two streams that carry payloads.

use bincode::{Decode, Encode};

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Content {
    /// bincode, between programs that share the message's type.
    Bincode,
    /// JSON, from callers that know only the kind. The reply is JSON too.
    Json,
}

/// Before every message on a lane. Integers are varints, so a plain tell takes seven bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct MessageHeader {
    /// The open channel that it goes to.
    pub channel: u32,
    /// Which of the channel's kinds, by its place in `Opened`.
    pub kind: u16,
    /// How the payload is written.
    pub content: Content,
    /// The asker's number for the reply, unique while it waits; 0 for a tell.
    pub correlation: u64,
    /// Serial of the sending actor within the peer's boot; 0 when no actor sent it.
    pub sender: u64,
    /// Milliseconds until the asker's deadline, counted from the frame's writing; 0 for none.
    pub budget_ms: u64,
    /// The stream that brings the payload; `None` when the payload follows in the frame.
    pub body: Option<Body>,
}

/// A payload on a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Body {
    /// The sender's number for it, from 1, never used again on this connection.
    pub number: u64,
    /// Its length.
    pub bytes: u32,
}

/// What a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The handler's reply, and the end of the ask.
    Reply,
    /// A [`crate::Failure`] in bincode, and the end of the ask.
    Failure,
    /// One of a stream's items; more may follow.
    Item,
}

/// Before every reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ReplyHeader {
    /// The number that the asker gave.
    pub correlation: u64,
    /// What the payload is.
    pub outcome: Outcome,
    /// How the payload is written.
    pub content: Content,
    /// The stream that brings the payload; `None` when it follows in the frame. An item always follows.
    pub body: Option<Body>,
}
