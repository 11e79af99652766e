//! Frames, as bytes in an outbox.

use super::Unsent;
use mesh_proto::{
    EncodeError,
    frame::{INLINE_BYTES_MAX, MessageHeader},
};
use tokio::time::Instant;

/// Appends `u32 length | …` around what `body` appends.
pub(crate) fn write_frame<R>(buffer: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    let result = body(buffer);
    let length = u32::try_from(buffer.len() - start - 4).unwrap_or(u32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    result
}

/// Writes a whole frame with its payload inside; answers the payload's length.
pub(super) fn write_inline(
    header: &MessageHeader,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    buffer: &mut Vec<u8>,
) -> Result<usize, Unsent> {
    write_frame(buffer, |buffer| {
        header.encode(buffer);
        let start = buffer.len();
        encode(buffer).map_err(Unsent::Encode)?;
        let payload = buffer.len() - start;
        if payload > INLINE_BYTES_MAX { Err(Unsent::Later) } else { Ok(payload) }
    })
}

/// The milliseconds from `now` until `deadline`, for a header; at least one while it lies ahead.
pub(crate) fn budget_ms(deadline: Option<Instant>, now: impl FnOnce() -> Instant) -> u64 {
    deadline.map_or(0, |at| {
        let left = at.saturating_duration_since(now());
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
    })
}
