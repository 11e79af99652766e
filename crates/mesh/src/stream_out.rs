//! The producing half of a stream of items: how many its reader has made room for.

use mesh_actor::Cancel;
use mesh_proto::credit::Weight;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// Room that every reader has at the start, and keeps making: 32 items and 256 KiB.
pub(crate) const STREAM_WINDOW: Weight = Weight { messages: 32, bytes: 256 * 1024 };

/// One ask that is being handled for a peer: its cancellation, and its stream's room.
#[derive(Debug)]
pub(crate) struct StreamOut {
    pub(crate) cancel: Cancel,
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
        let room = Mutex::new(Room { granted: STREAM_WINDOW, sent: Weight::ZERO });
        Arc::new(Self { cancel, room, granted: Notify::new() })
    }

    /// The reader has made room for `granted` in all.
    pub(crate) fn on_grant(&self, granted: Weight) {
        let mut room = self.room.lock();
        room.granted = room.granted.max(granted);
        drop(room);
        self.granted.notify_one();
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
