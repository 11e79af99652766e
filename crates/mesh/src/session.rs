//! One connection to one peer, from the hello to its end.
//!
//! ```text
//!  Channel ─► lane outbox ═► lane reader ─► Inlet ─► mailbox        messages
//!  Pending ◄─ reply reader ◄═ reply outbox ◄─ Owed reply            replies, failures, items
//!      control outbox ═► control reader                             channels, credit, members, names
//! ```
//!
//! What one connection may hold here, above its transport ([`mesh_net::TransportConfig`]):
//!
//! | what | bytes at most |
//! |---|---|
//! | messages that wait for their lane | 8 × 128 KiB, and one message each |
//! | replies that wait for their stream | 1 MiB, then the peer's lanes are read no further |
//! | large replies that the peer does not read | 64 MiB, then they fail |
//! | control frames that wait | 8 MiB, then the peer is cut off |
//! | messages that have come | what was lent of the actors' mailboxes |
//! | channels that the peer has opened | 65,536 × about 500 |
//! | bodies whose header or stream has not come | 65,536 × about 100 |
//!
//! When the connection ends everything that hangs on it ends too: asks in flight fail as `UNREACHABLE` (they
//! may have run), channels close, room that was set aside for the peer is free again.

use crate::{
    channel::{Channel, write_frame},
    inlet::Inlet,
    parking::Owner,
    pending::{Answer, Pending, Waiter},
    shared::Shared,
    tasks::Tasks,
};
use bytes::Bytes;
use mesh_actor::AskError;
use mesh_net::{CloseCode, CloseReason, Connection, Credential, Outbox};
use mesh_proto::{
    EncodeError, Failure, encode_frame,
    frame::{Body, Control, Features, LANES, Outcome},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

mod body;
mod burst;
mod control;
mod guest;
mod hello;
mod lane;
mod loss;
mod origin;
mod peer;
mod reply;
mod retire;
mod running;
mod streams;
mod unread;
mod withdrawn;

pub use hello::HelloError;
pub(crate) use peer::Peer;
use running::{Running, has_left};
use withdrawn::Withdrawn;

/// Bytes that wait in front of a lane before its senders wait: 128 KiB.
const LANE_OUTBOX_BYTES: usize = 128 * 1024;

/// Bytes of replies that wait before the peer's lanes are read no further: 1 MiB. A peer that does not read its
/// replies stops being served, and nobody else notices.
const REPLY_OUTBOX_BYTES: usize = 1024 * 1024;

/// Bytes of control frames that may wait. They are few and small: what does not fit is a peer that reads nothing.
const CONTROL_OUTBOX_BYTES: usize = 8 * 1024 * 1024;

/// One connection with its streams.
pub(crate) struct Session {
    shared: Arc<Shared>,
    peer: Peer,
    is_dialled: bool,
    connection: Connection,
    control: Outbox,
    lanes: [Outbox; LANES as usize],
    replies: Outbox,
    pending: Pending,
    channels: Mutex<Channels>,
    inlets: Mutex<HashMap<u32, Arc<Inlet>>>,
    running: Mutex<HashMap<u64, Running>>,
    withdrawn: Withdrawn,
    /// Streams whose readers went away for now, before they began.
    detached: Withdrawn,
    closed_with: OnceLock<CloseCode>,
    bodies: body::Bodies,
    unread: Arc<unread::Unread>,
    next_body: AtomicU64,
    retirement: retire::Retirement,
    is_closed: AtomicBool,
    /// Whether many control frames are being sent.
    is_bursting: AtomicBool,
    tasks: Tasks,
    me: Weak<Self>,
}

#[derive(Default)]
struct Channels {
    by_path: HashMap<String, Arc<Channel>>,
    by_number: HashMap<u32, Arc<Channel>>,
    last: u32,
}

impl Session {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What the peer's certificate says.
    pub(crate) fn credential(&self) -> &Credential {
        self.connection.credential()
    }

    pub(crate) fn is_dialled(&self) -> bool {
        self.is_dialled
    }

    /// Where the peer accepts connections, as it says.
    pub(crate) fn listens(&self) -> &str {
        &self.peer.listens
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether the connection has ended; what hangs on it may still be ending.
    pub(crate) fn is_over(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Waits until the connection has ended.
    ///
    /// Cancel safe.
    pub(crate) async fn closes(&self) {
        self.connection.closed().await;
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.connection.remote_addr()
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    pub(crate) fn lane(&self, lane: u8) -> &Outbox {
        &self.lanes[usize::from(lane)]
    }

    /// Sends a control frame, if the peer knows it. They are bounded by what they are about: a peer that lets them pile up is
    /// cut off.
    pub(crate) fn control(&self, frame: &Control) {
        if !self.peer.knows(frame.needs()) {
            return tracing::debug!(peer = %self.peer.name, ?frame, "peer does not know this frame");
        }
        let waiting = self.control.push_always(|buffer| {
            write_frame(buffer, |buffer| encode_frame(frame, buffer));
            buffer.len()
        });
        if waiting.is_ok_and(|bytes| bytes > CONTROL_OUTBOX_BYTES) {
            self.violation("reads no control frames");
        }
    }

    /// Sends a datagram of membership, which may be lost.
    pub(crate) fn datagram(&self, bytes: Bytes) {
        if self.peer.knows(Features::SWIM) {
            self.connection.send_datagram(bytes);
        }
    }

    /// Starts a task that ends with this session.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// The channel to the actor at `path`, opened now if there is none yet.
    pub(crate) fn channel(self: &Arc<Self>, path: &str) -> Arc<Channel> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.by_path.get(path).filter(|channel| !channel.is_left()) {
            return Arc::clone(channel);
        }
        channels.last += 1;
        let number = channels.last;
        let channel = Channel::new(Arc::clone(self), number, path);
        // Looked at under the lock that the session's end takes after it has said that it is over.
        if self.is_closed() {
            drop(channels);
            channel.on_closed(&self.unreachable_failure(false));
            return channel;
        }
        channels.by_path.insert(path.to_owned(), Arc::clone(&channel));
        channels.by_number.insert(number, Arc::clone(&channel));
        drop(channels);
        self.control(&Control::Open { channel: number, path: path.to_owned() });
        channel
    }

    /// New messages for `path` look for another way: it leads elsewhere by now.
    pub(crate) fn leave_channel(&self, path: &str) {
        let channel = self.channels.lock().by_path.get(path).cloned();
        if let Some(channel) = channel {
            channel.leave();
        }
    }

    /// As [`Self::leave_channel`], for every path that is a bare name.
    pub(crate) fn leave_names(&self) {
        let channels = self.channels.lock();
        for (_, channel) in channels.by_path.iter().filter(|(path, _)| !path.contains('/')) {
            channel.leave();
        }
    }

    /// Sends a message's payload on a stream of its own; the answer goes into the header that stands for it.
    pub(crate) fn send_body(&self, payload: Bytes) -> Body {
        self.send_body_held(payload, None)
    }

    fn send_body_held(&self, payload: Bytes, claim: Option<unread::Claim>) -> Body {
        let number = self.next_body.fetch_add(1, Ordering::Relaxed);
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if let Some(session) = self.me.upgrade() {
            let goes_out = session.body_goes_out();
            self.spawn(async move {
                session.write_body(number, payload).await;
                drop((claim, goes_out));
            });
        }
        Body { number, bytes }
    }

    /// Notes which ask of ours works for an ask of the peer.
    pub(crate) fn relays_to(&self, theirs: u64, to: &Arc<Self>, ours: u64, keeps: bool) {
        let relayed = Running::Relayed { to: Arc::clone(to), correlation: ours, keeps };
        self.running.lock().insert(theirs, relayed);
        // In this order: a withdrawal that comes now finds the ask in one of the two.
        let (is_withdrawn, is_detached) = (self.withdrawn.take(theirs), self.detached.take(theirs));
        if !is_withdrawn && !is_detached && !self.is_closed() {
            return;
        }
        let Some(relayed) = self.running.lock().remove(&theirs) else { return };
        if is_withdrawn { relayed.cancel() } else { relayed.detach() }
    }

    /// How many asks the peer withdrew that did not run then.
    #[cfg(test)]
    pub(crate) fn withdrawals(&self) -> usize {
        self.withdrawn.len()
    }

    /// The peer is at fault: says so, and ends the connection.
    pub(crate) fn violation(&self, what: &str) {
        tracing::warn!(peer = %self.peer.name, reason = what, "peer broke the protocol");
        self.close(CloseCode::ProtocolError, what);
    }

    /// Ends the connection on purpose.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        let _ = self.closed_with.set(code);
        self.connection.close(code, reason);
    }

    /// Whose streams the peer's streams are.
    pub(crate) fn owner(&self) -> Owner {
        Owner { role: self.peer.role, id: self.peer.id.0 }
    }

    /// The error of a message that cannot reach the peer, or whose reply cannot come back.
    pub(crate) fn unreachable(&self, may_have_run: bool) -> AskError {
        AskError::Unreachable { node: self.peer.name.to_string(), may_have_run }
    }

    fn unreachable_failure(&self, may_have_run: bool) -> Failure {
        crate::failure::failure_of(&self.unreachable(may_have_run), &self.shared.me.name)
    }

    /// Waits for the end of the connection, and ends what hangs on it.
    pub(crate) async fn ended(self: &Arc<Self>) -> CloseReason {
        let reason = self.connection.closed().await;
        self.is_closed.store(true, Ordering::Release);
        self.control.close();
        self.replies.close();
        self.lanes.iter().for_each(Outbox::close);
        let may_return = self.may_return(&reason);
        // Of a node that goes itself, the peer is where it was.
        let is_ours =
            reason == CloseReason::Local && matches!(self.closed_with.get(), None | Some(CloseCode::Leaving));
        for waiter in self.pending.close() {
            self.give_up(waiter, may_return, is_ours);
        }
        let failure = self.unreachable_failure(false);
        let channels = std::mem::take(&mut *self.channels.lock());
        for channel in channels.by_number.into_values() {
            channel.on_closed(&failure);
        }
        self.inlets.lock().clear();
        let running = std::mem::take(&mut *self.running.lock());
        for running in running.into_values() {
            if has_left(&reason) {
                running.gone(self.owner());
            } else {
                running.detach();
            }
        }
        self.tasks.abort();
        reason
    }

    fn give_up(&self, waiter: Waiter, may_return: bool, is_ours: bool) {
        match waiter {
            Waiter::Ask(asker) => drop(asker.send(Answer::Lost)),
            // Behind a relay, the stream's own node may be well.
            Waiter::Stream(stream) => stream.lost(may_return || !stream.is_from(self.peer.id)),
            Waiter::Relay { to, correlation } => {
                to.forget(correlation);
                let failure = crate::failure::lost(
                    &self.unreachable(true),
                    may_return || is_ours,
                    &self.shared.me.name,
                );
                crate::frames::refuse(&*to, correlation, &failure);
            }
        }
    }

    /// Whether the connection's end may be the way's only, and the peer's process be the same when it comes back.
    fn may_return(&self, reason: &CloseReason) -> bool {
        match reason {
            CloseReason::Local => self.closed_with.get() == Some(&CloseCode::Duplicate),
            CloseReason::Peer { code, .. } => matches!(code, CloseCode::Duplicate | CloseCode::Unanswered),
            CloseReason::TimedOut | CloseReason::Transport(_) => true,
            // Restarted, or for a reason that is not known here.
            _ => false,
        }
    }

    /// A reply for which there is no place: its asker is told. An item that has none is of a peer that makes room for items
    /// without reading any.
    fn refuse_unread(&self, outcome: Outcome) -> Result<(), EncodeError> {
        if outcome == Outcome::Item {
            self.violation("makes room for items that it does not read");
            return Ok(());
        }
        let reason =
            format!("{} bytes of replies wait for their asker to read them", unread::UNREAD_BYTES_MAX);
        Err(EncodeError { reason })
    }

    fn forget(&self, correlation: u64) {
        self.running.lock().remove(&correlation);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
