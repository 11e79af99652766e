//! A process that is a node, from its arguments to its end.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Parser;
use mesh::{BindError, Mesh, NodeBuilder, PublishError, Runtimes, StartNodeError};
use mesh_agents::Models;
use mesh_agents::tools::HookedTool;
use mesh_net::{JoinToken, Lives};
use mesh_store::Store;

use crate::approvals::Desk;
use crate::certify::Applicant;
use crate::config::{self, NodeSettings, Problems};
use crate::error::NodeError;
use crate::guard::{self, Guard};
use crate::ready::Ready;
use crate::signals::Signals;
use crate::state::{NodeState, StateFolder};
use crate::threads::NetworkThread;
use crate::token::{self, BadToken};
use crate::{NodeArgs, environment, lab, logging, mcp, name, tools};

mod brings;
mod doors;
mod durable;
mod invitation;
mod join_command;
mod kinds;
mod pool;

use doors::Doors;
use durable::{Durable, Mind};
use join_command::join_command;
use kinds::unknown_kinds;
use pool::Pool;

/// The port that is taken when none is given, if it is free; otherwise one of the next ones.
const PORT: u16 = 7946;
const PORTS_TRIED: u16 = 100;

type Registration = Box<dyn Fn(NodeBuilder) -> NodeBuilder + Send>;
type Opening = Box<dyn FnOnce(&Mesh) -> Result<(), PublishError> + Send>;

/// A process that is a node of a mesh, with the kinds of actors that it brings.
///
/// ```no_run
/// use mesh::{
///     Actor, Context, Handler, Kinds, Message, SpawnContext, Spawnable, StartError, WireActor, WireMessage,
/// };
/// use mesh_node::{Node, NodeError};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// Asks for a greeting.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Greet {
///     name: String,
/// }
/// impl Message for Greet {
///     type Reply = String;
/// }
/// impl WireMessage for Greet {
///     const KIND: &'static str = "greeter.greet.v1";
/// }
///
/// struct Greeter {
///     word: String,
/// }
/// impl Actor for Greeter {}
/// impl Handler<Greet> for Greeter {
///     async fn handle(&mut self, greet: Greet, _: &mut Context<Self>) -> String {
///         format!("{}, {}!", self.word, greet.name)
///     }
/// }
/// impl WireActor for Greeter {
///     fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
///         kinds.message::<Greet>()
///     }
/// }
/// impl Spawnable for Greeter {
///     type Args = String;
///     async fn open(word: &String, _: &SpawnContext) -> Result<Self, StartError> {
///         Ok(Self { word: word.clone() })
///     }
/// }
///
/// fn main() -> Result<(), NodeError> {
///     let node = Node::from_args()?               // --join, --listen, --label …, as mesh-node has them
///         .register::<Greeter>("greeter");        // meshctl actor spawn NODE greeter ann --args '"Hello"'
///     mesh_node::runtime()?.block_on(node.run())
/// }
/// ```
#[must_use = "a node does nothing before `run`"]
pub struct Node {
    settings: NodeSettings,
    token: Result<Option<JoinToken>, BadToken>,
    /// Applied anew to each attempt to start.
    registrations: Vec<Registration>,
    openings: Vec<Opening>,
    desk: Option<Desk>,
    durable: Durable,
    tools: Vec<HookedTool>,
    models: Option<Models>,
    kinds: BTreeSet<&'static str>,
    /// The file that the settings came from, for what is found wrong with them later.
    file: Option<String>,
}

impl Node {
    /// A node as the command line, the environment (`MESH_*`) and the settings file of this process want it.
    ///
    /// Ends the process when the command line asks for help or cannot be parsed at all, as is usual.
    ///
    /// # Errors
    /// [`NodeError::Settings`] with every problem of all three.
    pub fn from_args() -> Result<Self, NodeError> {
        Self::with_args(&NodeArgs::parse())
    }

