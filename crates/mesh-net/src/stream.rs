//! The two halves of a one-way stream.

use std::fmt;

use bytes::Bytes;
use quinn::VarInt;

use crate::close::CloseReason;
use crate::memory::{PipeReader, PipeWriter};
use crate::quic::{read_error, write_error};

/// The reset and stop code of a half that was dropped before its end.
pub const ABANDONED: u32 = 0;

/// The writing half of a one-way, ordered stream of bytes.
///
/// **Dropping it before [`finish`](Self::finish) resets the stream**, so that the reader can never take a half-written
/// frame for the end of a complete stream. (quinn's own `SendStream` finishes when dropped.)
///
/// The peer learns of the stream with the first bytes written, the finish or the reset, not when it is opened.
pub struct SendHalf {
    kind: SendKind,
    finished: bool,
}

pub(crate) enum SendKind {
    Quic(quinn::SendStream),
    Memory(PipeWriter),
}

impl SendHalf {
    pub(crate) fn new(kind: SendKind) -> Self {
        Self { kind, finished: false }
    }

    /// Writes the whole chunk, waiting for the peer's window as often as needed.
    ///
    /// Without a deadline of its own: a peer that lives but does not read keeps it waiting. Use it where that wait is
    /// the backpressure (an [`Outbox`](crate::Outbox)) or under a timeout.
    ///
    /// # Errors
    /// [`WriteError`]; the stream can't be used any further.
    ///
    /// # Cancel safety
    /// Not cancel safe: part of the chunk may have been written. Drop the half then.
    pub async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        self.write_chunks(&mut [chunk]).await
    }

    /// Writes all the chunks in their order, and leaves each of them empty; otherwise like
    /// [`write_chunk`](Self::write_chunk).
    ///
    /// # Errors
    /// [`WriteError`]; the stream can't be used any further.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was written was removed from `chunks`, but nothing says how much of it was sent.
    pub async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> Result<(), WriteError> {
        match &mut self.kind {
            SendKind::Quic(stream) => stream.write_all_chunks(chunks).await.map_err(write_error),
            SendKind::Memory(pipe) => pipe.write_all(chunks).await,
        }
    }

    /// Marks the end: the reader gets everything written and then `None`.
    ///
    /// Returns at once; what was written is still on its way. Only an answer of the peer tells that it arrived.
    pub fn finish(mut self) {
        self.finished = true;
        match &mut self.kind {
            // quinn fails here only for a stream that was already finished or reset, which consuming `self` excludes.
            SendKind::Quic(stream) => drop(stream.finish()),
            SendKind::Memory(pipe) => pipe.finish(),
        }
    }

    /// Gives the stream up: the reader gets [`ReadError::Reset`] with `code`, and bytes in flight are lost.
    pub fn reset(mut self, code: u32) {
        self.reset_now(code);
    }

    /// Waits until nothing written will be read any more: the peer stopped the stream, or the connection is gone.
    ///
    /// The future borrows nothing, so that it can be waited for beside a write.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub fn stopped(&self) -> impl Future<Output = WriteError> + Send + use<> {
        enum Stopped<Q, M> {
            Quic(Q),
            Memory(M),
        }
        let stopped = match &self.kind {
            SendKind::Quic(stream) => Stopped::Quic(stream.stopped()),
            SendKind::Memory(pipe) => Stopped::Memory(pipe.stopped()),
        };
        async move {
            match stopped {
                Stopped::Quic(stopped) => stop_error(stopped.await),
                Stopped::Memory(stopped) => stopped.await,
            }
        }
    }

    fn reset_now(&mut self, code: u32) {
        self.finished = true;
        match &mut self.kind {
            // Fails only when the stream is over anyway.
            SendKind::Quic(stream) => drop(stream.reset(VarInt::from(code))),
            SendKind::Memory(pipe) => pipe.reset(code),
        }
    }
}

fn stop_error(stopped: Result<Option<VarInt>, quinn::StoppedError>) -> WriteError {
    match stopped {
        Ok(Some(code)) => WriteError::Stopped { code: crate::quic::code(code) },
        Ok(None) => WriteError::Stopped { code: ABANDONED },
        Err(quinn::StoppedError::ConnectionLost(lost)) => WriteError::Closed(crate::quic::close_reason(lost)),
        Err(other @ quinn::StoppedError::ZeroRttRejected) => {
            WriteError::Closed(CloseReason::Transport(other.to_string()))
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.finished {
            self.reset_now(ABANDONED);
        }
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHalf").field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// The reading half of a one-way, ordered stream of bytes.
///
/// Dropping it tells the writer to stop ([`WriteError::Stopped`] with [`ABANDONED`]).
pub struct RecvHalf {
    kind: RecvKind,
}

pub(crate) enum RecvKind {
    Quic(quinn::RecvStream),
    Memory(PipeReader),
}

impl RecvHalf {
    pub(crate) fn new(kind: RecvKind) -> Self {
        Self { kind }
    }

    /// Waits for bytes and fills the front of `chunks` with them, in order; gives how many entries it filled.
    ///
    /// `None` is the end that the writer marked. Chunks are slices of received datagrams (zero-copy), with bounds that
    /// mean nothing: split them with a [`FrameReader`](crate::FrameReader). A chunk that is kept pins a receive buffer
    /// of up to 64 KiB, so copy small parts out.
    ///
    /// # Errors
    /// [`ReadError`]; everything written before a reset may or may not have been read.
    ///
    /// # Cancel safety
    /// Cancel safe: no byte is lost.
    pub async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        match &mut self.kind {
            RecvKind::Quic(stream) => stream.read_chunks(chunks).await.map_err(read_error),
            RecvKind::Memory(pipe) => pipe.read_chunks(chunks).await,
        }
    }

    /// Refuses the rest of the stream: the writer gets [`WriteError::Stopped`] with `code`.
    pub fn stop(mut self, code: u32) {
        match &mut self.kind {
            // Fails only when the stream is over anyway.
            RecvKind::Quic(stream) => drop(stream.stop(VarInt::from(code))),
            RecvKind::Memory(pipe) => pipe.stop(code),
        }
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvHalf").finish_non_exhaustive()
    }
}

/// Why bytes could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The reader refused the rest, or dropped its half. The connection is fine; some bytes may have been read.
    #[error("the peer stopped the stream with code {code}")]
    Stopped {
        /// The reader's code, or [`ABANDONED`].
        code: u32,
    },
    /// The connection is over. What had been written may or may not have been read.
    #[error("the connection is closed")]
    Closed(#[source] CloseReason),
}

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The writer gave the stream up, or dropped its half before the end. What was read so far is incomplete.
    #[error("the peer reset the stream with code {code}")]
    Reset {
        /// The writer's code, or [`ABANDONED`].
        code: u32,
    },
    /// The connection is over before the stream was. What was read so far is incomplete.
    #[error("the connection is closed")]
    Closed(#[source] CloseReason),
}
