//! Who is not let in any more: a file with an entry a line, which every node of the folder follows.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mesh_net::Denied;

use super::StateError;
use super::file::replace;

const NAME: &str = "denied";

/// The deny list of a state folder.
#[derive(Debug, Clone)]
pub(crate) struct DeniedFile {
    path: PathBuf,
}

/// What tells one state of a file from the next.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

impl DeniedFile {
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.join(NAME) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the list; without a file, nobody is denied.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is no entry: half of a list would let somebody in.
    pub(crate) fn read(&self) -> Result<Vec<Denied>, StateError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StateError::io("read", &self.path)(error)),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| line.parse().map_err(|error| StateError::broken(&self.path, &error))).collect()
    }

    /// Writes the list in one step, for all nodes of the folder to see.
    pub(crate) fn write(&self, entries: &[Denied]) -> Result<(), StateError> {
        let text: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        replace(&self.path, text.as_bytes(), 0o600)
    }
}

/// The state of a file; `None` where there is none.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}
