//! The bytes that wait for one stream.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::stream::{SendHalf, WriteError};

/// Capacity of a fresh buffer: what the last batch took, within these.
const BUFFER_BYTES_MIN: usize = 512;
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// A bounded buffer in front of one stream, shared by all who send on it.
///
/// Senders append whole frames under a short lock; [`drive`](Self::drive) swaps the buffer out and writes it as one chunk.
/// While a write is under way the next batch gathers, so batches grow with the load and a single frame never waits for
/// others.
///
/// At most `2 * (limit + largest push)` bytes are held: a batch being written and the next one.
pub struct Outbox {
    limit: usize,
    state: Mutex<State>,
    /// Rings for `drive`: there are bytes, or no more will come.
    filled: Notify,
    /// Rings for one waiting sender at a time: there is room. Whoever it wakes passes it on.
    room: Notify,
}

struct State {
    buffer: Vec<u8>,
    is_open: bool,
    /// Senders that wait for room.
    waiting: usize,
    /// The batch that is being written, if one is.
    writing: Option<Batch>,
    batches: u64,
}

/// Bytes that are being written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u64,
    /// Its length.
    pub bytes: usize,
}

impl Outbox {
    /// An empty outbox that refuses pushes while `limit_bytes` or more are waiting.
    ///
    /// The last push accepted may exceed the limit by its own size. 128 KiB serves a lane well: less than the window of
    /// its stream, so that the wait is in one place.
    pub fn new(limit_bytes: usize) -> Self {
        let state = State { buffer: Vec::new(), is_open: true, waiting: 0, writing: None, batches: 0 };
        Self {
            limit: limit_bytes.max(1),
            state: Mutex::new(state),
            filled: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Appends by `append`, if there is room now.
    ///
    /// The buffer that `append` gets holds the frames of others too: only append, whole frames. When it panics, what it
    /// appended is taken back.
    ///
    /// # Errors
    /// [`PushError::Full`] when the limit is reached, [`PushError::Closed`] when nothing will be sent any more; `append`
    /// was not called.
    pub fn try_push<R>(&self, append: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, PushError> {
        let state = self.state.lock();
        if !state.is_open {
            return Err(PushError::Closed);
        }
        if !self.has_room(&state) {
            return Err(PushError::Full);
        }
        Ok(self.append(state, append))
    }

    /// Appends by `append` whether there is room or not: for bytes that are bounded by something else (a credit, one slot
    /// per kind). Otherwise like [`try_push`](Self::try_push).
    ///
    /// # Errors
    /// [`Closed`] when nothing will be sent any more; `append` was not called.
    pub fn push_always<R>(&self, append: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, Closed> {
        let state = self.state.lock();
        if !state.is_open {
            return Err(Closed);
        }
        Ok(self.append(state, append))
    }

    /// Appends by `append` once there is room, behind those who already wait for it.
    ///
    /// # Errors
    /// [`Closed`] when nothing will be sent any more; `append` was not called.
    ///
    /// # Cancel safety
    /// Cancel safe: `append` is called only when this returns, and a wake-up meant for this sender goes to the next.
    pub async fn push<R>(&self, append: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, Closed> {
        let place = {
            let mut state = self.state.lock();
            if !state.is_open {
                return Err(Closed);
            }
            if state.waiting == 0 && self.has_room(&state) {
                return Ok(self.append(state, append));
            }
            Place::take(self, &mut state)
        };
        place.append_in_turn(append).await
    }

    /// Waits until there is room. Somebody else may take it first: [`push`](Self::push) does both in one step.
    ///
    /// # Errors
    /// [`Closed`] when nothing will be sent any more.
    ///
    /// # Cancel safety
    /// Cancel safe: a wake-up meant for this sender goes to the next.
    pub async fn room(&self) -> Result<(), Closed> {
        // Appending nothing passes the wake-up on at once: this caller may never push, and nobody shall wait for it.
        self.push(|_| ()).await
    }

    /// Bytes that wait, without those being written.
    pub fn len(&self) -> usize {
        self.state.lock().buffer.len()
    }

    /// The batch that is being written; `None` when all is written. A batch that stays the same for long is one that the
    /// peer does not read.
    pub fn writing(&self) -> Option<Batch> {
        self.state.lock().writing
    }

    /// Whether no bytes wait.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Accepts no more. What waits is still written, and then the stream is finished.
    pub fn close(&self) {
        self.state.lock().is_open = false;
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// Whether pushes are refused for ever: after [`close`](Self::close), or when the stream failed.
    pub fn is_closed(&self) -> bool {
        !self.state.lock().is_open
    }

    /// Writes what is pushed to `stream`, until the outbox is closed and empty (then the stream is finished) or the
    /// stream fails.
    ///
    /// One task at a time may drive an outbox. However it ends, the outbox is closed afterwards and waiting senders are
    /// told; bytes that were not written are dropped.
    ///
    /// # Errors
    /// [`WriteError`] when the peer stopped the stream or the connection ended, noticed also while nothing is written.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping it resets the stream and closes the outbox.
    pub async fn drive(&self, mut stream: SendHalf) -> Result<(), WriteError> {
        let _closes = CloseOnDrop(self);
        let mut stopped = pin!(stream.stopped());
        loop {
            match self.take() {
                Taken::Batch(batch) => stream.write_chunk(batch).await?,
                Taken::End => {
                    stream.finish();
                    return Ok(());
                }
                Taken::Nothing => tokio::select! {
                    () = self.filled.notified() => {}
                    error = &mut stopped => return Err(error),
                },
            }
        }
    }

    fn take(&self) -> Taken {
        let mut state = self.state.lock();
        state.writing = None;
        if state.buffer.is_empty() {
            return if state.is_open { Taken::Nothing } else { Taken::End };
        }
        let capacity = state.buffer.len().clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        let batch = std::mem::replace(&mut state.buffer, Vec::with_capacity(capacity));
        state.batches += 1;
        state.writing = Some(Batch { number: state.batches, bytes: batch.len() });
        let has_waiting = state.waiting > 0;
        drop(state);
        if has_waiting {
            self.room.notify_one();
        }
        Taken::Batch(batch.into())
    }

    fn append<R>(&self, mut state: MutexGuard<'_, State>, append: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let was_empty = state.buffer.is_empty();
        let mut taken_back = TakeBack { to: state.buffer.len(), buffer: &mut state.buffer };
        let result = append(taken_back.buffer);
        taken_back.to = taken_back.buffer.len();
        drop(taken_back);
        let is_first = was_empty && !state.buffer.is_empty();
        let is_others_turn = state.waiting > 0 && self.has_room(&state);
        drop(state);
        if is_first {
            self.filled.notify_one();
        }
        if is_others_turn {
            self.room.notify_one();
        }
        result
    }

    fn has_room(&self, state: &State) -> bool {
        state.buffer.len() < self.limit
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Outbox")
            .field("limit", &self.limit)
            .field("len", &state.buffer.len())
            .field("waiting", &state.waiting)
            .field("is_open", &state.is_open)
            .finish()
    }
}

enum Taken {
    Batch(Bytes),
    Nothing,
    End,
}

/// Shortens the buffer to `to` when dropped: an encoder that panics halfway must not leave half a frame among the
/// frames of others.
struct TakeBack<'a> {
    buffer: &'a mut Vec<u8>,
    to: usize,
}

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.to);
    }
}

/// A place in the line of senders that wait for room.
///
/// While there is room and somebody waits, a wake-up is on its way to the head of the line: `take` (by the driver) sends
/// one, and every append that leaves room sends the next. `Notify` keeps a wake-up that finds nobody registered yet, and
/// hands on one whose receiver is dropped, so none is lost.
struct Place<'a> {
    outbox: &'a Outbox,
    is_left: bool,
}

impl<'a> Place<'a> {
    fn take(outbox: &'a Outbox, state: &mut State) -> Self {
        state.waiting += 1;
        Self { outbox, is_left: false }
    }

