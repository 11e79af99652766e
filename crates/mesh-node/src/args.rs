//! The command line of a node.

use std::path::PathBuf;

use clap::Parser;
use toml::Value;

use crate::config::{Given, Layer};

/// The arguments of a node's process, exactly as they were typed.
///
/// Values stay text here: what is wrong with them is told together with what is wrong in the file and in the
/// environment, not one mistake at a time.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "mesh-node", version, about = "A node of the mesh: a process in which actors live", long_about = None)]
#[command(after_help = AFTER_HELP, max_term_width = 110)]
pub struct NodeArgs {
    /// Name of this node, a DNS label [default: a generated one]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Address to listen on [default: 127.0.0.1:7946, or the next free port]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<String>,

    /// Address under which others reach this node [default: the one listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// A node of the mesh to join; may be repeated, one that answers is enough
    #[arg(long, value_name = "HOST:PORT")]
    pub join: Vec<String>,

    /// Folder of keys and certificates, shared by the nodes of one user [default: .mesh]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Settings, as in config/node.toml
    #[arg(long, value_name = "FILE", env = "MESH_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// What this node offers, for placement; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,

    /// Write name, address and process id here once the node answers messages
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,

    /// Publish echo, slow, crash, count and ticks on this node, for tests and trials
    #[arg(long)]
    pub lab_actors: bool,

    /// File with the join token of a mesh whose authority is on another machine [env: MESH_JOIN_TOKEN is the token]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Where the runs of durable agents are, sqlite:PATH or postgres://… [default: a file in the state folder]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// Address to serve HTTP on, for the dashboard and the API [default: no HTTP]
    #[arg(long, value_name = "IP:PORT")]
    pub http: Option<String>,

    /// Serve MCP on this address of this machine, to whoever has the token in the state folder [default: serve none]
    #[arg(long, value_name = "IP:PORT")]
    pub mcp: Option<String>,
}

/// The variables that stand for arguments which are settings of no file.
pub(crate) const VARIABLES: [&str; 3] = ["MESH_CONFIG", "MESH_TOKEN_FILE", "MESH_JOIN_TOKEN"];

const AFTER_HELP: &str = "\
Every key of the settings file is also an environment variable: MESH_LISTEN,
MESH_TRANSPORT_PROFILE, … Where a setting is given more than once, the first
of these counts: command line, environment, file, default.

SIGTERM or Ctrl-C: leave the mesh in order; once more: end at once.

Exit codes:
  0  left in order
  1  could not run or join
  2  wrong arguments or settings; every problem is listed";

impl NodeArgs {
    /// What was given on the command line, by the keys of the settings file.
    pub(crate) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        let path = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
        let mut text = |key: &'static str, flag: &str, value: &Option<String>| {
            layer.extend(value.clone().map(|value| Given::new(&[key], flag, Value::String(value))));
        };
        text("name", "--name", &self.name);
        text("listen", "--listen", &self.listen);
        text("advertise", "--advertise", &self.advertise);
        text("store", "--store", &self.store);
        text("http", "--http", &self.http);
        let mcp = self.mcp.clone().map(Value::String);
        layer.extend(mcp.map(|value| Given::new(&["mcp_server", "address"], "--mcp", value)));
        layer.extend(self.state.as_ref().map(|value| Given::new(&["state"], "--state", path(value))));
        layer.extend(
            self.ready_file.as_ref().map(|value| Given::new(&["ready_file"], "--ready-file", path(value))),
        );
        layer.extend(
            self.lab_actors.then(|| Given::new(&["lab_actors"], "--lab-actors", Value::Boolean(true))),
        );
        layer.extend(
            self.token_file.as_ref().map(|value| Given::new(&["token_file"], "--token-file", path(value))),
        );
        if !self.join.is_empty() {
            let seeds = self.join.iter().cloned().map(Value::String).collect();
            layer.extend(Some(Given::new(&["join"], "--join", Value::Array(seeds))));
        }
        for label in &self.label {
            layer.label("--label", label);
        }
        layer
    }
}
