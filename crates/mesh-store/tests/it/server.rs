//! A Postgres server for the length of the tests.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server, which ends when this is dropped, or its process dies.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// The server of `MESH_POSTGRES_URL`, or one of its own; where there is none, says why.
    pub(crate) fn start() -> Result<Self, String> {
        if let Ok(url) = std::env::var("MESH_POSTGRES_URL") {
            return Ok(Self { child: None, url, _folder: None });
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
        // Short, for the socket; others must be able to walk through it, since the server is another user.
        let folder =
            tempfile::Builder::new().prefix("mesh-pg").tempdir_in("/tmp").map_err(|e| e.to_string())?;
        let mut child = Command::new(script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .map_err(|error| error.to_string())?;
        if url.trim().is_empty() {
            let mut reason = String::new();
            child.stderr.take().unwrap().read_to_string(&mut reason).map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(reason);
        }
        Ok(Self { child: Some(child), url: url.trim().to_owned(), _folder: Some(folder) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}