    async fn append_in_turn<R>(mut self, append: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, Closed> {
        let outbox = self.outbox;
        loop {
            let mut turn = pin!(outbox.room.notified());
            if !turn.as_mut().enable() {
                // Registered by now, so a close after this check wakes us.
                if outbox.is_closed() {
                    return Err(Closed);
                }
                turn.await;
            }
            let mut state = outbox.state.lock();
            if !state.is_open {
                return Err(Closed);
            }
            if outbox.has_room(&state) {
                state.waiting -= 1;
                self.is_left = true;
                return Ok(outbox.append(state, append));
            }
            // A `try_push` was quicker: back to the end of the line.
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_left {
            self.outbox.state.lock().waiting -= 1;
        }
    }
}

/// Ends an outbox whose driver is gone: nobody will ever write its bytes.
struct CloseOnDrop<'a>(&'a Outbox);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.lock().buffer = Vec::new();
        self.0.close();
    }
}

/// Why bytes were not accepted for sending. They were not appended, so nothing of them was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// As many bytes wait as may. Wait for [`Outbox::room`], or shed load.
    #[error("the outbox is full")]
    Full,
    /// The outbox was closed, or its stream failed.
    #[error("the outbox is closed")]
    Closed,
}

/// The outbox was closed, or its stream failed: nothing will be sent any more, and nothing of the push was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is closed")]
pub struct Closed;

#[cfg(test)]
mod tests;
