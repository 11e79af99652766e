//! `store backup` and `store restore`: the runs of durable agents, as one file.
//!
//! These open the store themselves, on the machine that has it; nodes may use it meanwhile.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mesh_store::{BackupReport, StoreError};
use serde_json::json;

use super::args::CtlArgs;
use super::error::{CtlError, Document};
use super::output::Output;
use crate::store::{self, FILE};

/// What can be done with the store of runs.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Write everything that is in the store into a new file, while it is in use
    Backup(FileArgs),
    /// Fill an empty store with what a backup has
    Restore(FileArgs),
}

/// A backup, and the store that it is of.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The backup
    pub file: PathBuf,
    /// The store, sqlite:PATH or postgres://… [default: the file of a node of the state folder]
    #[arg(long, value_name = "URL", env = "MESH_STORE", hide_env_values = true, value_parser = url)]
    pub store: Option<String>,
    /// Which node's file, if the state folder has several
    #[arg(long, value_name = "NODE", value_parser = name, conflicts_with = "store")]
    pub of: Option<String>,
}

pub(super) async fn run(
    args: &CtlArgs,
    command: &StoreCommand,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let (StoreCommand::Backup(file) | StoreCommand::Restore(file)) = command;
    let is_backup = matches!(command, StoreCommand::Backup(_));
    let folder = match (&file.store, &file.of) {
        (Some(_), _) => PathBuf::new(),
        (None, Some(node)) => args.state.join("nodes").join(node),
        (None, None) => only_node(&args.state, is_backup)?,
    };
    if is_backup && file.store.is_none() && !folder.join(FILE).is_file() {
        return Err(CtlError::Usage(format!("there is no store in {}", folder.display())));
    }
    let store = store::open(file.store.as_deref(), &folder).await.map_err(|error| refused(&error))?;
    let moved = if is_backup { store.backup(&file.file).await } else { store.restore(&file.file).await };
    store.close().await;
    let BackupReport { rows, bytes, .. } = moved.map_err(|error| refused(&error))?;
    if output.is_json {
        return Ok(output.document(&json!({ "file": file.file, "rows": rows, "bytes": bytes }))?);
    }
    let what = if is_backup { "written to" } else { "read from" };
    Ok(output.line(&format!("{rows} rows, {bytes} bytes {what} {}", file.file.display()))?)
}

/// The folder of the only node that has a store; for a restore, that has none with anything in it need not exist.
fn only_node(state: &Path, must_have: bool) -> Result<PathBuf, CtlError> {
    let nodes = fs::read_dir(state.join("nodes")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = nodes.map(|node| node.path()).filter(|path| path.is_dir()).collect();
    if must_have {
        folders.retain(|folder| folder.join(FILE).is_file());
    }
    folders.sort();
    let names =
        folders.iter().filter_map(|folder| folder.file_name()?.to_str()).collect::<Vec<_>>().join(", ");
    match folders.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            Err(CtlError::Usage(format!("no node in {} has a store; name one with --store", state.display())))
        }
        _ => Err(CtlError::Usage(format!("say which node's store with --of; there are: {names}"))),
    }
}

fn refused(error: &StoreError) -> CtlError {
    let mut document = Document::own(error.code(), error.to_string());
    document.may_have_run = error.may_have_been_written();
    document.into()
}

fn url(text: &str) -> Result<String, String> {
    store::check(text).map(|()| text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    mesh_net::check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
