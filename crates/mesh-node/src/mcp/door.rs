//! The node's endpoint of MCP.

use std::net::SocketAddr;

use mesh::{Cancel, Runtimes};
use mesh_mcp::server::{HttpDoor, MeshServer, PATH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::McpServerSettings;
use crate::error::{NodeError, chain};
use crate::state::{NodeState, StateFolder, client_identity};
use crate::{bearer, own_client};

/// An endpoint that is open until it is dropped.
#[derive(Debug)]
pub(crate) struct Door {
    url: String,
    stop: Cancel,
    serves: JoinHandle<()>,
}

/// The node that the endpoint belongs to.
pub(crate) struct House<'a> {
    pub(crate) folder: &'a StateFolder,
    pub(crate) state: &'a NodeState,
    pub(crate) node: SocketAddr,
    pub(crate) runtimes: &'a Runtimes,
}

impl Door {
    /// Opens the endpoint, if the settings want one. Its callers act as a client, whose connection is to this very node.
    pub(crate) async fn open(
        settings: &McpServerSettings,
        house: House<'_>,
    ) -> Result<Option<Self>, NodeError> {
        let Some(address) = settings.address else { return Ok(None) };
        let refused = |reason: String| NodeError::Actor { name: "mcp_server".to_owned(), reason };
        let identity = match &settings.identity {
            Some(folder) => client_identity(folder),
            None => house.folder.client(),
        };
        let identity = identity.map_err(|error| {
            refused(format!(
                "its callers need a client of the mesh to act as, by `identity`: {}",
                chain(&error)
            ))
        })?;
        let file = settings.bearer_file.clone().unwrap_or_else(|| house.state.folder().join("mcp-token"));
        let token = bearer::read_or_make(&file).map_err(refused)?;
        let listener =
            TcpListener::bind(address).await.map_err(|error| refused(format!("{address}: {error}")))?;
        let bound = listener.local_addr().map_err(|error| refused(error.to_string()))?;
        let mesh = own_client::connect(house.node, &identity, house.runtimes.clone()).await;
        let mesh = mesh.map_err(|error| refused(format!("its callers' client is not let in: {error}")))?;
        let door = HttpDoor::new(MeshServer::new(mesh, settings.share_agents.iter().cloned()), &token);
        let stop = Cancel::new();
        let serves = house.runtimes.pool.spawn(door.serve(listener, stop.clone()));
        let url = format!("http://{bound}{PATH}");
        tracing::info!(url, token_file = %file.display(), "MCP is served");
        Ok(Some(Self { url, stop, serves }))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and all of its connections.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        // It is told to end, and does nothing else then.
        let _ = (&mut self.serves).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serves.abort();
    }
}
