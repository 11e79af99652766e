//! The one file that encodes and decodes by bincode. (Headers of messages have the same bytes, from
//! [`crate::frame`]'s own few lines.)
//!
//! bincode 2.0.1 is complete and unmaintained (RUSTSEC-2025-0141), so it is pinned, kept behind the
//! version byte of every stream's preamble, and wrapped by rules against what it allows:
//!
//! - a length claim allocates before a byte is read: every decode has a byte limit;
//! - it counts what it reads, not what that becomes: elements are paid for by their size in memory ([`Bounded`]);
//! - `Vec<()>` of 2^32 spins even under a limit: no zero-size element in a wire type;
//! - a recursive type overflows the stack: no recursive wire type;
//! - trailing bytes pass: what was consumed must be what was given.

mod bounded;

pub use bounded::Bounded;

use crate::frame::CONTROL_BYTES_MAX;
use bincode::{Decode, Encode, config};
use serde::{Serialize, de::DeserializeOwned};

/// Most bytes that decoding one payload may claim, collections included: 32 MiB.
pub const DECODE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most bytes that decoding one frame of ours may claim, whatever it says: twice the longest control frame.
const FRAME_DECODE_BYTES_MAX: usize = 2 * CONTROL_BYTES_MAX;

type Limited<const BYTES: usize> =
    config::Configuration<config::LittleEndian, config::Varint, config::Limit<BYTES>>;

const FRAME: Limited<FRAME_DECODE_BYTES_MAX> = config::standard().with_limit::<FRAME_DECODE_BYTES_MAX>();
const PAYLOAD: Limited<DECODE_BYTES_MAX> = config::standard().with_limit::<DECODE_BYTES_MAX>();

/// Why bytes were not a value. The sender is at fault; nothing was changed by the attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end early, claim too much, or hold a tag that no version of ours writes.
    #[error("bytes are not a {what}: {reason}")]
    Malformed {
        /// The type that was expected.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The bytes say that they are a variant that this version does not know.
    #[error("{found} is no {what} that this version knows")]
    Unknown {
        /// The type that was expected.
        what: &'static str,
        /// The variant's number.
        found: u32,
    },
    /// The value ended before the bytes did.
    #[error("{extra} bytes follow a complete {what}")]
    Trailing {
        /// The type that was expected.
        what: &'static str,
        /// How many bytes were left.
        extra: usize,
    },
}

/// Why a value has no bytes: its own serde implementation refused. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be encoded: {reason}")]
pub struct EncodeError {
    /// What the encoder said.
    pub reason: String,
}

impl EncodeError {
    fn new(error: bincode::error::EncodeError) -> Self {
        let reason = match error {
            bincode::error::EncodeError::OtherString(reason) => reason,
            other => other.to_string(),
        };
        Self { reason }
    }
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// [`DecodeError::Malformed`] when the bytes are no such value, [`DecodeError::Trailing`] when some are left.
pub fn decode_frame<T: Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, taken) = bincode::decode_from_slice(bytes, FRAME).map_err(|error| malformed::<T>(&error))?;
    exactly::<T>(taken, bytes.len())?;
    Ok(value)
}

/// Decodes a value from the front of `bytes`; answers it and how many bytes it took. The caller holds the rest to account.
pub(crate) fn decode_front<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    bincode::decode_from_slice(bytes, FRAME).map_err(|error| malformed::<T>(&error))
}

/// Decodes a message's payload, which fills `bytes` exactly, by its serde implementation.
///
/// # Errors
/// As [`decode_frame`].
#[inline]
pub fn decode_payload<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bincode::serde::decode_from_slice(bytes, PAYLOAD) {
        Ok((Bounded(value), taken)) if taken == bytes.len() => Ok(value),
        Ok((_, taken)) => Err(trailing::<T>(taken, bytes.len())),
        Err(error) => Err(malformed::<T>(&error)),
    }
}

/// Appends the bytes of a frame's header, or of a whole control frame, to `buffer`.
///
/// # Panics
/// Never: our frames hold nothing that cannot be encoded, and the buffer grows.
pub fn encode_frame<T: Encode>(value: &T, buffer: &mut Vec<u8>) {
    bincode::encode_into_writer(value, Append(buffer), FRAME).expect("a frame of ours has only plain fields");
}

/// Appends the bytes of a message's payload to `buffer`, by its serde implementation.
///
/// # Errors
/// [`EncodeError`] when the type's own serde implementation refuses; `buffer` is then as it was.
#[inline]
pub fn encode_payload<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = buffer.len();
    let written = bincode::serde::encode_into_writer(value, Append(buffer), PAYLOAD);
    written.map_err(|error| {
        buffer.truncate(before);
        EncodeError::new(error)
    })
}

/// The bytes of a message's payload in a buffer of their own.
///
/// # Errors
/// As [`encode_payload`].
pub fn encode_payload_to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    bincode::serde::encode_to_vec(value, PAYLOAD).map_err(EncodeError::new)
}

struct Append<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Append<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl DecodeError {
    pub(crate) fn malformed<T>(reason: &str) -> Self {
        Self::Malformed { what: name_of::<T>(), reason: reason.to_owned() }
    }
}

#[cold]
fn malformed<T>(error: &bincode::error::DecodeError) -> DecodeError {
    if let bincode::error::DecodeError::UnexpectedVariant { type_name, found, .. } = error
        && *type_name == name_of::<T>()
    {
        return DecodeError::Unknown { what: name_of::<T>(), found: *found };
    }
    DecodeError::malformed::<T>(&error.to_string())
}

fn exactly<T>(taken: usize, given: usize) -> Result<(), DecodeError> {
    if taken == given { Ok(()) } else { Err(trailing::<T>(taken, given)) }
}

#[cold]
fn trailing<T>(taken: usize, given: usize) -> DecodeError {
    DecodeError::Trailing { what: name_of::<T>(), extra: given - taken }
}

fn name_of<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    full.rsplit("::").next().unwrap_or(full)
}

#[cfg(test)]
mod tests;
