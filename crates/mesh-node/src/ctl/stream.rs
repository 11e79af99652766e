//! A stream of answers that outlives the connection of its command.

use std::time::Duration;

use mesh::{Client, ClientConfig, ClientError, Failure, Identity, JsonItem, JsonStream, Mesh, Runtimes};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::connection::inner;
use super::error::CtlError;

/// How long a node is looked for once the connection is lost: as long as streams are kept by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// How a command reaches the mesh, now and again.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) addrs: Vec<String>,
    pub(super) identity: Identity,
}

impl Way {
    pub(super) async fn connect(&self) -> Result<Mesh, ClientError> {
        let runtimes = Runtimes { network: Handle::current(), pool: Handle::current() };
        Client::connect(&self.addrs, &self.identity, ClientConfig::default(), runtimes).await
    }
}

/// Items, then the reply.
pub(crate) struct Stream {
    stream: JsonStream,
    way: Way,
    until: Instant,
    /// Behind which item it was lost last.
    lost_behind: Option<u64>,
    /// The connection that was made for it, if the first was lost.
    _again: Option<Mesh>,
}

impl Stream {
    pub(super) fn new(stream: JsonStream, way: Way, timeout: Duration) -> Self {
        Self { stream, way, until: Instant::now() + timeout, lost_behind: None, _again: None }
    }

    /// The next part; `None` after the reply.
    pub(crate) async fn next(&mut self) -> Result<Option<JsonItem>, CtlError> {
        loop {
            match self.stream.next().await {
                Some(Ok(JsonItem::Reply(reply))) => return Ok(Some(JsonItem::Reply(inner(reply)?))),
                Some(Ok(item)) => return Ok(Some(item)),
                Some(Err(failure)) => self.come_back(failure).await?,
                None => return Ok(None),
            }
        }
    }

    /// Connects anew, and goes on where the stream was lost; once between two items.
    async fn come_back(&mut self, failure: Failure) -> Result<(), CtlError> {
        let seq = self.stream.seq();
        let ticket = self.stream.ticket().filter(|_| failure.code == "UNREACHABLE");
        let Some(ticket) = ticket.filter(|_| self.lost_behind != Some(seq)) else {
            return Err(failure.into());
        };
        self.lost_behind = Some(seq);
        let end = self.until.min(Instant::now() + PATIENCE);
        loop {
            if let Ok(mesh) = self.way.connect().await {
                let left = self.until.saturating_duration_since(Instant::now());
                self.stream = mesh.attach_json(&ticket, seq, left)?;
                self._again = Some(mesh);
                return Ok(());
            }
            if Instant::now() + PAUSE >= end {
                return Err(failure.into());
            }
            sleep(PAUSE).await;
        }
    }
}
