//! The command line of meshctl.

mod health;
mod identity;
mod messages;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use mesh_proto::ActorPath;

pub(super) use self::health::{BreakerArgs, BreakersArgs, BreakersCommand, DeadLettersCommand};
pub(super) use self::identity::{CaCommand, EnrollArgs, RoleArg, TokenArgs, TokenCommand};
pub(super) use self::messages::{MessageArgs, PublishArgs, StreamArgs, SubscribeArgs, TellArgs};
use super::{approvals::ApprovalsCommand, placement::PlaceArgs, runs::RunsCommand, store::StoreCommand};

/// Speaks to a mesh as one of its clients.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, about = "Speaks to a mesh as one of its clients", long_about = None)]
#[command(after_help = AFTER_HELP, max_term_width = 110)]
pub struct CtlArgs {
    /// The node to speak through [default: one that runs with this state folder, or 127.0.0.1:7946]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "HOST:PORT", env = "MESH_NODE")]
    #[arg(hide_env_values = true, value_parser = address)]
    pub node: Option<String>,

    /// The state folder of the nodes of this user
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR", env = "MESH_STATE")]
    #[arg(hide_env_values = true, default_value = ".mesh")]
    pub state: PathBuf,

    /// A folder with ca.pem, cert.pem and key.pem, rather than the state folder's client
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub identity: Option<PathBuf>,

