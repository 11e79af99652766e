//! The file that says that a node is there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::state::{StateError, replace};

/// Where a node is reached, for programs that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// Its id: it stays the same from run to run, as long as the node keeps its key.
    pub id: String,
    /// HOST:PORT that others should use.
    pub addr: String,
    /// The mesh that it is a node of.
    pub cluster: String,
    /// The process.
    pub pid: u32,
    /// URL of its HTTP interface; `null` if it serves none.
    pub http: Option<String>,
    /// URL at which it serves MCP; left out where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<String>,
}

impl Ready {
    /// Writes the file in one step: whoever sees it sees all of it.
    ///
    /// # Errors
    /// When its folder is missing or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let mut text = serde_json::to_string(self).expect("texts and a number are JSON");
        text.push('\n');
        replace(path, text.as_bytes(), 0o644)
    }

    /// Removes the file of an earlier run, which whoever waits for this one would believe.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub fn forget(path: &Path) -> Result<(), StateError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StateError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// When there is none, or it is something else.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}
