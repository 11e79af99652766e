//! The ways into the mesh that a node opens for programs of other protocols. Each is a client of the node.

use mesh::Runtimes;
use zeroize::Zeroizing;

use super::Node;
use crate::bearer;
use crate::error::NodeError;
use crate::gateway::{Gateway, GatewayConfig};
use crate::mcp::{Door, House};
use crate::state::NodeState;

/// What is open.
pub(super) struct Doors {
    gateway: Option<Gateway>,
    mcp: Option<Door>,
}

impl Doors {
    /// Where HTTP is served.
    pub(super) fn http(&self) -> Option<String> {
        self.gateway.as_ref().map(Gateway::url)
    }

    /// Where MCP is served.
    pub(super) fn mcp(&self) -> Option<String> {
        self.mcp.as_ref().map(|door| door.url().to_owned())
    }

    pub(super) async fn close(self) {
        if let Some(gateway) = self.gateway {
            gateway.close().await;
        }
        if let Some(door) = self.mcp {
            door.close().await;
        }
    }
}

/// What callers of the HTTP interface have to show.
pub(super) fn http_token(state: &NodeState) -> Result<Zeroizing<String>, NodeError> {
    let refused = |reason| NodeError::Actor { name: "http".to_owned(), reason };
    bearer::read_or_make(&state.folder().join("http-token")).map_err(refused)
}

impl Node {
    /// Opens those that the settings want.
    pub(super) async fn open_doors(
        &self,
        node: &mesh::Node,
        state: &NodeState,
        runtimes: &Runtimes,
    ) -> Result<Doors, NodeError> {
        let folder = self.state_folder();
        let house = House { folder: &folder, state, node: node.local_addr(), runtimes };
        let mcp = Door::open(&self.settings.mcp_server, house).await?;
        Ok(Doors { gateway: self.open_gateway(node, state, runtimes).await?, mcp })
    }

    async fn open_gateway(
        &self,
        node: &mesh::Node,
        state: &NodeState,
        runtimes: &Runtimes,
    ) -> Result<Option<Gateway>, NodeError> {
        let Some(listen) = self.settings.http else { return Ok(None) };
        let token = http_token(state)?;
        let config = GatewayConfig {
            listen,
            hosts: self.settings.http_hosts.clone(),
            token,
            node: node.local_addr(),
            identity: self.state_folder().client()?,
        };
        Gateway::open(config, runtimes.clone()).await.map(Some)
    }
}
