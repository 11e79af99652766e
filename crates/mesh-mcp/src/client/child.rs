//! A server as a process of this node's.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::spec::Secret;

/// How long a server may take to end once there is nothing more to read for it.
const END_MAX: Duration = Duration::from_secs(2);

/// A process and all that it started, killed when dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    // Dropped first: while its leader has not been waited for, its number is nobody else's.
    group: Group,
    child: Child,
    stderr: JoinSet<()>,
}

#[derive(Debug)]
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody may be left of it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl ServerProcess {
    /// Starts a server. It has no environment but what is given.
    pub(super) fn start(
        name: &str,
        command: &[String],
        env: &BTreeMap<String, Secret>,
        folder: Option<&Path>,
    ) -> io::Result<(Self, ChildStdout, ChildStdin)> {
        let (program, args) =
            command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program"))?;
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(env.iter().map(|(name, value)| (name, value.text())));
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let taken = child.stdout.take().zip(child.stdin.take());
        let (stdout, stdin) = taken.ok_or_else(|| io::Error::other("it has no pipes"))?;
        let mut stderr = JoinSet::new();
        if let Some(pipe) = child.stderr.take() {
            stderr.spawn(listen(name.to_owned(), pipe));
        }
        Ok((Self { group: Group(pid), child, stderr }, stdout, stdin))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits a little for a server whose stdin was closed, and kills what is left of it.
    pub(super) async fn end(mut self) {
        let ended = timeout(END_MAX, self.child.wait()).await;
        drop(self.group);
        if ended.is_err() {
            // It was killed just now.
            let _ = timeout(END_MAX, self.child.wait()).await;
        }
        self.stderr.abort_all();
    }
}

/// What a server says beside the protocol is for those who look for a defect of it.
async fn listen(server: String, mut pipe: ChildStderr) {
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes[..read]);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            tracing::debug!(server, line, "MCP server says");
        }
    }
}
