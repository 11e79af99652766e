//! Replies that their asker has not read.
//!
//! Credit bounds what a peer may send, and nothing bounds how large the replies to it are. A peer that asks and does not
//! read would make this node hold them all: so its lanes are read no further while many wait, beyond that
//! replies are dropped, and their askers told, and at last the peer is cut off. Whoever speaks this protocol reads
//! replies as they come: what waits then are its own askers.

use super::{Session, body::slowest};
use mesh_net::Batch;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Bytes that may wait before the peer's lanes are read no further: 32 MiB.
const HELD_BACK_BYTES: usize = 32 * 1024 * 1024;

/// Bytes that may wait at all: 64 MiB.
pub(super) const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the peer may leave the replies alone that are being written to it: 30 s, and what they take at the least rate.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);

impl Session {
    /// Cuts a peer off that reads no replies.
    pub(super) async fn watch_reader(self: Arc<Self>) {
        let mut seen: Option<(Batch, Instant)> = None;
        loop {
            sleep(LOOK).await;
            let Some(batch) = self.replies.writing() else {
                seen = None;
                continue;
            };
            match seen {
                Some((known, since)) if known == batch => {
                    if since.elapsed() >= IDLE_MAX + slowest(batch.bytes) {
                        return self.violation("reads no replies");
                    }
                }
                _ => seen = Some((batch, Instant::now())),
            }
        }
    }
}

/// The bytes of one peer's large replies that it has not read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    bytes: AtomicUsize,
    fell: Notify,
}

/// A reply's part of them; it ends with the reply's way, however that ends.
#[derive(Debug)]
pub(crate) struct Claim {
    of: Arc<Unread>,
    bytes: usize,
}

impl Unread {
    /// Counts a reply, or refuses it.
    pub(super) fn claim(self: &Arc<Self>, bytes: usize) -> Option<Claim> {
        let fits = |before: usize| before.checked_add(bytes).filter(|&after| after <= UNREAD_BYTES_MAX);
        self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).ok()?;
        Some(Claim { of: Arc::clone(self), bytes })
    }

    /// Waits until the peer has read enough for its next messages to be looked at.
    ///
    /// Cancel safe.
    pub(super) async fn room(&self) {
        loop {
            let fell = self.fell.notified();
            tokio::pin!(fell);
            fell.as_mut().enable();
            if self.bytes.load(Ordering::Acquire) < HELD_BACK_BYTES {
                return;
            }
            fell.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.of.fell.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_held_back_and_then_refused() {
        let unread = Arc::new(Unread::default());
        unread.room().await;
        let first = unread.claim(31 * MIB).unwrap();
        unread.room().await;
        let second = unread.claim(MIB).unwrap();
        let mut room = Box::pin(unread.room());
        assert!(poll!(&mut room).is_pending(), "its messages wait");
        let third = unread.claim(32 * MIB).unwrap();
        assert!(unread.claim(1).is_none(), "not a byte more");
        drop(third);
        assert!(poll!(&mut room).is_pending());
        drop(second);
        assert!(poll!(&mut room).is_ready());
        drop(first);
        assert_eq!(unread.bytes.load(Ordering::Acquire), 0);
    }
}
