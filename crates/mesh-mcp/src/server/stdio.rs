//! One client, by two pipes.

use std::io;

use rmcp::service::serve_server;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};

use super::MeshServer;

/// The longest message of a client.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Serves one client, a message a line, until it closes its end.
///
/// # Errors
/// It does not speak the protocol.
///
/// # Cancel safety
/// Dropped, it ends the session where it is, soon after.
pub async fn serve_stdio(
    server: MeshServer,
    reads: impl AsyncRead + Send + Unpin + 'static,
    writes: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let transport = AsyncRwTransport::new_server(reads, writes).with_max_line_length(MESSAGE_BYTES_MAX);
    let session = serve_server(server, transport).await.map_err(io::Error::other)?;
    session.waiting().await.map(drop).map_err(io::Error::other)
}
