//! Headers of the two streams that carry payloads.

use super::Features;
use super::varint::{Reader, Writer, Wrong, is_one_byte, one_byte};
use crate::DecodeError;

/// Longer than any header with every integer at its widest.
const HEADER_BYTES_MAX: usize = 64;

/// A message's header whose integers are one byte each and whose payload follows.
const SHORT_BYTES: usize = 7;

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(bincode::Encode, bincode::Decode))]
pub enum Content {
    /// bincode, between programs that share the message's type.
    Bincode,
    /// JSON, from callers that know only the kind. The reply is JSON too.
    Json,
    /// 16 bytes of an id that the sender chose, then bincode. A message with an id that has run is not run again; for a
    /// stream it is the id by which its reader attaches to it again.
    BincodeWithId,
    /// 16 bytes of an id, then JSON.
    JsonWithId,
}

impl Content {
    /// How the message itself is written, and its reply.
    #[must_use]
    pub fn encoding(self) -> Self {
        match self {
            Self::Bincode | Self::BincodeWithId => Self::Bincode,
            Self::Json | Self::JsonWithId => Self::Json,
        }
    }

    /// What a peer must know to be sent a message that is written so.
    #[must_use]
    pub fn needs(self) -> Features {
        if self.has_id() { Features::IDS } else { Features::NONE }
    }

    /// Whether an id stands before the message.
    #[must_use]
    pub fn has_id(self) -> bool {
        matches!(self, Self::BincodeWithId | Self::JsonWithId)
    }
}

/// Before every message on a lane. Integers are varints, so a plain tell takes seven bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(bincode::Encode, bincode::Decode))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(bincode::Encode, bincode::Decode))]
pub struct Body {
    /// The sender's number for it, from 1, never used again on this connection.
    pub number: u64,
    /// Its length.
    pub bytes: u32,
}

/// What a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(bincode::Encode, bincode::Decode))]
pub enum Outcome {
    /// The handler's reply, and the end of the ask.
    Reply,
    /// A [`crate::Failure`] in bincode, and the end of the ask.
    Failure,
    /// One of a stream's items; more may follow.
    Item,
}

/// Before every reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(bincode::Encode, bincode::Decode))]
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

impl MessageHeader {
    /// Appends the header's bytes to `buffer`.
    #[inline]
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        if let Some(short) = self.short() {
            return buffer.extend_from_slice(&short);
        }
        let mut writer = Writer::<HEADER_BYTES_MAX>::new();
        writer.integer(self.channel.into());
        writer.integer(self.kind.into());
        writer.byte(self.content as u8);
        writer.integer(self.correlation);
        writer.integer(self.sender);
        writer.integer(self.budget_ms);
        write_body(&mut writer, self.body);
        buffer.extend_from_slice(writer.as_slice());
    }

    /// The bytes of a header whose integers are one byte each, as those of most tells.
    #[inline]
    fn short(&self) -> Option<[u8; SHORT_BYTES]> {
        if self.body.is_some() {
            return None;
        }
        Some([
            one_byte(self.channel.into())?,
            one_byte(self.kind.into())?,
            self.content as u8,
            one_byte(self.correlation)?,
            one_byte(self.sender)?,
            one_byte(self.budget_ms)?,
            0,
        ])
    }

    /// Reads a header at the start of `bytes`; returns it with the number of bytes that it took.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the bytes are not such a header.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        match Self::read_short(bytes) {
            Some(header) => Ok((header, SHORT_BYTES)),
            None => decoded(bytes, Self::read),
        }
    }

    /// The header, if its integers are one byte each.
    #[inline]
    fn read_short(bytes: &[u8]) -> Option<Self> {
        let &[channel, kind, content, correlation, sender, budget, 0] = bytes.first_chunk::<SHORT_BYTES>()?
        else {
            return None;
        };
        // The largest of them decides for all.
        let widest = channel.max(kind).max(correlation).max(sender).max(budget);
        if !is_one_byte(widest) {
            return None;
        }
        Some(Self {
            channel: channel.into(),
            kind: kind.into(),
            content: content_of(content)?,
            correlation: correlation.into(),
            sender: sender.into(),
            budget_ms: budget.into(),
            body: None,
        })
    }

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Wrong> {
        Ok(Self {
            channel: reader.integer()?,
            kind: reader.integer()?,
            content: read_content(reader)?,
            correlation: reader.integer()?,
            sender: reader.integer()?,
            budget_ms: reader.integer()?,
            body: read_body(reader)?,
        })
    }
}

impl ReplyHeader {
    /// Appends the header's bytes to `buffer`.
    #[inline]
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        let mut writer = Writer::<HEADER_BYTES_MAX>::new();
        writer.integer(self.correlation);
        writer.byte(self.outcome as u8);
        writer.byte(self.content as u8);
        write_body(&mut writer, self.body);
        buffer.extend_from_slice(writer.as_slice());
    }

    /// Reads a header at the start of `bytes`; returns it with the number of bytes that it took.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the bytes are not such a header.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        decoded(bytes, Self::read)
    }

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Wrong> {
        let correlation = reader.integer()?;
        let outcome = match reader.byte()? {
            0 => Outcome::Reply,
            1 => Outcome::Failure,
            2 => Outcome::Item,
            _ => return Err(Wrong::Tag),
        };
        let content = read_content(reader)?;
        if content.has_id() {
            return Err(Wrong::Tag);
        }
        Ok(Self { correlation, outcome, content, body: read_body(reader)? })
    }
}

fn read_content(reader: &mut Reader<'_>) -> Result<Content, Wrong> {
    content_of(reader.byte()?).ok_or(Wrong::Tag)
}

fn content_of(tag: u8) -> Option<Content> {
    match tag {
        0 => Some(Content::Bincode),
        1 => Some(Content::Json),
        2 => Some(Content::BincodeWithId),
        3 => Some(Content::JsonWithId),
        _ => None,
    }
}

fn write_body(writer: &mut Writer<HEADER_BYTES_MAX>, body: Option<Body>) {
    let Some(Body { number, bytes }) = body else { return writer.byte(0) };
    writer.byte(1);
    writer.integer(number);
    writer.integer(bytes.into());
}

fn read_body(reader: &mut Reader<'_>) -> Result<Option<Body>, Wrong> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Body { number: reader.integer()?, bytes: reader.integer()? })),
        _ => Err(Wrong::Tag),
    }
}

#[inline]
fn decoded<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Wrong>,
) -> Result<(T, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let header = read(&mut reader).map_err(malformed::<T>)?;
    Ok((header, reader.taken()))
}

#[cold]
fn malformed<T>(wrong: Wrong) -> DecodeError {
    DecodeError::malformed::<T>(wrong.reason())
}
