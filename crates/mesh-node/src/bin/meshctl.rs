//! Speaks to a mesh from a shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_node::ctl::main()
}
