//! The producing half of a stream of items: how many its reader has made room for.

use crate::{failure::detached, kept::Kept, parking::Owner};
use mesh_actor::Cancel;
use mesh_proto::credit::Weight;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// Room that every reader has at the start, and keeps making: 32 items and 256 KiB.
pub(crate) const STREAM_WINDOW: Weight = Weight { messages: STREAM_WINDOW_ITEMS as u64, bytes: 256 * 1024 };

/// The items of [`STREAM_WINDOW`].
pub(crate) const STREAM_WINDOW_ITEMS: u32 = 32;

/// One ask that is being handled for a peer: its cancellation, and its stream's room.
#[derive(Debug)]
pub(crate) struct StreamOut {
    pub(crate) cancel: Cancel,
    /// A stream that outlives its reader's connection, and the turn of this reader. Its window is what it keeps.
    kept: Option<(Arc<Kept>, u64)>,
    room: Mutex<Room>,
    granted: Notify,
}

#[derive(Debug)]
struct Room {
    granted: Weight,
    sent: Weight,
}

impl StreamOut {
    pub(crate) fn new(cancel: Cancel) -> Arc<Self> {
        Arc::new(Self::of(cancel, None))
    }

    /// One that is kept for its reader, of whom this is the turn.
    pub(crate) fn of_kept(kept: &Arc<Kept>, turn: u64) -> Arc<Self> {
        Arc::new(Self::of(kept.cancel().clone(), Some((Arc::clone(kept), turn))))
    }

    fn of(cancel: Cancel, kept: Option<(Arc<Kept>, u64)>) -> Self {
        let room = Mutex::new(Room { granted: STREAM_WINDOW, sent: Weight::ZERO });
        Self { cancel, kept, room, granted: Notify::new() }
    }

    /// The reader has made room for `granted` in all. It cannot have read more than was sent.
    pub(crate) fn on_grant(&self, granted: Weight) {
        if let Some((kept, _)) = &self.kept {
            return kept.on_grant(granted);
        }
        let mut room = self.room.lock();
        let most = room.sent.plus(STREAM_WINDOW);
        let granted =
            Weight { messages: granted.messages.min(most.messages), bytes: granted.bytes.min(most.bytes) };
        room.granted = room.granted.max(granted);
        drop(room);
        self.granted.notify_one();
    }

    /// Whether it is kept for this owner, or for nobody.
    pub(crate) fn is_of(&self, owner: Owner) -> bool {
        self.kept.as_ref().is_none_or(|(kept, _)| kept.owner() == owner)
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn withdraw(&self) {
        match &self.kept {
            Some((kept, turn)) => kept.withdraw(*turn),
            None => self.cancel.cancel(),
        }
    }

    /// The asker is away: a stream that can be attached to waits for it, all else is withdrawn.
    pub(crate) fn lost(&self) {
        match &self.kept {
            Some((kept, turn)) => drop(kept.park(*turn)),
            None => self.cancel.cancel(),
        }
    }

    /// The asker leaves, and is told when the stream is kept for it; all else is withdrawn.
    pub(crate) fn leave(&self, here: &str) {
        let Some((kept, turn)) = &self.kept else { return self.cancel.cancel() };
        if let Some(reader) = kept.park(*turn) {
            reader.dismiss(Some(&detached(kept.path(), here)));
        }
    }

    /// Waits until an item of `bytes` fits, and counts it. There is one producer.
    ///
    /// Cancel safe: the item is counted in the moment in which the wait ends.
    pub(crate) async fn reserve(&self, bytes: usize) {
        let item = Weight { messages: 1, bytes: bytes as u64 };
        loop {
            {
                let mut room = self.room.lock();
                let left = room.granted.minus(room.sent);
                // An item heavier than what is left may go when it goes alone: the reader holds one then.
                if left.covers(item) || (left.messages > 0 && left.bytes > 0) {
                    room.sent = room.sent.plus(item);
                    return;
                }
            }
            self.granted.notified().await;
        }
    }
}
