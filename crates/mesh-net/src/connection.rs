//! One authenticated connection between two peers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use quinn::VarInt;
use tokio::time::timeout;

use crate::close::{CloseCode, CloseReason};
use crate::identity::{Credential, PeerIdentity};
use crate::memory::MemoryEnd;
use crate::probe::Probe;
use crate::quic::close_reason;
use crate::stream::{RecvHalf, RecvKind, SendHalf, SendKind};

/// A connection to a peer whose certificate was verified. Clones are handles on the same connection.
///
/// When the last handle, stream halves included, is dropped, the connection is closed with [`CloseCode::Dropped`].
///
/// At the dialling side it is handed out before the peer has checked *our* certificate (TLS 1.3 lets the client speak
/// first): trust that the peer accepted it only once it has sent something.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    credential: Credential,
    stable_id: u64,
    open_timeout: Duration,
    link: Link,
    /// Whether the system's own sockets lead to the peer as well.
    is_probed: bool,
}

pub(crate) enum Link {
    Quic(quinn::Connection),
    Memory(MemoryEnd),
}

impl Connection {
    pub(crate) fn new(credential: Credential, open_timeout: Duration, link: Link) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let stable_id = NEXT.fetch_add(1, Ordering::Relaxed);
        let is_probed = matches!(link, Link::Quic(_));
        Self { shared: Arc::new(Shared { credential, stable_id, open_timeout, link, is_probed }) }
    }

    /// One over a socket that the system does not know.
    pub(crate) fn simulated(credential: Credential, open_timeout: Duration, link: Link) -> Self {
        let connection = Self::new(credential, open_timeout, link);
        let shared = Arc::into_inner(connection.shared).expect("nobody has another handle yet");
        Self { shared: Arc::new(Shared { is_probed: false, ..shared }) }
    }

    /// Who is at the other end, from its verified certificate.
    pub fn peer(&self) -> &PeerIdentity {
        &self.shared.credential.peer
    }

    /// All that its verified certificate says.
    pub fn credential(&self) -> &Credential {
        &self.shared.credential
    }

    pub(crate) fn downgrade(&self) -> WeakConnection {
        WeakConnection { shared: Arc::downgrade(&self.shared) }
    }

    /// A number that no other connection of this process has or had; the same for all clones.
    pub fn stable_id(&self) -> u64 {
        self.shared.stable_id
    }

    /// The peer's current address. It may change while the connection lives (QUIC migration): a peer that dialled may
    /// move to another address or port, and what is in flight goes on. One that was dialled may not (RFC 9000 §9): its
    /// connection ends with the idle timeout, and it is to be dialled anew.
    pub fn remote_addr(&self) -> SocketAddr {
        match &self.shared.link {
            Link::Quic(connection) => crate::endpoint::canonical(connection.remote_address()),
            Link::Memory(end) => end.remote_addr(),
        }
    }

    /// The current estimate of the round-trip time. Zero in memory.
    pub fn rtt(&self) -> Duration {
        match &self.shared.link {
            Link::Quic(connection) => connection.rtt(),
            Link::Memory(_) => Duration::ZERO,
        }
    }

    /// How many frames the peer has sent that could only come from it: a higher number later is a sign of life.
    ///
    /// `None` in memory, where a peer that is gone is known at once.
    pub fn heard(&self) -> Option<u64> {
        let Link::Quic(connection) = &self.shared.link else { return None };
        let frames = connection.stats().frame_rx;
        Some(frames.acks + frames.ping + frames.stream + frames.datagram + frames.max_data)
    }

    /// A way to learn from the peer's machine that nothing listens at the peer's port; `None` in memory, over
    /// [`Endpoint::over`](crate::Endpoint::over), or where no socket can be had.
    pub async fn probe(&self) -> Option<Probe> {
        if self.shared.is_probed { Probe::of(self.clone()).await.ok() } else { None }
    }

    /// Opens a one-way stream to the peer.
    ///
    /// Bytes of a stream with a higher `priority` are sent before those of a lower one; equal ones take turns.
    /// The peer sees the stream with the first bytes written to it.
    ///
    /// # Errors
    /// [`OpenError::TooManyStreams`] when the peer permits no further stream within `open_timeout`;
    /// [`OpenError::Closed`] when the connection is over.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn open_uni(&self, priority: i32) -> Result<SendHalf, OpenError> {
        let wait = self.shared.open_timeout;
        match timeout(wait, self.open_without_deadline(priority)).await {
            Ok(opened) => opened.map_err(OpenError::Closed),
            Err(_elapsed) => Err(OpenError::TooManyStreams { waited: wait }),
        }
    }

    async fn open_without_deadline(&self, priority: i32) -> Result<SendHalf, CloseReason> {
        let kind = match &self.shared.link {
            Link::Quic(connection) => {
                let stream = connection.open_uni().await.map_err(close_reason)?;
                // Fails only for a stream that is over; the first write says so.
                let _ = stream.set_priority(priority);
                SendKind::Quic(stream)
            }
            // Every stream in memory is infinitely fast: there is nothing to prefer.
            Link::Memory(end) => SendKind::Memory(end.open_uni().await?),
        };
        Ok(SendHalf::new(kind))
    }

    /// Waits for the next stream that the peer opened, in the order of their opening.
    ///
    /// # Errors
    /// The reason why the connection is over.
    ///
    /// # Cancel safety
    /// Cancel safe: no stream is lost.
    pub async fn accept_uni(&self) -> Result<RecvHalf, CloseReason> {
        let kind = match &self.shared.link {
            Link::Quic(connection) => RecvKind::Quic(connection.accept_uni().await.map_err(close_reason)?),
            Link::Memory(end) => RecvKind::Memory(end.accept_uni().await?),
        };
        Ok(RecvHalf::new(kind))
    }

    /// Sends a datagram, unordered and perhaps lost. One that does not fit the path, or for which there is no room now, is dropped.
    ///
    /// 1,150 bytes fit every path.
    pub fn send_datagram(&self, bytes: Bytes) {
        match &self.shared.link {
            // Whoever sends datagrams expects loss.
            Link::Quic(connection) => drop(connection.send_datagram(bytes)),
            Link::Memory(end) => end.send_datagram(bytes),
        }
    }

    /// Waits for the next datagram.
    ///
    /// # Errors
    /// The reason why the connection is over.
    ///
    /// # Cancel safety
    /// Cancel safe: no datagram is lost.
    pub async fn read_datagram(&self) -> Result<Bytes, CloseReason> {
        match &self.shared.link {
            Link::Quic(connection) => connection.read_datagram().await.map_err(close_reason),
            Link::Memory(end) => end.read_datagram().await,
        }
    }

    /// Closes the connection at once; unread and unsent bytes of both directions are lost.
    ///
    /// The peer sees `code` and `reason` (cut to fit one datagram). Does nothing on a connection that is over.
    pub fn close(&self, code: CloseCode, reason: &str) {
        match &self.shared.link {
            // quinn would replace the peer's reason by ours as long as its close is being acknowledged.
            Link::Quic(connection) if connection.close_reason().is_some() => {}
            Link::Quic(connection) => connection.close(VarInt::from(u32::from(code)), reason.as_bytes()),
            Link::Memory(end) => end.close(code, reason),
        }
    }

    /// Waits until the connection is over, and says why.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        match &self.shared.link {
            Link::Quic(connection) => close_reason(connection.closed().await),
            Link::Memory(end) => end.closed().await,
        }
    }

    /// Why the connection is over, or `None` while it is not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &self.shared.link {
            Link::Quic(connection) => connection.close_reason().map(close_reason),
            Link::Memory(end) => end.close_reason(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stable_id", &self.shared.stable_id)
            .field("peer", &format_args!("{}", self.peer()))
            .field("remote_addr", &self.remote_addr())
            .field("close_reason", &self.close_reason())
            .finish()
    }
}

/// A handle that does not keep its connection alive.
pub(crate) struct WeakConnection {
    shared: Weak<Shared>,
}

impl WeakConnection {
    pub(crate) fn upgrade(&self) -> Option<Connection> {
        self.shared.upgrade().map(|shared| Connection { shared })
    }
}

/// Why a stream could not be opened. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer permits no further stream: it is slow to end those it has. Retry later, or send less at once.
    #[error("the peer permitted no further stream within {waited:?}")]
    TooManyStreams {
        /// How long we waited.
        waited: Duration,
    },
    /// The connection is over.
    #[error("the connection is closed")]
    Closed(#[source] CloseReason),
}
