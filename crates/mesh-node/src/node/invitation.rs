//! What a node tells on its terminal about how others get in.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::Node;
use super::doors::http_token;
use crate::error::NodeError;
use crate::state::{NodeState, Signer, Wanted};

impl Node {
    /// A node that other machines can reach shows how they get in: on a terminal only, where no log keeps it.
    pub(super) fn invite(&self, state: &NodeState, local: SocketAddr) -> Result<(), NodeError> {
        let Signer::Own(authority) = state.signer() else { return Ok(()) };
        let mut stdout = io::stdout();
        if local.ip().is_loopback() || !stdout.is_terminal() {
            return Ok(());
        }
        let wanted = Wanted {
            role: mesh_net::Role::Node,
            ttl: Duration::from_secs(3600),
            name: None,
            grants: Default::default(),
        };
        let token = self.state_folder().ledger().create(authority, &wanted)?;
        // Nobody may read it; the node is no worse for that.
        let _ = writeln!(stdout, "MESH_JOIN_TOKEN={}  (one node, one hour)", *token.to_text());
        Ok(())
    }

    /// Says where the page is. The token goes to a terminal only, behind a `#`, which browsers send to nobody.
    pub(super) fn invite_to_page(&self, url: &str, state: &NodeState) -> Result<(), NodeError> {
        let mut stdout = io::stdout();
        let token = http_token(state)?;
        // Nobody may read it; the node is no worse for that.
        let _ = match stdout.is_terminal() {
            true => writeln!(stdout, "dashboard {url}#token={}", *token),
            false => writeln!(stdout, "dashboard {url}"),
        };
        Ok(())
    }
}
