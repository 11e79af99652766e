//! A node's connection to itself, as a client: for endpoints whose callers may do no more than that client may.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mesh::{Client, ClientConfig, ClientError, Identity, Mesh, Runtimes};

/// Connects to the node that listens on `node`.
///
/// # Errors
/// As of [`Client::connect`].
pub(crate) async fn connect(
    node: SocketAddr,
    identity: &Identity,
    runtimes: Runtimes,
) -> Result<Mesh, ClientError> {
    Client::connect(&[reachable(node).to_string()], identity, ClientConfig::default(), runtimes).await
}

/// What listens on all addresses is reached on this machine's own.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        addr => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_on_all_addresses_is_reached_on_its_own() {
        for (listens, reached) in
            [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.1:7", "10.0.0.1:7")]
        {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }
}
