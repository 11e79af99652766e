use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::time::{Instant, interval};

use super::Folder;

/// A node binds, and makes its keys when it is new.
const START_MAX: Duration = Duration::from_secs(30);

/// This program once more, as a node; killed when it is dropped.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    addr: String,
}

impl NodeProcess {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(folder: &Folder, model_url: Option<&str>) -> Result<Self> {
        let (state, ready) = (folder.state(), folder.state().join("ready.json"));
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--name", "alpha", "--listen", "127.0.0.1:0"]).arg("--state").arg(state);
        command.arg("--config").arg(state.join("node.toml")).arg("--ready-file").arg(&ready);
        if let Some(url) = model_url {
            command.env("MESH_MODEL_URL", url);
        }
        let log = fs::File::create(state.join("node.log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut node = Self { child, addr: String::new() };
        let (end, mut looks) = (Instant::now() + START_MAX, interval(Duration::from_millis(50)));
        while node.addr.is_empty() {
            looks.tick().await;
            if let Some(status) = node.child.try_wait()? {
                bail!("the node ended with {status}: {}", fs::read_to_string(state.join("node.log"))?);
            }
            if Instant::now() > end {
                bail!("the node is not ready after {START_MAX:?}");
            }
            // The file appears whole or not at all.
            if let Ok(text) = fs::read(&ready) {
                let ready: Value = serde_json::from_slice(&text)?;
                node.addr = ready["addr"].as_str().context("the ready file tells the address")?.to_owned();
            }
        }
        Ok(node)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill9(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
