//! The driving end.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use quinn::{Connection, Endpoint};

use super::{dialogue::Dialogue, frame::Kind, sender::QuinnSender, settings, shared::SharedCaller};
use crate::{
    peer::{Caller, Client},
    tls::{Certificates, SERVER_DNS_NAME},
};

/// Tells up to this size are batched; larger ones go out as chunks.
const BATCHED_BODY_BYTES_MAX: usize = 4 << 10;

/// A connection to a raw server.
#[derive(Clone)]
pub(crate) struct QuinnClient {
    connection: Connection,
    /// Small tells go on a unidirectional stream too.
    is_uni: bool,
    _endpoint: Endpoint,
}

/// Connects to a server at `address`.
///
/// # Errors
/// If the handshake fails.
pub(crate) async fn connect(
    address: SocketAddr,
    certificates: &Certificates,
    is_uni: bool,
) -> Result<QuinnClient> {
    let endpoint = settings::dialler(certificates)?;
    let connection =
        endpoint.connect(address, SERVER_DNS_NAME)?.await.context("can't connect to the raw server")?;
    Ok(QuinnClient { connection, is_uni, _endpoint: endpoint })
}

impl Client for QuinnClient {
    type Caller = QuinnCaller;
    type Sender = QuinnSender;

    // A raw connection has no actors; a stream each is what keeps targets apart.
    async fn callers(&self, _target: u32, count: u32) -> Result<Vec<QuinnCaller>> {
        let dialogue = Dialogue::open(&self.connection).await?;
        if count == 1 {
            return Ok(vec![QuinnCaller::Lone(Box::new(dialogue))]);
        }
        let callers = SharedCaller::share(dialogue, count);
        Ok(callers.into_iter().map(QuinnCaller::Shared).collect())
    }

    async fn sender(&self, _target: u32, body_bytes: usize) -> Result<QuinnSender> {
        let dialogue = Dialogue::open(&self.connection).await?;
        if body_bytes > BATCHED_BODY_BYTES_MAX {
            return Ok(QuinnSender::Chunks { bulk: self.connection.open_uni().await?, dialogue });
        }
        let batch = BytesMut::new();
        if self.is_uni {
            let bulk = self.connection.open_uni().await?;
            return Ok(QuinnSender::BatchedUni { bulk, batch, dialogue });
        }
        Ok(QuinnSender::Batched { batch, dialogue })
    }

    async fn slow_down(&self, _target: u32) -> Result<()> {
        let mut dialogue = Dialogue::open(&self.connection).await?;
        dialogue.exchange(Kind::SlowDown, &[]).await?;
        Ok(())
    }
}

/// A caller with a stream of its own, or one of many on a shared stream.
pub(crate) enum QuinnCaller {
    Lone(Box<Dialogue>),
    Shared(SharedCaller),
}

impl Caller for QuinnCaller {
    async fn ask(&mut self, body: &Bytes) -> Result<()> {
        let reply = match self {
            Self::Lone(dialogue) => dialogue.exchange(Kind::Ask, body).await?,
            Self::Shared(caller) => caller.ask(body).await?,
        };
        ensure!(reply.len() == body.len(), "the reply is not what was asked");
        Ok(())
    }
}
