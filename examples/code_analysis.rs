//! Measures a tree of Rust sources in three stages: parse, measure, report.
//!
//! Run with `cargo run -p mesh-examples --example code_analysis -- crates/mesh-proto`

use std::env;
use std::path::PathBuf;

use mesh_examples::code_analysis::{measure, parse, report, rust_files};

#[expect(clippy::print_stdout, reason = "an example shows what it found")]
fn main() -> anyhow::Result<()> {
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let files = rust_files(&root)?;
    let measures = files.iter().map(|file| measure(&parse(file)?)).collect::<Result<Vec<_>, _>>()?;
    println!("{}", report(&measures, 5));
    Ok(())
}
