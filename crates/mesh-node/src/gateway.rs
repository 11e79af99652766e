//! HTTP for those who speak no QUIC: an interface of JSON, and the page that shows the mesh.
//!
//! ```text
//! browser, curl ──HTTP──▶ door ──▶ api ──▶ a client of the mesh ──QUIC──▶ node
//!                      token, Host, Origin     the certificate of the state folder's client
//! ```
//!
//! The gateway is a client of its own node. What it may do, and whose answer an approval has, is decided where every
//! client's message is decided, so there is no second set of rules that could be laxer than the first.

mod api;
mod approvals;
mod door;
mod listener;
mod live;
mod memory;
mod messages;
mod nodes;
mod page;
mod refusal;
mod runs;
mod serve;
mod sse;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::{Identity, Mesh, Runtimes};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use self::api::Api;
use self::door::Door;
use crate::error::NodeError;
use crate::own_client;

pub(crate) use self::door::Hosts;

/// How long what was sent may take to arrive when the gateway closes.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What a gateway needs to know.
pub(crate) struct GatewayConfig {
    /// Where it listens; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Under which names browsers may reach it, besides its address.
    pub(crate) hosts: Vec<String>,
    /// What callers have to show.
    pub(crate) token: Zeroizing<String>,
    /// Where its node listens.
    pub(crate) node: SocketAddr,
    /// Who it is for the node.
    pub(crate) identity: Identity,
}

/// The HTTP interface of a node. Dropped, it ends at once.
pub(crate) struct Gateway {
    addr: SocketAddr,
    mesh: Mesh,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// Binds, connects to the node and serves, on the runtimes that are given.
    ///
    /// # Errors
    /// [`NodeError::Http`] when the address cannot be had; [`NodeError::Client`] when the node does not let its own client in.
    pub(crate) async fn open(config: GatewayConfig, runtimes: Runtimes) -> Result<Self, NodeError> {
        let GatewayConfig { listen, hosts, token, node, identity } = config;
        let failed = |source| NodeError::Http { addr: listen, source };
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let pool = runtimes.pool.clone();
        let mesh = own_client::connect(node, &identity, runtimes).await?;
        let door = Arc::new(Door::new(Hosts::new(addr, &hosts), token));
        let app = serve::app(Api::new(mesh.clone()), door);
        let serving = pool.spawn(listener::serve(listener, app));
        Ok(Self { addr, mesh, serving })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// Takes no more requests and cuts off those that go on.
    pub(crate) async fn close(mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.mesh.clone().close(CLOSE_MAX).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