    /// As [`from_args`](Self::from_args), with arguments that were parsed already.
    ///
    /// # Errors
    /// As [`from_args`](Self::from_args).
    pub fn with_args(args: &NodeArgs) -> Result<Self, NodeError> {
        let read = |path: &std::path::PathBuf| {
            fs::read_to_string(path).map_err(|source| NodeError::SettingsFile { path: path.clone(), source })
        };
        let text = args.config.as_ref().map(read).transpose()?;
        let name = args.config.as_ref().map(|path| path.display().to_string());
        let file = name.as_deref().zip(text.as_deref());
        let environment = |name: &str| std::env::var(name).ok();
        let settings = config::read(file, environment, args.layer());
        let settings = settings?;
        let token = token::given(settings.token_file.as_deref(), environment);
        Ok(Self { token, file: name, ..Self::new(settings) })
    }

    /// A node with these settings; nothing is read from elsewhere.
    pub fn new(settings: NodeSettings) -> Self {
        let (registrations, openings) = (Vec::new(), Vec::new());
        let (durable, kinds, token) = (Durable::default(), BTreeSet::new(), Ok(None));
        let (tools, models) = (Vec::new(), None);
        Self {
            settings,
            token,
            registrations,
            openings,
            desk: None,
            durable,
            tools,
            models,
            kinds,
            file: None,
        }
    }

    /// Runs the node until SIGTERM or SIGINT, then leaves the mesh in order. A second signal ends the process at once.
    ///
    /// Users' actors run on the runtime that this is called on if it has several threads, and on a pool of its own
    /// otherwise; connections have a thread for themselves.
    ///
    /// # Errors
    /// [`NodeError::Settings`] when the settings want actors of kinds that were not registered; otherwise why the node
    /// could not run or join. Nothing of it is left running.
    ///
    /// # Cancel safety
    /// Dropped, it ends the node without leaving in order.
    pub async fn run(mut self) -> Result<(), NodeError> {
        self.check_kinds()?;
        logging::init(self.settings.log.as_deref());
        for unknown in environment::unknown() {
            tracing::warn!(
                variable = unknown.variable,
                nearest = unknown.nearest,
                "nothing reads this variable"
            );
        }
        let mut signals = Signals::listen()?;
        let state = self.claim().await?;
        if let Some(path) = &self.settings.ready_file {
            Ready::forget(path)?;
        }
        let store = crate::store::open(self.settings.store.as_deref(), state.folder()).await?;
        self = self.extension(Arc::new(store.clone()));
        let network = NetworkThread::spawn()?;
        let pool = Pool::of_this_runtime()?;
        let runtimes = Runtimes { network: network.handle().clone(), pool: pool.handle() };

        let node = tokio::select! {
            started = self.start(&state, &runtimes) => started?,
            signal = signals.next() => {
                tracing::info!(signal, "ended before it had started");
                return Ok(());
            }
        };
        let (result, doors) = match self.open(&node, &state, &store, &runtimes).await {
            Ok(doors) => {
                self.invite(&state, node.local_addr())?;
                let signal = tokio::select! {
                    signal = signals.next() => signal,
                    () = node.asked_to_leave() => "drain",
                    () = Guard::new(&node, &state).watch() => unreachable!("it watches until it is dropped"),
                };
                tracing::info!(because = signal, "leaving the mesh");
                (Ok(()), Some(doors))
            }
            Err(error) => (Err(error), None),
        };
        if let Some(doors) = doors {
            doors.close().await;
        }
        tokio::select! {
            () = node.leave() => {}
            signal = signals.next() => end_at_once(signal),
        }
        store.close().await;
        result
    }

