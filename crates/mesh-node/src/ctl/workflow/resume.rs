//! `workflow resume`.

use std::path::Path;

use mesh::WireMessage;
use mesh_agents::workflow::FILE_BYTES_MAX;
use mesh_agents::workflows::{ResumeWorkflow, Resumed, Workflows};
use mesh_store::ContentHash;

use super::super::args::ResumeArgs;
use super::super::connection::Connection;
use super::super::error::{CtlError, Document};
use super::super::output::Output;
use super::super::runs;
use super::progress::Progress;
use super::{CREATE_MAX, follow, read};

pub(in super::super) async fn resume(
    mesh: &Connection,
    args: &ResumeArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let node = match &args.on {
        Some(node) => node.clone(),
        None => runs::node_of(mesh, &args.run).await.map_err(|error| absent(error, &args.run))?,
    };
    let file_hash = args.file.as_deref().map(hash_of).transpose()?;
    let resume = ResumeWorkflow { run: args.run.clone(), file_hash };
    let path = format!("{node}/{}", Workflows::NAME);
    let body = serde_json::to_string(&resume).expect("texts are JSON");
    let reply = mesh.ask(&path, ResumeWorkflow::KIND, &body, CREATE_MAX).await?;
    let resumed: Resumed = serde_json::from_str(&reply).map_err(|error| {
        let message = format!("{path} answers in a way that this meshctl does not understand: {error}");
        CtlError::from(Document::own("BAD_REPLY", message))
    })?;
    if args.file.is_none() && !args.as_stored {
        unchanged(&resumed, &args.run)?;
    }
    follow(mesh, &resumed.path, args.timeout, Progress::of(&resumed.stages), output).await
}

/// Whoever changes a file and goes on with its run means the change to count, which it would not.
fn unchanged(resumed: &Resumed, run: &str) -> Result<(), CtlError> {
    let file = Path::new(&resumed.file);
    // Elsewhere, or moved since: the store has the text.
    let Ok(hash) = hash_of(file) else { return Ok(()) };
    if hash == resumed.file_hash {
        return Ok(());
    }
    let message = format!(
        "{} has changed since run {run} was started by it; go on by the file as it was (--as-stored), or run the new one",
        resumed.file
    );
    Err(Document::own("FILE_CHANGED", message).into())
}

fn hash_of(file: &Path) -> Result<String, CtlError> {
    Ok(ContentHash::of(read(file, FILE_BYTES_MAX)?.as_bytes()).to_string())
}

/// A run that no node has may be in the store of one that is away.
fn absent(error: CtlError, run: &str) -> CtlError {
    if !error.is_code("NO_SUCH_RUN") {
        return error;
    }
    let message = format!(
        "no node that is there has a run {run}; one in a node's own store goes on at that node alone, and one in a shared \
         store at any node of that store"
    );
    Document::own("NO_SUCH_RUN", message).into()
}
