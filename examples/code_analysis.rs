//! Measures a tree of Rust sources in three stages, each on a node of its own: parse, measure, report.
//!
//! Run with `cargo run -p mesh-examples --example code_analysis -- crates/mesh-proto`

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Error, Result};
use futures::{StreamExt, TryStreamExt, stream};
use mesh::{ActorSpec, Authority, Node, NodeConfig, Runtimes};
use mesh_examples::code_analysis::{Analyst, FileMeasure, Measure, Parse, Summarize, rust_files};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    mesh_node::runtime()?.block_on(analyze())
}

#[expect(clippy::print_stdout, reason = "an example shows what it found")]
async fn analyze() -> Result<()> {
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let authority = Authority::create("analysis")?;
    let alpha = node(&authority, "alpha", None).await?;
    let beta = node(&authority, "beta", Some(&alpha)).await?;
    let gamma = node(&authority, "gamma", Some(&alpha)).await?;

    // Eight files are under way at once; each stage's mailbox would hold back more.
    let (parse, measure) =
        (gamma.mesh().recipient::<Parse>("alpha/stage")?, gamma.mesh().recipient("beta/stage")?);
    let (parse, measure) = (&parse, &measure);
    let measures: Vec<FileMeasure> = stream::iter(rust_files(&root)?)
        .map(async |file| {
            let file = parse.ask(Parse { file }).timeout(PATIENCE).await?.map_err(Error::msg)?;
            measure.ask(Measure { file }).timeout(PATIENCE).await?.map_err(Error::msg)
        })
        .buffered(8)
        .try_collect()
        .await?;
    let summarize = alpha.mesh().recipient::<Summarize>("gamma/stage")?;
    println!("{}", summarize.ask(Summarize { files: measures, top: 5 }).timeout(PATIENCE).await?);
    for node in [gamma, beta, alpha] {
        node.leave().await;
    }
    Ok(())
}

/// A node with one stage, joined to the mesh of `seed`.
async fn node(authority: &Authority, name: &str, seed: Option<&Node>) -> Result<Node> {
    let seeds = seed.map(|seed| seed.local_addr().to_string()).into_iter().collect();
    let config = NodeConfig { listen: ([127, 0, 0, 1], 0).into(), seeds, ..NodeConfig::default() };
    let node = Node::builder(config).start(authority.issue_node(name)?, Runtimes::current()).await?;
    let stage = node.mesh().spawn(ActorSpec::new("stage"), || Analyst);
    node.mesh().publish("stage", &stage)?;
    Ok(node)
}
