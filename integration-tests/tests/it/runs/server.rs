//! A Postgres server for the length of a test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use integration_tests::workspace;

/// A server, which ends when this is dropped, or its process dies.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    /// A server of its own; where there is none, says why.
    pub(crate) fn start() -> Result<Self, String> {
        // Short, for the socket; others must be able to walk through it, since the server is another user.
        let folder =
            tempfile::Builder::new().prefix("mesh-pg").tempdir_in("/tmp").map_err(|e| e.to_string())?;
        let mut child = Command::new(workspace().join("scripts/postgres.sh"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it was started with a pipe");
        BufReader::new(stdout).read_line(&mut url).map_err(|error| error.to_string())?;
        if url.trim().is_empty() {
            let mut reason = String::new();
            let mut stderr = child.stderr.take().expect("it was started with a pipe");
            stderr.read_to_string(&mut reason).map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(reason);
        }
        Ok(Self { child, url: url.trim().to_owned(), _folder: folder })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It fails only for a child that was waited for already.
        let _ = self.child.wait();
    }
}
