//! Splitting a stream of bytes into frames.

use std::fmt;

use bytes::Bytes;

/// Bytes of the length in front of each frame.
const HEAD_BYTES: usize = 4;

/// A body of up to this size that spans chunks is put together in the reader's own buffer, which is used again and
/// again; a larger one in an allocation of its own, which its receiver may keep.
const CARRY_BYTES_MAX: usize = 4096;

/// Splits chunks of a stream into frames: `length: u32 LE | body`.
///
/// Chunks may begin and end anywhere. What a peer can make the reader hold is bounded twice over: no frame is larger than
/// `frame_bytes_max`, and the buffer for a frame that is not complete grows with the bytes that have *arrived*, never
/// with the length that was claimed, to at most twice that and at most the frame's own length.
///
/// A body within one chunk is lent out where it lies, without a copy or an allocation.
pub struct FrameReader {
    frame_bytes_max: usize,
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    /// Length of the frame whose body has begun, but not ended, in earlier chunks.
    body_len: Option<usize>,
    /// The begun body if it is small. Keeps its capacity.
    carry: Vec<u8>,
    /// The begun body if it is large.
    large: Vec<u8>,
    failed: Option<FrameError>,
}

impl FrameReader {
    /// A reader at the start of a stream that refuses bodies of more than `frame_bytes_max` bytes.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            head: [0; HEAD_BYTES],
            head_filled: 0,
            body_len: None,
            carry: Vec::new(),
            large: Vec::new(),
            failed: None,
        }
    }

    /// Takes the stream's next chunk, and calls `each` for every frame that it completes, in order.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as the length of such a frame was read. The frames before it were delivered;
    /// the stream can't be understood any further, and all later calls fail the same way.
    pub fn feed(&mut self, chunk: &Bytes, mut each: impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let mut at = 0;
        loop {
            let Some(len) = self.body_len else {
                let Some((len, used)) = self.take_head(&chunk[at..])? else {
                    return Ok(());
                };
                at += used;
                if chunk.len() - at >= len {
                    each(Frame { body: Body::Within { chunk, start: at, end: at + len } });
                    at += len;
                } else {
                    self.body_len = Some(len);
                }
                continue;
            };
            at += self.take_body(&chunk[at..], len);
            if self.carry.len().max(self.large.len()) < len {
                return Ok(());
            }
            self.body_len = None;
            if self.large.is_empty() {
                each(Frame { body: Body::Carried(&self.carry) });
                self.carry.clear();
            } else {
                each(Frame { body: Body::Owned(std::mem::take(&mut self.large).into()) });
            }
        }
    }

    /// Checks, at the end of the stream, that it ended between two frames.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when a frame was begun, or the earlier failure of [`feed`](Self::feed).
    pub fn finish(&self) -> Result<(), FrameError> {
        match &self.failed {
            Some(failed) => Err(failed.clone()),
            None if self.head_filled == 0 && self.body_len.is_none() => Ok(()),
            None => Err(FrameError::Truncated),
        }
    }

    /// The next frame's length and how many bytes of `rest` it took; `None` when it is not complete yet.
    #[inline]
    fn take_head(&mut self, rest: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
        // Nearly every head is whole, and is read where it lies.
        let (claimed, used) = match rest.first_chunk() {
            Some(head) if self.head_filled == 0 => (u32::from_le_bytes(*head), HEAD_BYTES),
            _ => match self.gather_head(rest) {
                Some(gathered) => gathered,
                None => return Ok(None),
            },
        };
        match usize::try_from(claimed) {
            Ok(len) if len <= self.frame_bytes_max => Ok(Some((len, used))),
            _ => {
                let failed = FrameError::TooLarge { claimed, frame_bytes_max: self.frame_bytes_max };
                self.failed = Some(failed.clone());
                Err(failed)
            }
        }
    }

    /// A head that came in parts, with how much of `rest` was its last.
    fn gather_head(&mut self, rest: &[u8]) -> Option<(u32, usize)> {
        let used = (HEAD_BYTES - self.head_filled).min(rest.len());
        self.head[self.head_filled..self.head_filled + used].copy_from_slice(&rest[..used]);
        self.head_filled += used;
        if self.head_filled < HEAD_BYTES {
            return None;
        }
        self.head_filled = 0;
        Some((u32::from_le_bytes(self.head), used))
    }

    /// Copies what belongs to the begun body of `len` bytes; gives how much of `rest` that was.
    fn take_body(&mut self, rest: &[u8], len: usize) -> usize {
        let body = if len <= CARRY_BYTES_MAX { &mut self.carry } else { &mut self.large };
        let used = (len - body.len()).min(rest.len());
        let needed = body.len() + used;
        if body.capacity() < needed {
            // Twice what has arrived, so that the cost of moving is constant per byte; exact, so that the end of the
            // body is the end of the allocation and `Bytes` takes it over as it is.
            let target = (2 * needed).min(len.max(body.capacity()));
            body.reserve_exact(target - body.len());
        }
        body.extend_from_slice(&rest[..used]);
        used
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("frame_bytes_max", &self.frame_bytes_max)
            .field("body_len", &self.body_len)
            .field("body_filled", &self.carry.len().max(self.large.len()))
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// One frame's body, lent out for the time of a call.
pub struct Frame<'a> {
    body: Body<'a>,
}

enum Body<'a> {
    Within { chunk: &'a Bytes, start: usize, end: usize },
    Carried(&'a [u8]),
    Owned(Bytes),
}

impl Frame<'_> {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Within { chunk, start, end } => &chunk[*start..*end],
            Body::Carried(body) => body,
            Body::Owned(body) => body,
        }
    }

    /// The body, to keep.
    ///
    /// A large body is handed over without a copy. A small one (up to 4 KiB, or less than half of its chunk) is copied:
    /// as a slice it would pin the whole receive buffer that it came in, up to 64 KiB.
    pub fn into_bytes(self) -> Bytes {
        match self.body {
            Body::Within { chunk, start, end }
                if end - start > CARRY_BYTES_MAX && end - start >= chunk.len() / 2 =>
            {
                chunk.slice(start..end)
            }
            Body::Within { chunk, start, end } => Bytes::copy_from_slice(&chunk[start..end]),
            Body::Carried(body) => Bytes::copy_from_slice(body),
            Body::Owned(body) => body,
        }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.bytes().len()).finish_non_exhaustive()
    }
}

/// Why a stream can't be split into frames: the peer broke the protocol. Reset the stream or close the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame claims to be larger than allowed. Nothing was allocated for it.
    #[error("a frame of {claimed} bytes exceeds the limit of {frame_bytes_max}")]
    TooLarge {
        /// The length that the peer announced.
        claimed: u32,
        /// The reader's limit.
        frame_bytes_max: usize,
    },
    /// The stream ended within a frame. The frames before it are complete.
    #[error("the stream ended within a frame")]
    Truncated,
}

#[cfg(test)]
mod tests;
