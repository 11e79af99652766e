//! Hints that nothing listens at a peer's port any more.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::connection::Connection;

/// Asks a peer's machine, again and again, whether anything listens at the peer's port.
///
/// QUIC learns of a killed process only by its silence. The kernel of the peer's machine knows better: it answers a
/// datagram to a closed port with "port unreachable", which a *connected* UDP socket reports as an error. Anyone on the
/// path can forge such an answer, or drop it, and many firewalls do: **a refusal is a hint**, worth a question to the peer
/// itself, and its absence means nothing.
///
/// What is sent is one byte, which no QUIC endpoint takes for a packet (RFC 9000 §10.3 answers nothing that short).
#[derive(Debug)]
pub struct Probe {
    connection: Connection,
    socket: UdpSocket,
    to: SocketAddr,
}

impl Probe {
    pub(crate) async fn of(connection: Connection) -> io::Result<Self> {
        let to = connection.remote_addr();
        let socket = aimed_at(to).await?;
        Ok(Self { connection, socket, to })
    }

    /// Asks once, and listens for a refusal for as long as `wait`; a refusal ends the wait.
    ///
    /// Follows the peer to a new address (QUIC migration).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn is_refused(&mut self, wait: Duration) -> bool {
        let to = self.connection.remote_addr();
        if to != self.to
            && let Ok(socket) = aimed_at(to).await
        {
            (self.socket, self.to) = (socket, to);
        }
        let asks = async {
            // Reports the refusal of the question before, if that came late.
            self.socket.send(&[0]).await?;
            loop {
                // Whatever may come back is not for us.
                self.socket.recv(&mut [0; 64]).await?;
            }
        };
        let asked: Result<io::Result<()>, _> = timeout(wait, asks).await;
        match asked {
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => true,
            // No route, no buffer: says nothing of the peer. The pace is kept.
            Ok(Err(_)) => {
                tokio::time::sleep(wait).await;
                false
            }
            Ok(Ok(())) | Err(_) => false,
        }
    }
}

async fn aimed_at(to: SocketAddr) -> io::Result<UdpSocket> {
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    Ok(socket)
}
