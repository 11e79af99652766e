//! A datagram of ours, as foca lays it out, and foca's codec.
//!
//! ```text
//! datagram = header | [u16 count | member*] | (u16 length | row)*       the two numbers are big endian
//! ```
//!
//! A datagram is read here to its last byte before foca sees any of it: who says it, about whom, and what of it is let
//! through is decided by values, not by bytes. Rows never reach foca; it only carries them.

use super::{identity::Identity, profile::Row};
use crate::codec::{DecodeError, decode_frame, decode_front, encode_frame};
use bincode::{Decode, Encode};
use bytes::{Buf, BufMut};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Longest datagram that is sent or read: what every path that carries QUIC has room for, with the datagram frame's own
/// header (RFC 9000 §14.1: 1,200 bytes).
pub const DATAGRAM_BYTES_MAX: usize = 1150;

/// Longer rows travel by push/pull alone: beside them a datagram has no room for the news that SWIM is about.
pub(crate) const ROW_BYTES_MAX: usize = 512;

/// How foca's members look on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Claim {
    pub(crate) id: Identity,
    pub(crate) incarnation: u16,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) enum State {
    Alive,
    Suspect,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Header {
    src: Identity,
    src_incarnation: u16,
    dst: Identity,
    message: Message,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
enum Message {
    Ping(u8),
    Ack(u8),
    PingReq { target: Identity, probe: u8 },
    IndirectPing { origin: Identity, probe: u8 },
    IndirectAck { target: Identity, probe: u8 },
    ForwardedAck { origin: Identity, probe: u8 },
    Announce,
    Feed,
    Gossip,
    Broadcast,
    TurnUndead,
}

/// A datagram that was read to its last byte.
#[derive(Debug)]
pub(crate) struct Packet {
    header: Header,
    pub(crate) claims: Vec<Claim>,
    pub(crate) rows: Vec<Row>,
    /// Bytes before the rows: what foca is given.
    pub(crate) length: usize,
}

impl Packet {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut at) = decode_front::<Header>(bytes)?;
        let mut claims = Vec::new();
        if at < bytes.len() && header.message != Message::Broadcast {
            let count = u16_at(bytes, &mut at)?;
            for _ in 0..count {
                let (claim, taken) = decode_front::<Claim>(&bytes[at..])?;
                at += taken;
                claims.push(claim);
            }
        }
        let length = at;
        let mut rows = Vec::new();
        while at < bytes.len() {
            let row_length = usize::from(u16_at(bytes, &mut at)?);
            let row = bytes.get(at..at + row_length).ok_or_else(ends_early)?;
            rows.push(decode_frame::<Row>(row)?);
            at += row_length;
        }
        Ok(Self { header, claims, rows, length })
    }

    /// Who says it, by its own words.
    pub(crate) fn sender(&self) -> &Identity {
        &self.header.src
    }

    /// Whom it is meant for, as the sender knows it.
    pub(crate) fn receiver(&self) -> &Identity {
        &self.header.dst
    }

    pub(crate) fn sender_incarnation(&self) -> u16 {
        self.header.src_incarnation
    }

    /// Everybody that foca would answer or pass on to.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Identity> {
        let third = match &self.header.message {
            Message::PingReq { target: third, .. }
            | Message::IndirectPing { origin: third, .. }
            | Message::IndirectAck { target: third, .. }
            | Message::ForwardedAck { origin: third, .. } => Some(third),
            Message::Ping(_)
            | Message::Ack(_)
            | Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => None,
        };
        [&self.header.src, &self.header.dst].into_iter().chain(third)
    }

    /// The bytes that foca would have been given, had the sender told these claims only.
    pub(crate) fn encode_with(&self, claims: &[Claim]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        encode_frame(&self.header, &mut bytes);
        if !claims.is_empty() {
            bytes.put_u16(u16::try_from(claims.len()).unwrap_or(u16::MAX));
            claims.iter().for_each(|claim| encode_frame(claim, &mut bytes));
        }
        bytes
    }
}

fn u16_at(bytes: &[u8], at: &mut usize) -> Result<u16, DecodeError> {
    let mut field = bytes.get(*at..*at + 2).ok_or_else(ends_early)?;
    *at += 2;
    Ok(field.get_u16())
}

fn ends_early() -> DecodeError {
    DecodeError::malformed::<Packet>("it ends early")
}

/// Why foca could not write: the datagram is full. It then goes without.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("the datagram has no room for {bytes} bytes more")]
    Full { bytes: usize },
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The own incarnation. foca has no other way to tell it than in the headers that it writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnIncarnation(Arc<AtomicU64>);

impl OwnIncarnation {
    /// The incarnation of the identity with this renewal: 0 until a header was written for it.
    pub(crate) fn of(&self, renewal: u32) -> u16 {
        let seen = self.0.load(Ordering::Relaxed);
        if seen >> 16 == u64::from(renewal) { u16::try_from(seen & 0xFFFF).unwrap_or(0) } else { 0 }
    }

    fn see(&self, header: &foca::Header<Identity>) {
        let seen = u64::from(header.src.renewal) << 16 | u64::from(header.src_incarnation);
        self.0.store(seen, Ordering::Relaxed);
    }
}

/// foca's view of the bytes above.
#[derive(Debug, Default)]
pub(crate) struct PacketCodec {
    scratch: Vec<u8>,
    own: OwnIncarnation,
}

impl PacketCodec {
    pub(crate) fn new(own: OwnIncarnation) -> Self {
        Self { scratch: Vec::new(), own }
    }

    fn write<T: Encode>(&mut self, value: &T, mut buffer: impl BufMut) -> Result<(), PacketError> {
        self.scratch.clear();
        encode_frame(value, &mut self.scratch);
        if self.scratch.len() > buffer.remaining_mut() {
            return Err(PacketError::Full { bytes: self.scratch.len() });
        }
        buffer.put_slice(&self.scratch);
        Ok(())
    }
}

fn read<T: Decode<()>>(mut buffer: impl Buf) -> Result<T, PacketError> {
    // foca hands over slices, so the chunk is all of it.
    let (value, taken) = decode_front(buffer.chunk())?;
    buffer.advance(taken);
    Ok(value)
}

impl foca::Codec<Identity> for PacketCodec {
    type Error = PacketError;

    fn encode_header(
        &mut self,
        header: &foca::Header<Identity>,
        buf: impl BufMut,
    ) -> Result<(), PacketError> {
        self.own.see(header);
        self.write(&Header::from(header), buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<foca::Header<Identity>, PacketError> {
        read::<Header>(buf).map(foca::Header::from)
    }

    fn encode_member(
        &mut self,
        member: &foca::Member<Identity>,
        buf: impl BufMut,
    ) -> Result<(), PacketError> {
        self.write(&Claim::from(member), buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<foca::Member<Identity>, PacketError> {
        read::<Claim>(buf).map(foca::Member::from)
    }
}

mod convert;

#[cfg(test)]
mod tests;
