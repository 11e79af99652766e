//! The node's endpoint of MCP.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use mesh::{Cancel, Client, ClientConfig, Runtimes};
use mesh_mcp::server::{HttpDoor, MeshServer, PATH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::config::McpServerSettings;
use crate::error::{NodeError, chain};
use crate::state::{NodeState, StateFolder, client_identity, replace};

/// A token that somebody wrote by hand may not be shorter.
const TOKEN_BYTES_MIN: usize = 16;

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
        let token = token(&file).map_err(refused)?;
        let listener =
            TcpListener::bind(address).await.map_err(|error| refused(format!("{address}: {error}")))?;
        let bound = listener.local_addr().map_err(|error| refused(error.to_string()))?;
        let node = match house.node.ip().is_unspecified() {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, house.node.port())),
            false => house.node,
        };
        let addrs = [node.to_string()];
        let mesh = Client::connect(&addrs, &identity, ClientConfig::default(), house.runtimes.clone());
        let mesh =
            mesh.await.map_err(|error| refused(format!("its callers' client is not let in: {error}")))?;
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

/// The token in this file; a new one, where there is no file.
fn token(path: &PathBuf) -> Result<Zeroizing<String>, String> {
    let said = |error: String| format!("{}: {error}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let token = Zeroizing::new(text.trim().to_owned());
            if token.len() < TOKEN_BYTES_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(said(format!(
                    "a token of {TOKEN_BYTES_MIN} or more visible characters is wanted"
                )));
            }
            check_mode(path).map_err(said)?;
            Ok(token)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let half = || uuid::Uuid::new_v4().simple().to_string();
            let token = Zeroizing::new(half() + &half());
            replace(path, token.as_bytes(), 0o600).map_err(|error| said(chain(&error)))?;
            Ok(token)
        }
        Err(error) => Err(said(error.to_string())),
    }
}

/// Nobody else may be able to read it.
fn check_mode(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("others can read it (mode {mode:o}): chmod 600 it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_a_careless_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp-token");
        let made = token(&path).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(*token(&path).unwrap(), *made);
        replace(&path, b"0123456789abcdef0123\n", 0o644).unwrap();
        assert!(token(&path).unwrap_err().contains("chmod 600"));
        replace(&path, b"short", 0o600).unwrap();
        let error = token(&path).unwrap_err();
        assert!(error.contains("16 or more") && !error.contains("short"), "{error}");
    }
}
