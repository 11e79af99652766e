//! A client that loads each of some nodes: it sends one message after the other under ids, each until it is answered, and
//! tells each answer. One JSON document a line.
//!
//! `loader ADDR IDENTITY_FOLDER NODE…`. It runs until it is ended.

use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::{Duration, Instant};

use mesh::{Client, ClientConfig, Identity, Mesh, Message, MessageId, Runtimes, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A node that was restarted is back sooner.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The count actor's message: its fields are the lab's.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Add {
    by: i64,
}
#[derive(Serialize, Deserialize)]
struct Added {
    total: i64,
}
impl Message for Add {
    type Reply = Added;
}
impl WireMessage for Add {
    const KIND: &'static str = "lab.add.v1";
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [addr, folder, nodes @ ..] = args.as_slice() else {
        return Err("ADDR IDENTITY_FOLDER NODE…".into());
    };
    let folder = Path::new(folder);
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let identity = Identity::from_pem(&read("ca.pem")?, &read("cert.pem")?, &read("key.pem")?)?;
    let here = tokio::runtime::Handle::current();
    let runtimes = Runtimes { network: here.clone(), pool: here };
    let mesh =
        Client::connect(std::slice::from_ref(addr), &identity, ClientConfig::default(), runtimes).await?;
    let mut loads = JoinSet::new();
    for (node, place) in nodes.iter().zip(0..) {
        loads.spawn(load(mesh.clone(), node.clone(), place));
    }
    while let Some(ended) = loads.join_next().await {
        ended?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn load(mesh: Mesh, node: String, place: u128) -> Result<(), Box<dyn Error + Send + Sync>> {
    let counter = mesh.reliable::<Add>(&format!("{node}/count"))?;
    for number in 0.. {
        let began = Instant::now();
        let id = MessageId::new((place << 64) | number);
        let answer = counter.ask(id, &Add { by: 1 }, ANSWER_MAX).await;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let line = match answer {
            Ok(added) => json!({"node": node, "total": added.total, "took": took}),
            Err(error) => json!({"node": node, "error": error.to_string(), "took": took}),
        };
        tell(&line)?;
    }
    Ok(())
}

fn tell(line: &Value) -> std::io::Result<()> {
    // One write a line: a reader sees whole lines, but for the last.
    stdout().write_all(format!("{line}\n").as_bytes())
}
