use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, host_and_port};

/// Which built-in tools this node offers to agents and clients of the mesh; none unless they are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct ToolSettings {
    /// The tools: "read_file", "write_file", "list_files", "http_fetch", "run_command". Each is found by all nodes as
    /// `NODE/tools/NAME`, and may be called by clients that were granted it.
    pub offer: Vec<String>,
    /// The folder that the tools for files work in, and commands: no path leads out of it. Default: none, to be given for
    /// those tools.
    #[schemars(with = "Option<String>", example = &"workspace")]
    pub folder: Option<PathBuf>,
    /// Hosts, each HOST:PORT, that http_fetch reaches although their addresses are private. All public ones it reaches
    /// anyway.
    pub fetch_hosts: Vec<String>,
    /// The programs that run_command runs, by their names in /usr/local/bin, /usr/bin or /bin. They are confined by
    /// Landlock and seccomp: they write in `folder` alone, read no secrets, and have no network. One that runs others,
    /// such as a shell, lets all of them run.
    pub commands: Vec<String>,
}

/// The tools that there are.
pub(crate) const TOOLS: [&str; 5] = ["read_file", "write_file", "list_files", "http_fetch", "run_command"];

impl ToolSettings {
    /// Whether a tool is to be offered.
    #[must_use]
    pub fn offers(&self, tool: &str) -> bool {
        self.offer.iter().any(|offered| offered == tool)
    }

    pub(super) fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |key: String, message: String| problems.push(Problem::new(key, message));
        for (index, tool) in self.offer.iter().enumerate() {
            if !TOOLS.contains(&tool.as_str()) {
                let message = format!("there is no tool {tool:?}; there are {}", TOOLS.join(", "));
                problem(format!("tools.offer[{index}]"), message);
            }
        }
        let in_folder = TOOLS.into_iter().filter(|tool| *tool != "http_fetch");
        if let Some(tool) = in_folder.into_iter().find(|tool| self.offers(tool))
            && self.folder.is_none()
        {
            problem("tools.folder".to_owned(), format!("{tool} needs a folder to work in"));
        }
        if self.offers("run_command") && self.commands.is_empty() {
            problem("tools.commands".to_owned(), "run_command needs the programs that it may run".to_owned());
        }
        for (index, host) in self.fetch_hosts.iter().enumerate() {
            if let Err(error) = host_and_port(host) {
                problem(format!("tools.fetch_hosts[{index}]"), error);
            }
        }
        problems
    }
}
