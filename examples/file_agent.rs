//! An agent that works on the files of a real folder, asks a person before it writes, and goes on where it was when its
//! process is killed. This program plays all parts: it starts itself once more as a node, is the person who approves, kills
//! the node with `kill -9` while the agent waits, starts it again, and prints what the agent has done.
//!
//! ```console
//! $ cargo run -p mesh-examples --example file_agent [FOLDER]
//! ```
//!
//! The model is the one that `MESH_MODEL_URL`, `ANTHROPIC_API_KEY` or `OPENAI_API_KEY` names (`MESH_MODEL`: which of its
//! models); without any of them, a recording.

use std::path::PathBuf;

use anyhow::Result;
use mesh_examples::file_agent::{Desk, Folder, NodeProcess, model_url};
use mesh_node::Node;

const TASK: &str = "Read every file of this folder, and write a file summary.txt with one line for each: its name, a colon, \
                    and what it says in at most six words.";

fn main() -> Result<()> {
    // With arguments like those of mesh-node it is a node, as the program below starts it.
    if std::env::args().nth(1).is_some_and(|first| first.starts_with("--")) {
        let node = Node::from_args()?.with_standard_kinds()?;
        return Ok(mesh_node::runtime()?.block_on(node.run())?);
    }
    mesh_node::runtime()?.block_on(tell())
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
async fn tell() -> Result<()> {
    let folder = Folder::prepare(std::env::args().nth(1).map(PathBuf::from))?;
    let (url, _recording) = model_url()?;
    let node = NodeProcess::start(&folder, url.as_deref()).await?;
    let desk = Desk::open(&folder, &node).await?;
    let run = desk.begin(TASK).await?;
    println!("the agent works, until it wants to write:");
    match desk.asked(&run).await? {
        Some(asked) => println!("  {} {}", asked.action, asked.args),
        None => println!("  it did not"),
    }

    node.kill9()?;
    println!("its process is killed, and started again; the question is still there:");
    let node = NodeProcess::start(&folder, url.as_deref()).await?;
    let desk = Desk::open(&folder, &node).await?;
    while let Some(asked) = desk.asked(&run).await? {
        println!("  {} is approved", asked.action);
        desk.approve(&asked).await?;
    }
    println!("what it did:");
    for line in desk.history(&run).await? {
        println!("  {line}");
    }
    print!("summary.txt:\n{}", folder.summary()?);
    node.kill9()
}
