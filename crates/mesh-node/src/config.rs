//! The settings of a node: the file, the environment and the command line, read as one.
//!
//! ```text
//! node.toml < MESH_* < --flags        each is a layer of keys; a later one overrules an earlier one, key by key
//! ```
//!
//! Every problem of all layers is told at once, each with the place that it was written at.

mod agent;
mod approvals;
mod assistant;
mod breakers;
mod key;
mod layer;
mod mcp;
mod problem;
mod read;
mod tools;
mod transport;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mesh::{LABELS_BYTES_MAX, LABELS_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::agent::AgentSettings;
pub use self::approvals::{ApprovalSettings, PolicySettings};
pub use self::assistant::AssistantSettings;
pub use self::breakers::BreakerSettings;
pub(crate) use self::key::{nearest, variables};
pub(crate) use self::layer::{Given, Layer};
pub use self::mcp::{McpServerSettings, McpSettings};
pub use self::problem::{Problem, Problems};
pub(crate) use self::read::read;
pub use self::tools::ToolSettings;
pub use self::transport::{Profile, TransportSettings};
pub(crate) use self::units::duration::parse as duration;

/// What a node is told before it starts.
///
/// Durations are written as `"250ms"`, `"10s"` or `"2min"`, sizes as `"64KiB"` or `"4MiB"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Name of this node: a DNS label (a-z, 0-9 and -, at most 63), unique in its mesh. Default: a generated one.
    #[schemars(example = &"alpha")]
    pub name: Option<String>,
    /// Address to listen on (UDP). Default: 127.0.0.1:7946, or the next free port when that one is taken. On an
    /// address that other machines reach, only those get in whose certificate is signed by the same authority: each
    /// gets one by a join token, which is shown on the terminal then, or made by `meshctl token create`.
    #[serde(with = "units::address")]
    #[schemars(with = "Option<String>", example = &"127.0.0.1:7946")]
    pub listen: Option<SocketAddr>,
    /// Address under which others reach this node, HOST:PORT. Default: the address listened on; to be given when
    /// that is 0.0.0.0 or behind a translation.
    #[schemars(example = &"alpha.example:7946")]
    pub advertise: Option<String>,
    /// Nodes of the mesh to join, each HOST:PORT; one that answers is enough. Names are resolved at each attempt.
    pub join: Vec<String>,
    /// Folder of keys and certificates. The nodes of one user may share it: the authority and the client identity are
    /// common, and each node has a folder of its own in it.
    pub state: PathBuf,
    /// File with a join token: for the first start of a node whose mesh has its authority on another machine, together
    /// with `join`. Once the node has its certificate the token is used up, and not read again. The environment variable
    /// MESH_JOIN_TOKEN is the token itself. Default: none.
    #[schemars(with = "Option<String>", example = &"token")]
    pub token_file: Option<PathBuf>,
    /// How long the certificates of nodes count that this one's authority issues; 10 s to 10 years. A node renews its
    /// own when a third of it is left.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub certificate_life: Duration,
    /// How long the certificates of clients count that this one's authority issues; 10 s to 10 years.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub client_certificate_life: Duration,
    /// Where the runs of durable agents are: `sqlite:PATH`, or `postgres://USER@HOST/DATABASE`, which several nodes may
    /// share, so that each can go on with the runs of the others. Default: the file store.db in the node's part of the
    /// state folder.
    #[schemars(example = &"postgres://mesh@db.example/mesh")]
    pub store: Option<String>,
    /// How long a run stays with a node that says nothing, before another one may take it up; 100 ms to 1 h.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub run_lease: Duration,
    /// Address to serve HTTP on (TCP), for the dashboard and the API; port 0 takes a free one. Whoever calls has to show
    /// the token of the file http-token in the node's part of the state folder. Default: no HTTP.
    #[serde(with = "units::address")]
    #[schemars(with = "Option<String>", example = &"127.0.0.1:7980")]
    pub http: Option<SocketAddr>,
    /// Names under which browsers may reach the HTTP interface, each HOST:PORT as they show it, besides its address and
    /// localhost. To be given when `http` is an address that other machines reach: the token travels as it is then, so
    /// that a proxy with TLS belongs in front.
    pub http_hosts: Vec<String>,
    /// Where to write `{"name","id","addr","cluster","pid","http"}` once the node answers messages. Default: nowhere.
    #[schemars(with = "Option<String>", example = &"alpha.json")]
    pub ready_file: Option<PathBuf>,
    /// Whether to publish echo, slow, crash, count and ticks on this node, for tests and trials.
    pub lab_actors: bool,
    /// What to log: a level (error, warn, info, debug, trace), or levels by module as in `info,mesh=debug`. The
    /// environment variable RUST_LOG is read where this is not set.
    #[schemars(example = &"info")]
    pub log: Option<String>,
    /// How long joining may take before the node gives up; 100 ms to 10 min.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub join_timeout: Duration,
    /// How long mailboxes may take to finish when the node leaves; up to 1 h.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub drain_timeout: Duration,
    /// How long a stream of answers is kept for a reader that was cut off, before its actor finds it closed; up to 1 h. 0s
    /// keeps none.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub stream_parking: Duration,
    /// How long a member that answers neither this node nor those that were asked to reach it may contradict before it is
    /// taken for dead; 2 s (lan) or 12 s (wan) to 10 min. Default: 6 s (lan), 20 s (wan). It has to be longer than a
    /// process may pause. With the defaults of lan, all know of a death in 7 to 10 s.
    #[serde(with = "units::duration_or_default")]
    #[schemars(with = "Option<String>", example = &"6s")]
    pub down_after: Option<Duration>,
    /// What this node offers, for placement: at most 16 labels of 1 KiB together. Keys are made of a-z, 0-9, ., _ and -;
    /// a key has at most 128 bytes, and so has a value.
    pub labels: BTreeMap<String, String>,
    /// The limits and clocks of connections to other nodes.
    pub transport: TransportSettings,
    /// When this node leaves an actor or another node alone that does not answer well, and for how long: the circuit
    /// breakers of what it asks through one.
    pub breakers: BreakerSettings,
    /// Which actions of agents people have to approve first, by `meshctl approvals`.
    pub approvals: ApprovalSettings,
    /// The built-in tools that this node offers.
    pub tools: ToolSettings,
    /// Whether this node is an MCP server itself, for programs of this machine: its tools are those of the whole mesh, and its
    /// callers act as a client.
    pub mcp_server: McpServerSettings,
    /// MCP servers whose tools this node offers to the mesh.
    pub mcp: Vec<McpSettings>,
    /// Actors that are spawned when the node starts, each of a kind that its binary registers.
    pub agents: Vec<AgentSettings>,
    /// Models with tools, as durable agents, which `meshctl runs start` starts.
    pub assistants: Vec<AssistantSettings>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        let node = mesh::NodeConfig::default();
        Self {
            name: None,
            listen: None,
            advertise: None,
            join: Vec::new(),
            state: PathBuf::from(".mesh"),
            token_file: None,
            certificate_life: mesh_net::Lives::default().node,
            client_certificate_life: mesh_net::Lives::default().client,
            store: None,
            run_lease: mesh_agents::durable::RunSettings::default().lease,
            http: None,
            http_hosts: Vec::new(),
            ready_file: None,
            lab_actors: false,
            log: None,
            join_timeout: node.join_timeout,
            drain_timeout: node.drain_timeout,
            stream_parking: node.stream_parking,
            down_after: None,
            labels: BTreeMap::new(),
            transport: TransportSettings::default(),
            breakers: BreakerSettings::default(),
            approvals: ApprovalSettings::default(),
            tools: ToolSettings::default(),
            mcp_server: McpServerSettings::default(),
            mcp: Vec::new(),
            agents: Vec::new(),
            assistants: Vec::new(),
        }
    }
}

