//! What leads from the tools of a server to the connection that there is now.

use std::sync::Arc;
use std::time::Duration;

use mesh::Retry;
use mesh_agents::tools::ToolError;
use parking_lot::Mutex;
use rmcp::RoleClient;
use rmcp::model::RequestId;
use rmcp::service::Peer;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::message::McpServerState;
use super::progress::Progress;

/// How long a call waits for a connection that was lost, or is being made.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// A connection, as calls see it. What belongs to it ends with it: the ids of the next one begin anew.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) peer: Peer<RoleClient>,
    pub(super) progress: Arc<Progress>,
    /// Requests whose answer nobody wants any more.
    pub(super) withdrawn: mpsc::Sender<RequestId>,
    /// Set by a call that could not be sent.
    pub(super) suspect: Notify,
}

/// The way to a server, over all of its connections.
#[derive(Debug)]
pub(super) struct Line {
    wire: watch::Sender<Option<Arc<Wire>>>,
    state: Mutex<McpServerState>,
    calls: watch::Sender<usize>,
}

impl Line {
    pub(super) fn new(name: &str) -> Self {
        let reason = "it is being connected to for the first time".to_owned();
        let state = McpServerState { name: name.to_owned(), reason, ..McpServerState::default() };
        Self { wire: watch::Sender::new(None), state: Mutex::new(state), calls: watch::Sender::new(0) }
    }

    pub(super) fn state(&self) -> McpServerState {
        self.state.lock().clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut McpServerState)) {
        change(&mut self.state.lock());
    }

    pub(super) fn up(&self, wire: Arc<Wire>) {
        self.note(|state| {
            state.is_connected = true;
            state.connections += 1;
            state.reason.clear();
        });
        self.wire.send_replace(Some(wire));
    }

    pub(super) fn down(&self, reason: &str) {
        self.note(|state| {
            state.is_connected = false;
            state.pid = None;
            reason.clone_into(&mut state.reason);
        });
        self.wire.send_replace(None);
    }

    /// The connection that there is, or that there will be soon.
    ///
    /// # Errors
    /// `UNAVAILABLE`: there was none in time. Nothing ran.
    pub(super) async fn wire(&self, deadline: Instant) -> Result<Arc<Wire>, ToolError> {
        let until = deadline.min(Instant::now() + CONNECTION_MAX);
        let mut wires = self.wire.subscribe();
        let is_up =
            |wire: &Option<Arc<Wire>>| wire.as_ref().is_some_and(|wire| !wire.peer.is_transport_closed());
        if let Ok(Ok(wire)) = timeout_at(until, wires.wait_for(is_up)).await
            && let Some(wire) = wire.as_ref()
        {
            return Ok(Arc::clone(wire));
        }
        let McpServerState { name, reason, .. } = self.state();
        let message = format!("there is no connection to the MCP server {name}: {reason}");
        Err(ToolError::refused("UNAVAILABLE", message).retry(Retry::Backoff))
    }

    /// Counts a call until it is dropped.
    pub(super) fn call(self: &Arc<Self>) -> Running {
        self.calls.send_modify(|calls| *calls += 1);
        Running(Arc::clone(self))
    }

    /// Waits until no call runs.
    pub(super) async fn idle(&self) {
        // The sender is here, so it cannot be gone.
        let _ = self.calls.subscribe().wait_for(|calls| *calls == 0).await;
    }
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Running(Arc<Line>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.calls.send_modify(|calls| *calls -= 1);
    }
}