    /// Print one JSON document (streams: one a line), errors too
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const GLOBAL: &str = "Options of every command";

const AFTER_HELP: &str = "\
PATH is NODE/ACTOR, or a published name. KIND is area.verb.vN.

Exit codes:
  0    done
  2    wrong usage
  3    the mesh or the actor answered with an error
  4    no node reachable
  130  ended by Ctrl-C; what was running is cancelled";

/// What meshctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The nodes of the mesh
    Nodes,
    /// The actors of a node, or of all nodes
    Ps {
        /// The node's name
        #[arg(value_name = "NODE")]
        on: Option<String>,
    },
    /// The published names of the mesh, and what their actors can do
    Names {
        /// Only actors that say that they can do this, such as tool:fetch
        #[arg(long, value_name = "LABEL")]
        capability: Option<String>,
        /// Only actors that take messages of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
    /// Who supervises whom on a node, or on all nodes
    Tree {
        /// The node's name
        #[arg(value_name = "NODE")]
        on: Option<String>,
        /// Look again each second, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Which actors and nodes are left alone since they are not well, as a node sees it, or all nodes
    Breakers(BreakersArgs),
    /// Messages that crashed their actor, or were left when it ended
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Send a message and print the reply
    Ask(MessageArgs),
    /// Send a message, or one for each line of stdin, without waiting for a reply
    Tell(TellArgs),
    /// Send a message and print what it is answered with, item by item
    Stream(StreamArgs),
    /// Tell a message to all who have subscribed to a topic, and say what became of it at each
    Publish(PublishArgs),
    /// Print what is published on a topic, one message a line, until Ctrl-C
    Subscribe(SubscribeArgs),
    /// Start, place and stop actors of registered kinds
    #[command(subcommand)]
    Actor(ActorCommand),
    /// Let a node leave: it takes no more work, its actors finish, and its process ends
    Drain {
        /// The node
        #[arg(id = "drained", value_name = "NODE")]
        node: String,
        /// How long to wait until it has left
        #[arg(long, value_name = "TIME", default_value = "1min", value_parser = timeout)]
        timeout: Duration,
    },
    /// Check and run workflow files
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Add to, search and forget what agents remember
    Memory(super::memory::MemoryArgs),
    /// What agents ask of people before they go on, and the answers
    Approvals {
        /// What to do; left out, what waits is listed
        #[command(subcommand)]
        command: Option<ApprovalsCommand>,
    },
    /// Start, see and control runs of durable agents
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Give a swarm tasks, and see what became of them
    #[command(subcommand)]
    Swarm(super::swarm::SwarmCommand),
    /// Back up and restore the store of runs, on the machine that has it
    #[command(subcommand)]
    Store(StoreCommand),
    /// See and call the tools that nodes offer
    #[command(subcommand)]
    Tools(super::tools::ToolsCommand),
    /// Serve the mesh's tools by MCP over stdin and stdout, for the program that starts this one
    Mcp(super::mcp::McpArgs),
    /// Make tokens that let machines and clients in, where the authority's key is
    #[command(subcommand)]
    Token(TokenCommand),
    /// Get a client identity for a join token, and store it in the state folder
    Enroll(EnrollArgs),
    /// See and change who is trusted
    #[command(subcommand)]
    Ca(CaCommand),
    /// Print a script that completes commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What can be done with actors.
#[derive(Debug, Subcommand)]
pub enum ActorCommand {
    /// Start an actor of a registered kind on a node
    Spawn {
        /// Where
        #[arg(value_name = "NODE")]
        on: String,
        /// One of the kinds that the node registers
        kind: String,
        /// What it is called there
        name: String,
        /// What the kind needs to know
        #[arg(long, value_name = "JSON", default_value = "{}", value_parser = json)]
        args: String,
        /// How long it may take
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
        timeout: Duration,
    },
    /// Have an actor live on one node, and on another one when that dies
    Place(PlaceArgs),
    /// End a placed actor after the message that it handles
    Unplace {
        /// Its name
        name: String,
        /// How long it may take
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
        timeout: Duration,
    },
    /// Spread the placed actors evenly over the nodes that can run them
    Rebalance {
        /// How long it may take to decide
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
        timeout: Duration,
    },
    /// The placed actors, and where they are
    Placements,
    /// Stop an actor after the message that it handles
    Stop {
        /// The actor, as NODE/NAME
        path: ActorPath,
        /// How long it may take
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
        timeout: Duration,
    },
}

/// What can be done with workflow files.
#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Tell what is wrong with a file, or what it will do; needs no node
    Check {
        /// The workflow
        file: PathBuf,
        /// Take unknown keys for errors
        #[arg(long)]
        strict: bool,
    },
    /// Run a file on the mesh and print what happens
    Run(RunArgs),
    /// Go on with a run whose file has checkpoints: after its node died, its reader went, or a stage failed
    Resume(ResumeArgs),
    /// Print the JSON Schema of workflow files
    Schema,
}

/// A run of a workflow that is in a store.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run
    pub run: String,
    /// The file that it was started by [default: what it was called then]; it is refused if it has changed
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Go on by the file as it was, though it has changed since
    #[arg(long, conflicts_with = "file")]
    pub as_stored: bool,
    /// Where, if several nodes share the store [default: where it was last]
    #[arg(long, value_name = "NODE")]
    pub on: Option<String>,
    /// How long to wait for the end of the run
    #[arg(long, value_name = "TIME", default_value = "30min", value_parser = timeout)]
    pub timeout: Duration,
}

/// A run of a workflow.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The workflow
    pub file: PathBuf,
    /// What it is to do; @FILE reads it from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    pub task: String,
    /// Take unknown keys for errors
    #[arg(long)]
    pub strict: bool,
    /// How long the whole run may take
    #[arg(long, value_name = "TIME", default_value = "30min", value_parser = timeout)]
    pub timeout: Duration,
}

/// Without any time nothing could come back, however well the mesh is.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match crate::config::duration(text)? {
        Duration::ZERO => Err(format!("{text:?} leaves no time: give more than zero, such as \"5s\"")),
        timeout => Ok(timeout),
    }
}

fn address(text: &str) -> Result<String, String> {
    crate::config::host_and_port(text).map(|()| text.to_owned())
}

/// What a shell has mangled is found here, with its place, rather than by the actor.
pub(super) fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

fn json_or_dash(text: &str) -> Result<String, String> {
    if text == "-" { Ok(text.to_owned()) } else { json(text) }
}
