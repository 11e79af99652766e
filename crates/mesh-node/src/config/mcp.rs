use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mesh_mcp::client::{ServerSpec, Transport};
use mesh_proto::ActorPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, units};

/// An MCP server whose tools this node offers to the mesh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpSettings {
    /// Its name: 1 to 24 of a-z, 0-9 and -. Its tools are called NAME__TOOL.
    pub name: String,
    /// The program and its arguments, for a server that this node starts and speaks to over its stdin and stdout. It ends with
    /// the node.
    #[serde(default)]
    pub command: Vec<String>,
    /// The variables of the node's environment that it gets; no others. Default: "PATH", "HOME".
    #[serde(default = "path_and_home")]
    pub env: Vec<String>,
    /// The folder in which it runs. Default: the node's.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub folder: Option<PathBuf>,
    /// In place of a command: where a server is reached by streamable HTTP.
    #[serde(default)]
    pub url: Option<String>,
    /// Headers of each request to that URL: "env:NAME" is what that variable of the environment says, "file:PATH" what stands in
    /// that file. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long one call may run; 1 ms to 1 h. Default: 30 s.
    #[serde(default = "half_a_minute", with = "units::duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How long it may take to start; 1 ms to 1 h. Default: 30 s. After that, and whenever it is lost, it is tried again, with
    /// pauses of up to 15 s.
    #[serde(default = "half_a_minute", with = "units::duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// Whether to believe what it says of its tools: that one only reads, destroys nothing, or may be called twice. Default:
    /// false, so that policies take the worst of each.
    #[serde(default)]
    pub trust_hints: bool,
}

fn path_and_home() -> Vec<String> {
    ["PATH", "HOME"].map(str::to_owned).to_vec()
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

impl McpSettings {
    /// The server, but for its environment and its headers, which nothing here may read.
    pub(crate) fn spec(&self) -> ServerSpec {
        let transport = match &self.url {
            Some(url) => Transport::Http { url: url.clone(), headers: BTreeMap::new() },
            None => Transport::Command {
                command: self.command.clone(),
                env: BTreeMap::new(),
                folder: self.folder.clone(),
            },
        };
        let mut spec = ServerSpec::new(self.name.clone(), transport);
        spec.timeout = self.timeout;
        spec.connect_timeout = self.connect_timeout;
        spec.trusts_hints = self.trust_hints;
        spec
    }
}

/// Whether this node is an MCP server itself, for programs of this machine: its tools are those of the whole mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct McpServerSettings {
    /// Address of this machine to serve streamable HTTP on, at the path /mcp. Default: none, so it serves none. `meshctl mcp`
    /// serves over stdin and stdout without it.
    #[serde(with = "units::address")]
    #[schemars(with = "Option<String>", example = &"127.0.0.1:7980")]
    pub address: Option<SocketAddr>,
    /// File with the token that each request has to bring. Default: mcp-token in the node's part of the state folder, which is
    /// made when it is not there.
    #[schemars(with = "Option<String>", example = &"mcp-token")]
    pub bearer_file: Option<PathBuf>,
    /// Folder with the client identity (ca.pem, cert.pem, key.pem) as which its callers act: they may do what was granted to that
    /// client. Default: the client of the state folder, which may do all.
    #[schemars(with = "Option<String>", example = &"mcp-client")]
    pub identity: Option<PathBuf>,
    /// Agents to offer beside all tools, each by its path: a tool agent_NODE_NAME takes work for it.
    pub share_agents: Vec<String>,
}

const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn problems(servers: &[McpSettings], own: &McpServerSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, server) in servers.iter().enumerate() {
        let mut problem = |key: &str, message: String| {
            problems.push(Problem::new(format!("mcp[{index}].{key}"), message));
        };
        if !names.insert(&server.name) {
            problem("name", format!("{:?} is the name of an earlier server", server.name));
        }
        if server.url.is_some() != server.command.is_empty() {
            problem("command", "either a command or a url is wanted".to_owned());
            continue;
        }
        if let Err(error) = server.spec().check() {
            problem(error.key, error.reason);
        }
        for (key, time) in [("timeout", server.timeout), ("connect_timeout", server.connect_timeout)] {
            if time < MOMENT || time > HOUR {
                problem(key, format!("{time:?} is not within 1 ms and 1 h"));
            }
        }
        for (name, value) in &server.headers {
            let is_place = value
                .split_once(':')
                .is_some_and(|(place, of)| matches!(place, "env" | "file") && !of.is_empty());
            if !is_place {
                problem(&format!("headers.{name}"), "\"env:NAME\" or \"file:PATH\" is wanted".to_owned());
            }
        }
        if !server.headers.is_empty() && server.url.is_none() {
            problem("headers", "they are for a url".to_owned());
        }
    }
    if let Some(address) = own.address.filter(|address| !address.ip().is_loopback()) {
        let message =
            format!("{address} is reached by other machines: an address such as 127.0.0.1:7980 is wanted");
        problems.push(Problem::new("mcp_server.address", message));
    }
    for (index, path) in own.share_agents.iter().enumerate() {
        if let Err(error) = path.parse::<ActorPath>() {
            problems.push(Problem::new(format!("mcp_server.share_agents[{index}]"), error.to_string()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, read};

    #[test]
    fn a_server_has_a_command_or_a_url_and_every_mistake_is_named() {
        let file = r#"
            [mcp_server]
            address = "0.0.0.0:7980"
            share_agents = ["a//b"]
            [[mcp]]
            name = "files"
            command = ["server"]
            [[mcp]]
            name = "files"
            command = ["server"]
            url = "http://127.0.0.1:1/mcp"
            [[mcp]]
            name = "Upper"
            command = ["server"]
            timeout = "2h"
            headers = { A = "env:A" }
            [[mcp]]
            name = "far"
            url = "ftp://far.example"
            headers = { A = "secret", B = "file:b" }
        "#;
        let problems = read(Some(("node.toml", file)), |_| None, Layer::default()).unwrap_err();
        let places: Vec<_> = problems.0.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "node.toml: mcp[1].name",
                "node.toml: mcp[1].command",
                "node.toml: mcp[2].name",
                "node.toml: mcp[2].timeout",
                "node.toml: mcp[2].headers",
                "node.toml: mcp[3].url",
                "node.toml: mcp[3].headers.A",
                "node.toml: mcp_server.address",
                "node.toml: mcp_server.share_agents[0]",
            ],
            "{problems}"
        );
    }
}