const CERTIFICATE_LIFE_MIN: Duration = Duration::from_secs(10);
const CERTIFICATE_LIFE_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
const LABEL_BYTES_MAX: usize = 128;

impl NodeSettings {
    /// What they come to for SWIM, but for the seeds.
    #[must_use]
    pub fn membership(&self) -> mesh::MembershipConfig {
        let base = match self.transport.profile {
            Profile::Lan => mesh::MembershipConfig::lan(),
            Profile::Wan => mesh::MembershipConfig::wan(),
        };
        mesh::MembershipConfig { suspicion: self.down_after.unwrap_or(base.suspicion), ..base }
    }

    /// What they come to for a node that listens on `listen`.
    pub(crate) fn of_node(&self, listen: SocketAddr) -> mesh::NodeConfig {
        mesh::NodeConfig {
            listen,
            advertise: self.advertise.clone(),
            seeds: self.join.clone(),
            labels: self.labels.clone(),
            transport: self.transport.config(),
            join_timeout: self.join_timeout,
            drain_timeout: self.drain_timeout,
            stream_parking: self.stream_parking,
            breakers: self.breakers.config(),
            membership: self.membership(),
        }
    }

    fn http_problems(&self) -> Option<Problem> {
        let http = self.http.filter(|http| !http.ip().is_loopback() && self.http_hosts.is_empty())?;
        let message =
            format!("{http} is reached by other machines: say with http_hosts under which HOST:PORT");
        Some(Problem::new("http_hosts", message))
    }

