use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The folder that the agent works in, and one beside it for what its node keeps.
#[derive(Debug)]
pub struct Folder {
    work: PathBuf,
    state: TempDir,
}

impl Folder {
    /// The folder that is given, or one with two small files.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn prepare(given: Option<PathBuf>) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let work = match given {
            Some(given) => given.canonicalize().with_context(|| given.display().to_string())?,
            None => {
                let work = state.path().join("work");
                fs::create_dir(&work)?;
                fs::write(work.join("monday.txt"), "The pump is loud again. Ordered a new bearing.\n")?;
                fs::write(work.join("tuesday.txt"), "Bearing has come. Changed it; the pump is quiet.\n")?;
                work
            }
        };
        fs::write(state.path().join("node.toml"), settings(&work))?;
        Ok(Self { work, state })
    }

    /// Where the node keeps its keys, its runs and its approvals.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// What the agent has written.
    ///
    /// # Errors
    /// When it has not.
    pub fn summary(&self) -> Result<String> {
        Ok(fs::read_to_string(self.work.join("summary.txt"))?)
    }
}

/// The tools and the agent of the node: it may read and write, and people look at what it writes.
fn settings(work: &Path) -> String {
    format!(
        r#"run_lease = "1s"

[approvals]
patience = "10min"

[[approvals.policy]]
patterns = ["write*"]
level = "confirm"

[tools]
offer = ["list_files", "read_file", "write_file"]
folder = {:?}

[[assistants]]
name = "clerk"
tools = ["list_files", "read_file", "write_file"]
turns_max = 20
"#,
        work.display().to_string()
    )
}