    /// Which kinds there are is known only when all of them are registered.
    fn check_kinds(&self) -> Result<(), Problems> {
        let problems = unknown_kinds(&self.settings, &self.kinds, self.file.as_deref());
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    async fn claim(&self) -> Result<NodeState, NodeError> {
        let client_name = name::of_client(std::env::var("USER").ok().as_deref());
        let applicant = Applicant {
            state: self.state_folder(),
            name: self.settings.name.as_deref(),
            client_name: &client_name,
            seeds: &self.settings.join,
            token: &self.token,
        };
        applicant.certified().await
    }

    fn state_folder(&self) -> StateFolder {
        let lives =
            Lives { node: self.settings.certificate_life, client: self.settings.client_certificate_life };
        StateFolder::new(&self.settings.state).with_lives(lives)
    }

    /// Starts on the address that was given, or on the first free one of the usual ones.
    async fn start(&self, state: &NodeState, runtimes: &Runtimes) -> Result<mesh::Node, NodeError> {
        if let Some(listen) = self.settings.listen {
            return Ok(self.start_on(listen, state, runtimes).await?);
        }
        let mut port = PORT;
        loop {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            match self.start_on(listen, state, runtimes).await {
                Err(StartNodeError::Bind(BindError::InUse { .. })) if port < PORT + PORTS_TRIED => port += 1,
                started => return Ok(started?),
            }
        }
    }

    async fn start_on(
        &self,
        listen: SocketAddr,
        state: &NodeState,
        runtimes: &Runtimes,
    ) -> Result<mesh::Node, StartNodeError> {
        let builder = mesh::Node::builder(self.settings.of_node(listen));
        let builder = match guard::issuer(state, self.state_folder().ledger()) {
            Some(issuer) => builder.issuer(issuer),
            None => builder,
        };
        let builder =
            lab::register(builder.denials(guard::denials(self.state_folder())), self.settings.lab_actors);
        let builder = self.registrations.iter().fold(builder, |builder, register| register(builder));
        builder.start(state.identity().clone(), runtimes.clone()).await
    }

    /// Brings the node's actors up, and then says that it is there.
    async fn open(
        &mut self,
        node: &mesh::Node,
        state: &NodeState,
        store: &Store,
        runtimes: &Runtimes,
    ) -> Result<Doors, NodeError> {
        let mesh = node.mesh();
        if let Some(desk) = &self.desk {
            desk.open(mesh, store, &self.settings.approvals)?;
        }
        if self.settings.lab_actors {
            lab::publish(mesh, self.desk.as_ref().map(Desk::gate))?;
        }
        let gate = self.desk.as_ref().map(Desk::gate);
        let own = std::mem::take(&mut self.tools);
        tools::publish(&self.settings, own, gate, mesh).await?;
        let mind = Mind { models: self.models.as_ref(), gate };
        // Behind the tools: a run that is taken up finds them.
        self.durable.publish(mesh, store, &self.settings, &mind)?;
        mcp::connect(&self.settings, gate, mesh)?;
        for open in self.openings.drain(..) {
            open(mesh)?;
        }
        self.spawn_agents(mesh).await?;
        let doors = self.open_doors(node, state, runtimes).await?;
        let http = doors.http();
        let local = node.local_addr().to_string();
        let ready = Ready {
            name: node.name().to_owned(),
            id: node.id(),
            addr: node.advertised(),
            cluster: node.cluster().to_owned(),
            pid: std::process::id(),
            http: http.clone(),
            mcp: doors.mcp(),
        };
        state.announce(&ready)?;
        // Nobody may read it; the node is no worse for that.
        let join = join_command(&ready.addr, &self.settings.state);
        let _ = writeln!(io::stdout(), "listening {local}\njoin with: {join}");
        if let Some(url) = http {
            self.invite_to_page(&url, state)?;
        }
        // Last: who sees the file finds all that is told of a node that is ready.
        if let Some(path) = &self.settings.ready_file {
            ready.write(path)?;
        }
        tracing::info!(node = ready.name, addr = ready.addr, cluster = ready.cluster, "node is ready");
        Ok(doors)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[expect(clippy::exit, reason = "an actor that never yields would keep any orderly end waiting")]
fn end_at_once(signal: &str) -> ! {
    tracing::warn!(signal, "ending at once");
    // As a shell says of a process that SIGINT ended.
    std::process::exit(130)
}

#[cfg(test)]
mod tests;