    /// Every setting that cannot be used, with its key path.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |key: String, message: String| problems.push(Problem::new(key, message));
        if let Some(Err(error)) = self.name.as_deref().map(mesh_name) {
            problem("name".to_owned(), error);
        }
        for (index, seed) in self.join.iter().enumerate() {
            if let Err(error) = host_and_port(seed) {
                problem(format!("join[{index}]"), error);
            }
        }
        if let Some(Err(error)) = self.advertise.as_deref().map(host_and_port) {
            problem("advertise".to_owned(), error);
        }
        if let Some(listen) =
            self.listen.filter(|listen| listen.ip().is_unspecified() && self.advertise.is_none())
        {
            problem(
                "advertise".to_owned(),
                format!(
                    "others cannot reach {listen}: say with --advertise HOST:PORT under which address they can"
                ),
            );
        }
        if let Some(Err(error)) = self.store.as_deref().map(crate::store::check) {
            problem("store".to_owned(), error);
        }
        problems.extend(self.http_problems());
        let mut problem = |key: String, message: String| problems.push(Problem::new(key, message));
        if let Some(Err(error)) = self.log.as_deref().map(tracing_subscriber::EnvFilter::try_new) {
            problem("log".to_owned(), error.to_string());
        }
        for (key, value, min, max) in [
            ("join_timeout", self.join_timeout, Duration::from_millis(100), Duration::from_secs(600)),
            ("certificate_life", self.certificate_life, CERTIFICATE_LIFE_MIN, CERTIFICATE_LIFE_MAX),
            (
                "client_certificate_life",
                self.client_certificate_life,
                CERTIFICATE_LIFE_MIN,
                CERTIFICATE_LIFE_MAX,
            ),
            ("drain_timeout", self.drain_timeout, Duration::ZERO, Duration::from_secs(3600)),
            ("stream_parking", self.stream_parking, Duration::ZERO, Duration::from_secs(3600)),
            ("run_lease", self.run_lease, Duration::from_millis(100), Duration::from_secs(3600)),
        ] {
            if value < min || value > max {
                problem(key.to_owned(), format!("{value:?} is not within {min:?} to {max:?}"));
            }
        }
        problems.extend(label_problems("labels", &self.labels));
        let membership = self.membership();
        let (least, most) = (membership.probe_period * 4, Duration::from_secs(600));
        if membership.suspicion < least || membership.suspicion > most {
            let message = format!("{:?} is not within {least:?} to {most:?}", membership.suspicion);
            problems.push(Problem::new("down_after", message));
        }
        problems.extend(self.transport.validate());
        problems.extend(self.breakers.validate());
        problems.extend(approvals::problems(&self.approvals));
        problems.extend(self.tools.validate());
        problems.extend(mcp::problems(&self.mcp, &self.mcp_server));
        problems.extend(agent::problems(&self.agents));
        problems.extend(assistant::problems(&self.assistants));
        problems
    }
}

/// Checks a node's name.
fn mesh_name(name: &str) -> Result<(), String> {
    mesh_net::check_name(name).map_err(|error| error.to_string())
}

/// Checks HOST:PORT without resolving anything.
pub(crate) fn host_and_port(text: &str) -> Result<(), String> {
    let parts = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && (!host.contains(':') || host.starts_with('[')));
    match parts.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(port)) if port > 0 => Ok(()),
        _ => Err(format!("{text:?} is not HOST:PORT, for example 127.0.0.1:7946")),
    }
}

fn label_problems(path: &str, labels: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if labels.len() > LABELS_MAX {
        let message = format!("{} labels are given, at most {LABELS_MAX} are taken", labels.len());
        problems.push(Problem::new(path.to_owned(), message));
    }
    let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > LABELS_BYTES_MAX {
        let message = format!("keys and values have {bytes} bytes, at most {LABELS_BYTES_MAX} are taken");
        problems.push(Problem::new(path.to_owned(), message));
    }
    for (key, value) in labels {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if key.is_empty() || key.len() > LABEL_BYTES_MAX || !key.bytes().all(allowed) {
            let message = format!("{key:?} is not a label's key: use a-z, 0-9, '.', '_' and '-'");
            problems.push(Problem::new(format!("{path}.{key}"), message));
        }
        if value.len() > LABEL_BYTES_MAX {
            let message = format!("its value has {} bytes, at most {LABEL_BYTES_MAX}", value.len());
            problems.push(Problem::new(format!("{path}.{key}"), message));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
