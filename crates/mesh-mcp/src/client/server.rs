//! An MCP server that this node keeps a connection to, as an actor.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use mesh::{
    Actor, ActorRef, ActorSpec, Cancel, Context, ExitReason, Handler, Kinds, Mesh, Message, PublishError,
    Restart, StartError, WireActor,
};
use mesh_agents::tools::HookedTool;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::line::Line;
use super::message::{DescribeMcpServer, McpServerState};
use super::offer::{Offer, Offering};
use super::spec::ServerSpec;
use super::work::work;

/// For a connection to be closed in order, the process behind it included.
const CLOSE_MAX: Duration = Duration::from_secs(8);

/// What is put around each tool of a server: hooks, and who approves.
pub type Dress = Arc<dyn Fn(HookedTool) -> HookedTool + Send + Sync>;

/// A connection to an MCP server, `NODE/mcp/NAME`: it is made at the start, and anew, after a pause that grows to 15 s, whenever it
/// was lost. It takes [`DescribeMcpServer`].
///
/// Each tool of the server is offered as a [`ToolActor`](mesh_agents::tools::ToolActor) of its own by the name of
/// [`tool_name`](super::tool_name), from the first connection on. While there is none, a call waits for 10 s, and is refused as
/// `UNAVAILABLE` then. The tools are listed anew with each connection, and when the server says that they changed.
///
/// Stopped, it ends the server's process and its tools. Drained, it lets calls finish first.
pub struct McpServer {
    setup: Arc<Setup>,
    work: JoinSet<()>,
    stop: Cancel,
}

/// What outlives the actor's restarts.
pub(super) struct Setup {
    pub(super) mesh: Mesh,
    pub(super) spec: ServerSpec,
    dress: Dress,
    pub(super) line: Arc<Line>,
    pub(super) offer: Mutex<Offer>,
}

impl Setup {
    pub(super) fn offering(&self) -> Offering<'_> {
        Offering { mesh: &self.mesh, spec: &self.spec, dress: &self.dress, line: &self.line }
    }
}

impl McpServer {
    /// The name under which a server is published on its node.
    #[must_use]
    pub fn name(server: &str) -> String {
        format!("mcp/{server}")
    }

    /// Begins to connect to a server, and publishes what is known of it. Nothing waits for the connection.
    ///
    /// # Errors
    /// [`PublishError`] when the name is taken; nothing is left running.
    pub fn publish(mesh: &Mesh, spec: ServerSpec, dress: Dress) -> Result<ActorRef<Self>, PublishError> {
        let name = Self::name(&spec.name);
        let line = Arc::new(Line::new(&spec.name));
        let setup = Setup { mesh: mesh.clone(), spec, dress, line, offer: Mutex::default() };
        let setup = Arc::new(setup);
        let actor_spec = ActorSpec::new(&name).mailbox(64).on_every_node().restart(Restart::Transient);
        let actor = mesh.spawn(actor_spec, move || Self {
            setup: Arc::clone(&setup),
            work: JoinSet::new(),
            stop: Cancel::new(),
        });
        match mesh.publish(&name, &actor) {
            Ok(()) => Ok(actor),
            Err(error) => {
                actor.stop();
                Err(error)
            }
        }
    }
}

/// Keeping the connection has ended by itself, which it never does but by a defect.
#[derive(Debug)]
struct Broke;

impl Message for Broke {
    type Reply = ();
}

impl Actor for McpServer {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        let (setup, stop, me) = (Arc::clone(&self.setup), self.stop.clone(), cx.me().clone());
        self.work.spawn(async move {
            let panicked = AssertUnwindSafe(work(setup, stop)).catch_unwind().await.is_err();
            if panicked {
                let _ = me.tell(Broke).await;
            }
        });
        Ok(())
    }

    async fn stopped(&mut self, reason: &ExitReason, _: &mut Context<Self>) {
        if matches!(reason, ExitReason::Drained) {
            // Each call has a limit, and a node that leaves one for all.
            let _ = timeout(self.setup.spec.timeout, self.setup.line.idle()).await;
        }
        self.stop.cancel();
        let _ = timeout(CLOSE_MAX, async { while self.work.join_next().await.is_some() {} }).await;
        self.work.abort_all();
        self.setup.offer.lock().await.end().await;
    }
}

impl WireActor for McpServer {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<DescribeMcpServer>()
    }
}

impl Handler<DescribeMcpServer> for McpServer {
    async fn handle(&mut self, _: DescribeMcpServer, _: &mut Context<Self>) -> McpServerState {
        self.setup.line.state()
    }
}

impl Handler<Broke> for McpServer {
    async fn handle(&mut self, _: Broke, cx: &mut Context<Self>) {
        self.setup.line.down("this node has a defect; it tries again");
        cx.fail("keeping the connection to an MCP server broke");
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("spec", &self.setup.spec).finish_non_exhaustive()
    }
}
