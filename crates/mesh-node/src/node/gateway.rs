//! The node's HTTP interface, if it has one.

use mesh::Runtimes;

use super::Node;
use crate::error::NodeError;
use crate::gateway::{Gateway, GatewayConfig};
use crate::state::NodeState;

impl Node {
    /// Serves HTTP where the settings want it, as a client of this node.
    pub(super) async fn open_gateway(
        &self,
        node: &mesh::Node,
        state: &NodeState,
        runtimes: &Runtimes,
    ) -> Result<Option<Gateway>, NodeError> {
        let Some(listen) = self.settings.http else { return Ok(None) };
        let config = GatewayConfig {
            listen,
            hosts: self.settings.http_hosts.clone(),
            token: state.http_token()?,
            node: node.local_addr(),
            identity: self.state_folder().client()?,
        };
        Gateway::open(config, runtimes.clone()).await.map(Some)
    }
}
