//! Two connected endpoints, over either transport.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use mesh_net::{
    Authority, Connection, Endpoint, Expect, MemoryNetwork, ReadError, RecvHalf, SendHalf, TransportConfig,
};

/// Far longer than any test takes: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) struct Pair {
    pub(crate) alpha: Endpoint,
    pub(crate) beta: Endpoint,
    /// alpha's end.
    pub(crate) dialled: Connection,
    /// beta's end.
    pub(crate) accepted: Connection,
}

#[derive(Clone, Copy)]
pub(crate) enum Transport {
    Memory,
    Quic,
}

impl Transport {
    pub(crate) async fn pair(self, config: &TransportConfig) -> Pair {
        let (alpha, beta) = self.endpoints(config);
        let (dialled, accepted) = connect(&alpha, &beta).await;
        Pair { alpha, beta, dialled, accepted }
    }

    pub(crate) fn endpoints(self, config: &TransportConfig) -> (Endpoint, Endpoint) {
        match self {
            Self::Memory => {
                let network = MemoryNetwork::with_config(config);
                (network.node("alpha").unwrap(), network.node("beta").unwrap())
            }
            Self::Quic => {
                let authority = Authority::create("farm").unwrap();
                let bind =
                    |name| Endpoint::bind(LOOPBACK, &authority.issue_node(name).unwrap(), config).unwrap();
                (bind("alpha"), bind("beta"))
            }
        }
    }
}

/// Dials `to` by its node name and accepts there.
pub(crate) async fn connect(from: &Endpoint, to: &Endpoint) -> (Connection, Connection) {
    let (dialled, accepted) =
        soon(async { tokio::join!(from.connect(to.local_addr(), Expect::AnyNode), to.accept()) }).await;
    (dialled.unwrap(), accepted.unwrap().unwrap())
}

/// A stream from `from` to `to` that has carried one byte already, so that both ends exist.
pub(crate) async fn stream(from: &Connection, to: &Connection) -> (SendHalf, RecvHalf) {
    let mut send = from.open_uni(0).await.unwrap();
    send.write_chunk(Bytes::from_static(b"!")).await.unwrap();
    let mut receive = to.accept_uni().await.unwrap();
    assert_eq!(read(&mut receive).await, Ok(Some(Bytes::from_static(b"!"))));
    (send, receive)
}

/// The next bytes, or the end.
pub(crate) async fn read(receive: &mut RecvHalf) -> Result<Option<Bytes>, ReadError> {
    let mut chunk = [Bytes::new()];
    let filled = receive.read_chunks(&mut chunk).await?;
    Ok(filled.map(|_| std::mem::take(&mut chunk[0])))
}

/// Everything up to the end.
pub(crate) async fn read_all(receive: &mut RecvHalf) -> Result<Vec<u8>, ReadError> {
    let mut all = Vec::new();
    while let Some(chunk) = read(receive).await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes far too long")
}
