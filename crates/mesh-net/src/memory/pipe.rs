//! The two ends of one stream in memory.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::end::Handle;
use super::link::{LinkState, PipeEnd, Side};
use crate::stream::{ABANDONED, ReadError, WriteError};

pub(crate) struct PipeWriter {
    handle: Arc<Handle>,
    id: u64,
}

impl PipeWriter {
    pub(super) fn new(handle: Arc<Handle>, id: u64) -> Self {
        Self { handle, id }
    }

    pub(crate) async fn write_all(&mut self, chunks: &mut [Bytes]) -> Result<(), WriteError> {
        for chunk in chunks {
            while !chunk.is_empty() {
                let written = self.handle.link.until(|state| self.write_some(state, chunk)).await?;
                debug_assert!(written > 0, "a write that is ready has written");
            }
        }
        Ok(())
    }

    fn write_some(&self, state: &mut LinkState, chunk: &mut Bytes) -> Poll<Result<usize, WriteError>> {
        let config = &self.handle.link.config;
        let (stream_window, connection_window) = (size(config.stream_window), size(config.connection_window));
        if let Some(error) = write_failure(state, self.handle.side, self.id) {
            return Poll::Ready(Err(error));
        }
        let end = state.end(self.handle.side);
        let pipe = end.outgoing.get_mut(&self.id).expect("kept until its writer is done");
        let window = (stream_window - pipe.unread).min(connection_window - end.unread);
        if window == 0 {
            return Poll::Pending;
        }
        let part = chunk.split_to(window.min(chunk.len()));
        let written = part.len();
        pipe.unread += written;
        end.unread += written;
        pipe.is_used = true;
        pipe.in_flight.push_back(part);
        Poll::Ready(Ok(written))
    }

    pub(crate) fn finish(&mut self) {
        self.end(PipeEnd::Finished);
    }

    pub(crate) fn reset(&mut self, code: u32) {
        self.end(PipeEnd::Reset(code));
    }

    fn end(&mut self, end: PipeEnd) {
        self.handle.link.update(|state| {
            let outgoing = &mut state.end(self.handle.side).outgoing;
            let pipe = outgoing.get_mut(&self.id).expect("kept until its writer is done");
            pipe.end = Some(end);
            pipe.is_used = true;
            pipe.is_writer_done = true;
        });
    }

    pub(crate) fn stopped(&self) -> impl Future<Output = WriteError> + Send + use<> {
        let (handle, id) = (self.handle.clone(), self.id);
        async move {
            let failure = |state: &mut LinkState| write_failure(state, handle.side, id);
            handle.link.until(|state| failure(state).map_or(Poll::Pending, Poll::Ready)).await
        }
    }
}

fn write_failure(state: &mut LinkState, side: Side, id: u64) -> Option<WriteError> {
    let end = state.end(side);
    if let Some(reason) = &end.closed {
        return Some(WriteError::Closed(reason.clone()));
    }
    match end.outgoing.get(&id) {
        Some(pipe) if pipe.has_stop_arrived => {
            Some(WriteError::Stopped { code: pipe.stopped.unwrap_or(ABANDONED) })
        }
        Some(_) => None,
        // Read to its end.
        None => Some(WriteError::Stopped { code: ABANDONED }),
    }
}

pub(crate) struct PipeReader {
    handle: Arc<Handle>,
    id: u64,
}

impl PipeReader {
    pub(super) fn new(handle: Arc<Handle>, id: u64) -> Self {
        Self { handle, id }
    }

    pub(crate) async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, ReadError> {
        if chunks.is_empty() {
            return Ok(Some(0));
        }
        self.handle.link.until(|state| self.read_some(state, chunks)).await
    }

    fn read_some(
        &self,
        state: &mut LinkState,
        chunks: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, ReadError>> {
        let writer = self.handle.side.other();
        let closed = state.end(self.handle.side).closed.clone();
        let end = state.end(writer);
        let Some(pipe) = end.outgoing.get_mut(&self.id) else {
            // The end was read before, and the writer is gone.
            return Poll::Ready(closed.map_or(Ok(None), |reason| Err(ReadError::Closed(reason))));
        };
        if let Some(reason) = closed {
            return Poll::Ready(Err(ReadError::Closed(reason)));
        }
        let end_code = pipe.end.filter(|_| pipe.has_end_arrived);
        if let Some(PipeEnd::Reset(code)) = end_code {
            pipe.is_reader_done = true;
            return Poll::Ready(Err(ReadError::Reset { code }));
        }
        let read = chunks.len().min(pipe.arrived.len());
        if read > 0 {
            for (slot, chunk) in chunks.iter_mut().zip(pipe.arrived.drain(..read)) {
                pipe.unread -= chunk.len();
                end.unread -= chunk.len();
                *slot = chunk;
            }
            return Poll::Ready(Ok(Some(read)));
        }
        if end_code == Some(PipeEnd::Finished) {
            pipe.is_reader_done = true;
            return Poll::Ready(Ok(None));
        }
        Poll::Pending
    }

    pub(crate) fn stop(&mut self, code: u32) {
        self.handle.link.update(|state| {
            let end = state.end(self.handle.side.other());
            // It is gone when both sides are done with it.
            let Some(pipe) = end.outgoing.get_mut(&self.id) else { return };
            if !pipe.is_reader_done {
                pipe.is_reader_done = true;
                pipe.stopped = Some(code);
            }
        });
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.stop(ABANDONED);
    }
}

fn size(window: u32) -> usize {
    usize::try_from(window).expect("usize has at least 32 bits")
}
