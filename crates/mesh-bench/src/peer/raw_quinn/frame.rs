//! Frames of nine bytes and a body: length, kind, id.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::RecvStream;
use tokio::io::AsyncReadExt;

/// Bytes before a body.
pub(super) const HEADER_BYTES: usize = 9;

/// What one read may bring; a reader's buffer stays near twice of this.
const READ_BYTES: usize = 128 << 10;

/// What a frame wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To be counted.
    Tell = 0,
    /// To be sent back.
    Ask = 1,
    /// To be answered with the number of tells handled.
    Count = 2,
    /// Each tell shall take 1 ms from now on.
    SlowDown = 3,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) body_bytes: usize,
    pub(super) kind: Kind,
    pub(super) id: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`, if it is all there.
    ///
    /// # Errors
    /// If the kind is unknown.
    pub(super) fn peek(mut bytes: &[u8]) -> Result<Option<Self>> {
        if bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        let body_bytes = bytes.get_u32_le() as usize;
        let kind = match bytes.get_u8() {
            0 => Kind::Tell,
            1 => Kind::Ask,
            2 => Kind::Count,
            3 => Kind::SlowDown,
            other => bail!("frame of unknown kind {other}"),
        };
        Ok(Some(Self { body_bytes, kind, id: bytes.get_u32_le() }))
    }
}

/// Appends a whole frame.
pub(super) fn put(buffer: &mut BytesMut, kind: Kind, id: u32, body: &[u8]) {
    buffer.reserve(HEADER_BYTES + body.len());
    put_header(buffer, kind, id, body.len());
    buffer.put_slice(body);
}

/// A header alone, for a body that is sent as a chunk of its own.
pub(super) fn header_only(kind: Kind, body_bytes: usize) -> Bytes {
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES);
    put_header(&mut buffer, kind, 0, body_bytes);
    buffer.freeze()
}

fn put_header(buffer: &mut BytesMut, kind: Kind, id: u32, body_bytes: usize) {
    buffer.put_u32_le(u32::try_from(body_bytes).expect("bodies of the bench are a few MiB at most"));
    buffer.put_u8(kind as u8);
    buffer.put_u32_le(id);
}

/// Whole frames out of one stream.
pub(super) struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Waits for more bytes; false once the peer has finished.
    pub(super) async fn fill(&mut self) -> Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Lends the next whole frame that has already arrived to `on_frame`.
    pub(super) fn take<R>(&mut self, on_frame: impl FnOnce(Header, &[u8]) -> R) -> Result<Option<R>> {
        let Some(header) = Header::peek(&self.buffer)? else { return Ok(None) };
        let frame_bytes = HEADER_BYTES + header.body_bytes;
        if self.buffer.len() < frame_bytes {
            return Ok(None);
        }
        let result = on_frame(header, &self.buffer[HEADER_BYTES..frame_bytes]);
        self.buffer.advance(frame_bytes);
        Ok(Some(result))
    }

    /// Waits for a whole frame and returns its body.
    pub(super) async fn next_body(&mut self) -> Result<Bytes> {
        loop {
            if let Some(body) = self.take(|_, body| Bytes::copy_from_slice(body))? {
                return Ok(body);
            }
            ensure!(self.fill().await?, "the stream ended before the reply");
        }
    }
}

/// The number that a [`Kind::Count`] was answered with.
pub(super) fn parse_count(body: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(body.try_into().context("a count is eight bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_an_unfinished_one_waits() {
        let mut buffer = BytesMut::new();
        put(&mut buffer, Kind::Ask, 7, b"hello");
        let header = Header { body_bytes: 5, kind: Kind::Ask, id: 7 };
        assert_eq!(Header::peek(&buffer).unwrap(), Some(header));
        assert_eq!(Header::peek(&buffer[..HEADER_BYTES - 1]).unwrap(), None);
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert!(Header::peek(&[0, 0, 0, 0, 99, 0, 0, 0, 0]).is_err());
    }
}
