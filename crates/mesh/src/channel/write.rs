//! Frames, as bytes in an outbox.

use super::Unsent;
use mesh_proto::{
    EncodeError,
    frame::{INLINE_BYTES_MAX, MessageHeader},
};
use std::time::Duration;
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
        encode(buffer).map_err(|error| Unsent::Encode(Box::new(error)))?;
        let payload = buffer.len() - start;
        if payload > INLINE_BYTES_MAX { Err(Unsent::Later) } else { Ok(payload) }
    })
}

/// The milliseconds from `now` until `deadline`, for a header: 0 is no deadline, and one that lies ahead leaves at least
/// one. `None` when it has passed: what is late is not sent.
pub(crate) fn budget_ms(deadline: Option<Instant>, now: impl FnOnce() -> Instant) -> Option<u64> {
    let Some(at) = deadline else { return Some(0) };
    let left = at.saturating_duration_since(now());
    (left > Duration::ZERO).then(|| u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_has_passed_leaves_no_budget() {
        let now = Instant::now();
        let left = |deadline| budget_ms(deadline, || now);
        assert_eq!(left(None), Some(0), "none was set");
        assert_eq!(left(Some(now)), None);
        assert_eq!(left(now.checked_sub(Duration::from_secs(1))), None);
        assert_eq!(left(Some(now + Duration::from_micros(1))), Some(1));
        assert_eq!(left(Some(now + Duration::from_millis(1500))), Some(1500));
    }
}
