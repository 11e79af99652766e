//! Ends a connection that is no longer needed, and loses nothing of what is on it.
//!
//! Each side, once it has begun nothing more for itself, waits for its answers, writes what waits in its lanes and
//! finishes them. Who has read all lanes of the other to their end says so. When both have said it there is nothing left.
//! It is the same whether one connection takes the place of another, a client moves to another node, or a node leaves.

use super::Session;
use mesh_net::{CloseCode, Outbox};
use mesh_proto::frame::{Control, Features, LANES};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How long a connection may take to finish what is in flight on it: 30 s.
pub(crate) const RETIRE: Duration = Duration::from_secs(30);

/// How often a connection that is given up is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How long the lanes of a peer that knows no [`Control::Retire`] are left open for what it sent before it moved.
const GRACE: Duration = Duration::from_millis(500);

/// How far a connection is on the way to its end.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// Nothing new is begun on it.
    has_begun: AtomicBool,
    /// The peer's lanes that were read to their end.
    lanes_read: AtomicU8,
    /// The peer has read all of ours.
    is_read_by_peer: AtomicBool,
    /// Bodies that are being written.
    bodies_out: AtomicUsize,
    /// The peer has said that it leaves.
    is_peer_leaving: AtomicBool,
}

impl Session {
    /// Whether this connection is being given up: what is new takes another.
    pub(crate) fn is_retired(&self) -> bool {
        self.retirement.has_begun.load(Ordering::Acquire)
    }

    /// Gives the connection up in the background; it closes when nothing is in flight on it any more, at the latest
    /// after [`RETIRE`].
    pub(crate) fn retire(self: &Arc<Self>, code: CloseCode, reason: &'static str) {
        if self.begins_to_retire() {
            let session = Arc::clone(self);
            self.spawn(async move { session.finish_and_close(RETIRE, code, reason).await });
        }
    }

    /// As [`retire`](Self::retire), and waits until it is closed: at most `patience`.
    pub(crate) async fn retire_within(self: &Arc<Self>, patience: Duration, code: CloseCode, reason: &str) {
        self.begins_to_retire();
        self.finish_and_close(patience, code, reason).await;
    }

    /// The peer has said that it leaves: it is still there, and another is to be found.
    pub(crate) fn peer_leaves(&self) {
        self.retirement.is_peer_leaving.store(true, Ordering::Release);
    }

    pub(crate) fn is_peer_leaving(&self) -> bool {
        self.retirement.is_peer_leaving.load(Ordering::Acquire)
    }

    /// The peer gives this connection up.
    pub(super) fn on_retire(self: &Arc<Self>) {
        self.retire(CloseCode::Duplicate, "the peer gave this connection up");
    }

    pub(super) fn on_retired(&self) {
        self.retirement.is_read_by_peer.store(true, Ordering::Release);
    }

    pub(super) fn lane_is_read(&self) {
        self.retirement.lanes_read.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a body until it is written.
    pub(super) fn body_goes_out(self: &Arc<Self>) -> impl Drop + Send + use<> {
        self.retirement.bodies_out.fetch_add(1, Ordering::AcqRel);
        BodyOut(Arc::clone(self))
    }

    /// Whether it was not before.
    fn begins_to_retire(&self) -> bool {
        if self.retirement.has_begun.swap(true, Ordering::AcqRel) {
            return false;
        }
        for channel in self.channels.lock().by_number.values() {
            channel.leave();
        }
        true
    }

    async fn finish_and_close(&self, patience: Duration, code: CloseCode, reason: &str) {
        let finishes = async {
            if !self.peer.knows(Features::RETIRES) {
                self.until(|| self.has_all_answers()).await;
                return sleep(GRACE).await;
            }
            self.control(&Control::Retire);
            self.until(|| self.has_all_answers()).await;
            self.lanes.iter().for_each(Outbox::close);
            self.until(|| self.has_read_all()).await;
            self.control(&Control::Retired);
            self.until(|| self.retirement.is_read_by_peer.load(Ordering::Acquire)).await;
        };
        if timeout(patience, finishes).await.is_err() {
            tracing::info!(peer = %self.peer.name, ?patience, "connection is closed with messages in flight");
        }
        self.connection.close(code, reason);
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() && !self.is_closed() {
            sleep(LOOK).await;
        }
    }

    /// Nothing of ours is answered, or sent, any more.
    fn has_all_answers(&self) -> bool {
        self.pending.len() == 0
            && self.retirement.bodies_out.load(Ordering::Acquire) == 0
            && !self.channels.lock().by_number.values().any(|channel| channel.has_line())
    }

    /// What the peer sent is in its mailboxes.
    fn has_read_all(&self) -> bool {
        self.retirement.lanes_read.load(Ordering::Acquire) >= LANES && self.bodies.is_empty()
    }
}

struct BodyOut(Arc<Session>);

impl Drop for BodyOut {
    fn drop(&mut self) {
        self.0.retirement.bodies_out.fetch_sub(1, Ordering::AcqRel);
    }
}
