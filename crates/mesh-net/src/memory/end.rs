//! One end of a connection in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::link::{Link, Pipe, Side};
use super::pipe::{PipeReader, PipeWriter};
use crate::close::{CloseCode, CloseReason};

/// Datagrams that wait at one end; as with QUIC, further ones are lost.
const DATAGRAMS_MAX: usize = 64;

/// One end of a link. Clones are handles; the drop of the last one closes the connection, as with QUIC.
#[derive(Clone)]
pub(crate) struct MemoryEnd {
    handle: Arc<Handle>,
}

pub(super) struct Handle {
    pub(super) link: Arc<Link>,
    pub(super) side: Side,
    remote_addr: SocketAddr,
}

impl MemoryEnd {
    pub(super) fn new(link: Arc<Link>, side: Side, remote_addr: SocketAddr) -> Self {
        Self { handle: Arc::new(Handle { link, side, remote_addr }) }
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.handle.remote_addr
    }

    pub(crate) async fn open_uni(&self) -> Result<PipeWriter, CloseReason> {
        let Handle { link, side, .. } = &*self.handle;
        let streams_max = usize::from(link.config.uni_streams_max);
        let opened = link.until(|state| {
            let end = state.end(*side);
            if let Some(reason) = &end.closed {
                return Poll::Ready(Err(reason.clone()));
            }
            if end.outgoing.len() >= streams_max {
                return Poll::Pending;
            }
            let id = end.next_stream;
            end.next_stream += 1;
            end.outgoing.insert(id, Pipe::default());
            Poll::Ready(Ok(id))
        });
        Ok(PipeWriter::new(self.handle.clone(), opened.await?))
    }

    pub(crate) async fn accept_uni(&self) -> Result<PipeReader, CloseReason> {
        let Handle { link, side, .. } = &*self.handle;
        let accepted = link.until(|state| {
            let end = state.end(*side);
            match (&end.closed, end.arrived.pop_front()) {
                (Some(reason), _) => Poll::Ready(Err(reason.clone())),
                (None, Some(id)) => Poll::Ready(Ok(id)),
                (None, None) => Poll::Pending,
            }
        });
        Ok(PipeReader::new(self.handle.clone(), accepted.await?))
    }

    /// Drops the datagram while the link is cut, and when too many wait.
    pub(crate) fn send_datagram(&self, bytes: Bytes) {
        let Handle { link, side, .. } = &*self.handle;
        link.update(|state| {
            if !state.is_cut() && state.end(*side).closed.is_none() {
                let waiting = &mut state.end(side.other()).datagrams;
                if waiting.len() < DATAGRAMS_MAX {
                    waiting.push_back(bytes);
                }
            }
        });
    }

    pub(crate) async fn read_datagram(&self) -> Result<Bytes, CloseReason> {
        let Handle { link, side, .. } = &*self.handle;
        let read = link.until(|state| {
            let end = state.end(*side);
            match (&end.closed, end.datagrams.pop_front()) {
                (Some(reason), _) => Poll::Ready(Err(reason.clone())),
                (None, Some(bytes)) => Poll::Ready(Ok(bytes)),
                (None, None) => Poll::Pending,
            }
        });
        read.await
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        Self::close_side(&self.handle.link, self.handle.side, code, reason);
    }

    pub(super) fn close_side(link: &Link, side: Side, code: CloseCode, reason: &str) {
        link.update(|state| {
            if state.end(side).closed.is_some() {
                return;
            }
            state.close_end(side, CloseReason::Local);
            if !state.is_cut() {
                let reason = reason.to_owned();
                state.close_end(side.other(), CloseReason::Peer { code, reason });
            }
        });
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        let side = self.handle.side;
        let closed = |reason: &Option<CloseReason>| reason.clone().map_or(Poll::Pending, Poll::Ready);
        self.handle.link.until(|state| closed(&state.end(side).closed)).await
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.handle.link.lock().end(self.handle.side).closed.clone()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        MemoryEnd::close_side(&self.link, self.side, CloseCode::Dropped, "");
    }
}
