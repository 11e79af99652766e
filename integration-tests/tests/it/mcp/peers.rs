//! What the tests speak to.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_tests::{Ctl, Lab, Process, eventually, workspace};
use serde_json::{Value, json};

/// A server in Node or Python takes seconds to start where others build.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// Installed by `scripts/mcp-peers.sh`, once.
pub(super) struct Peers {
    /// `@modelcontextprotocol/server-everything`.
    pub(super) everything: String,
    /// Has the SDK.
    pub(super) python: String,
}

impl Peers {
    /// They, or why they are not to be had here, which is printed.
    pub(super) fn find() -> Option<Self> {
        let output = Command::new(workspace().join("scripts/mcp-peers.sh")).output();
        let output = output.expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = said.lines().map(str::to_owned);
        match (lines.next(), lines.next()) {
            (Some(everything), Some(python)) if output.status.success() => Some(Self { everything, python }),
            _ => {
                integration_tests::report(&format!(
                    "skipped: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ));
                None
            }
        }
    }

    /// A file beside this one.
    pub(super) fn script(name: &str) -> String {
        workspace().join("integration-tests/tests/it/mcp").join(name).display().to_string()
    }

    /// The test server, by HTTP, at a port of this machine.
    pub(super) fn everything_at(&self, port: u16, log: &Path) -> Process {
        let mut command = Command::new("node");
        command.args([&self.everything, "streamableHttp"]).env("PORT", port.to_string()).stdin(Stdio::null());
        Process::start(&mut command, log)
    }
}

/// A port that was free just now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A settings file of the lab's.
pub(super) fn settings(lab: &Lab, name: &str, text: &str) -> String {
    let path = lab.path(name);
    fs::write(&path, text).expect("the lab's folder takes a file");
    path.display().to_string()
}

pub(super) fn folder(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.path(name);
    fs::create_dir_all(&path).expect("the lab's folder takes one more");
    path
}

/// Waits until the tools that a node knows of are as wanted; them.
pub(super) fn tools(ctl: &Ctl<'_>, what: &str, are: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(what, SOON, || {
        let listed = ctl.try_json(&["tools", "list"])?;
        let listed = listed.as_array().cloned().unwrap_or_default();
        if are(&listed) { Ok(listed) } else { Err(format!("{:?}", names(&listed))) }
    })
}

pub(super) fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
}

pub(super) fn call(ctl: &Ctl<'_>, tool: &str, args: &Value) -> Value {
    ctl.json(&["tools", "call", tool, &args.to_string()])
}

/// Calls until it is answered; what is lost or down meanwhile is tried again.
pub(super) fn call_at_last(ctl: &Ctl<'_>, tool: &str, args: &Value) -> Value {
    eventually(&format!("an answer of {tool}"), SOON, || {
        ctl.try_json(&["tools", "call", tool, &args.to_string()])
    })
}

/// How a node's connection to a server is.
pub(super) fn described(ctl: &Ctl<'_>, server: &str) -> Value {
    ctl.json(&["ask", server, "mcp.describe.v1", &json!({}).to_string()])
}
