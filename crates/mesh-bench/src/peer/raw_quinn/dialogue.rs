//! Requests and replies on a bidirectional stream.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use quinn::{Connection, SendStream};

use super::frame::{FrameReader, Kind, put};

/// One bidirectional stream with one user.
pub(crate) struct Dialogue {
    pub(super) send: SendStream,
    pub(super) replies: FrameReader,
    request: BytesMut,
}

impl Dialogue {
    /// Opens a stream of its own.
    pub(super) async fn open(connection: &Connection) -> Result<Self> {
        let (send, receive) = connection.open_bi().await?;
        Ok(Self { send, replies: FrameReader::new(receive), request: BytesMut::new() })
    }

    /// Sends one frame and returns the body of the reply.
    pub(super) async fn exchange(&mut self, kind: Kind, body: &[u8]) -> Result<Bytes> {
        self.request.clear();
        put(&mut self.request, kind, 0, body);
        self.send.write_all(&self.request).await?;
        self.replies.next_body().await
    }
}
