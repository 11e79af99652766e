//! A swarm that maps and reduces: its workers, on three nodes, count the words of the documents of a folder, and one adds up.
//!
//! Run with `cargo run -p mesh-examples --example swarm -- .`

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use mesh::{Authority, Node, NodeConfig, Runtimes, SpawnContext, StartError};
use mesh_agents::swarm::{
    Coordinator, DescribeWorker, Swarm, SwarmArgs, SwarmTask, Work, WorkContext, WorkError, Worker,
    WorkerArgs,
};
use mesh_store::{SqliteOptions, Store};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
enum Step {
    Count { text: String },
    AddUp,
}

type Words = BTreeMap<String, u64>;

struct Librarian;

impl Work for Librarian {
    type Args = ();
    type Input = Step;
    type Output = Words;

    async fn open((): &(), _: &SpawnContext) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn work(&mut self, step: Step, cx: &mut WorkContext) -> Result<Words, WorkError> {
        let mut words = Words::new();
        match step {
            Step::Count { text } => {
                for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 4) {
                    *words.entry(word.to_lowercase()).or_default() += 1;
                }
            }
            Step::AddUp => {
                for document in cx.dependencies() {
                    for (word, count) in cx.result::<Words>(document).await? {
                        *words.entry(word).or_default() += count;
                    }
                }
            }
        }
        Ok(words)
    }
}

fn main() -> Result<()> {
    mesh_node::runtime()?.block_on(count())
}

#[expect(clippy::print_stdout, reason = "an example shows what it found")]
async fn count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Store::open_sqlite(folder.path().join("swarm.db"), SqliteOptions::default()).await?);
    let authority = Authority::create("library")?;
    let alpha = node(&authority, "alpha", &store, None).await?;
    let beta = node(&authority, "beta", &store, Some(&alpha)).await?;
    let gamma = node(&authority, "gamma", &store, Some(&alpha)).await?;

    let swarm = Swarm::place(alpha.mesh(), "library", &SwarmArgs::default()).await?;
    let librarians =
        beta.mesh().pool::<DescribeWorker>("librarian").size(3).args(&WorkerArgs::<()>::of("library"));
    let librarians = librarians.spawn().await?;

    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let (mut tasks, mut sum) = (Vec::new(), SwarmTask::new("sum").input(&Step::AddUp)?);
    for entry in fs::read_dir(&root)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let (id, text) = (path.display().to_string(), fs::read_to_string(&path)?);
            sum = sum.after(&id);
            tasks.push(SwarmTask::new(id).input(&Step::Count { text })?);
        }
    }
    let documents = tasks.len();
    tasks.push(sum);
    swarm.submit(tasks).await?;
    let words: Words = swarm.result("sum", PATIENCE).await?;
    let mut most: Vec<_> = words.into_iter().collect();
    most.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
    println!("{documents} documents");
    most.iter().take(5).for_each(|(word, count)| println!("{count:>6} {word}"));
    librarians.stop().await?;
    for node in [gamma, beta, alpha] {
        node.leave().await;
    }
    Ok(())
}

/// A node that can run coordinators and workers, joined to the mesh of `seed`.
async fn node(authority: &Authority, name: &str, store: &Arc<Store>, seed: Option<&Node>) -> Result<Node> {
    let seeds = seed.map(|seed| seed.local_addr().to_string()).into_iter().collect();
    let config = NodeConfig { listen: ([127, 0, 0, 1], 0).into(), seeds, ..NodeConfig::default() };
    let builder = Node::builder(config).register::<Coordinator>(Coordinator::KIND);
    let builder = builder.register::<Worker<Librarian>>("librarian").extension(Arc::clone(store));
    Ok(builder.start(authority.issue_node(name)?, Runtimes::current()).await?)
}
