//! A node with the standard kinds of actors.

use std::io::Write;
use std::process::ExitCode;

use mesh_node::{Node, NodeError};

fn main() -> ExitCode {
    let ended = mesh_node::runtime().map_err(NodeError::from).and_then(|runtime| {
        let ended = runtime.block_on(run());
        // Dropping it would wait for an actor that never yields, with nobody left to hear a signal.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {error:?}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run() -> Result<(), NodeError> {
    Node::from_args()?.with_standard_kinds()?.run().await
}
