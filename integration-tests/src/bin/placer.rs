//! A client that places actors, and asks all of them without end. It tells who answers for each, whenever that is another
//! life than before, what errors there are, and how the members are. One JSON document a line, with the moment in
//! microseconds since 1970.
//!
//! `placer ADDR IDENTITY_FOLDER COUNT`. It runs until it is ended.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use integration_tests::moment;
use mesh::{Client, ClientConfig, Identity, Mesh, Message, Recipient, Runtimes, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

/// Who asks at once.
const CALLERS: usize = 8;

/// An actor that does not answer for so long is away.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The lab's message: its fields are the lab's.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Who {}
#[derive(Serialize, Deserialize)]
struct WhoAmI {
    node: String,
    epoch: u64,
}
impl Message for Who {
    type Reply = WhoAmI;
}
impl WireMessage for Who {
    const KIND: &'static str = "lab.who.v1";
}

/// What all callers have seen.
#[derive(Default)]
struct Seen {
    /// The newest life of each actor, and its node.
    lives: BTreeMap<String, (u64, String)>,
    errors: BTreeSet<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [addr, folder, count] = args.as_slice() else {
        return Err("ADDR IDENTITY_FOLDER COUNT".into());
    };
    let count: usize = count.parse()?;
    let folder = Path::new(folder);
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let identity = Identity::from_pem(&read("ca.pem")?, &read("cert.pem")?, &read("key.pem")?)?;
    let here = tokio::runtime::Handle::current();
    let runtimes = Runtimes { network: here.clone(), pool: here };
    let mesh =
        Client::connect(std::slice::from_ref(addr), &identity, ClientConfig::default(), runtimes).await?;
    let names: Vec<String> = (0..count).map(|number| format!("placed-{number}")).collect();
    for some in names.chunks(32) {
        let mut places = JoinSet::new();
        for name in some {
            let (mesh, name) = (mesh.clone(), name.clone());
            places.spawn(async move {
                let placed = mesh.place(&name, "lab-placed").timeout(Duration::from_secs(60)).start().await;
                placed.map(drop).map_err(|error| format!("{name}: {error}"))
            });
        }
        while let Some(placed) = places.join_next().await {
            placed??;
        }
    }
    tell(&json!({ "placed": count }))?;
    let seen = Arc::<Mutex<Seen>>::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch(mesh.clone()));
    for caller in 0..CALLERS {
        let names = names.iter().skip(caller).step_by(CALLERS).cloned().collect();
        tasks.spawn(call(mesh.clone(), names, Arc::clone(&seen)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Tells of members whenever they are others than before.
async fn watch(mesh: Mesh) -> Ended {
    let mut looks = interval(Duration::from_millis(20));
    let mut known = BTreeMap::<String, String>::new();
    loop {
        looks.tick().await;
        let node = format!("{}/mesh", mesh.node_name());
        let Ok(told) = mesh.ask_json(&node, "mesh.members.v1", "{}", ANSWER_MAX).await else { continue };
        let told: Value = serde_json::from_str(&told)?;
        for member in told["members"].as_array().into_iter().flatten() {
            let text = |key: &str| member[key].as_str().unwrap_or_default().to_owned();
            let (name, state) = (text("name"), text("state"));
            if known.insert(name.clone(), state.clone()).as_ref() != Some(&state) {
                tell(&json!({ "member": name, "state": state }))?;
            }
        }
    }
}

/// Asks its actors one after the other, without end.
async fn call(mesh: Mesh, names: Vec<String>, seen: Arc<Mutex<Seen>>) -> Ended {
    let to = |name: String| Ok((mesh.recipient::<Who>(&name)?, name));
    let all: Vec<(Recipient<Who>, String)> =
        names.into_iter().map(to).collect::<Result<_, Box<dyn Error + Send + Sync>>>()?;
    loop {
        for (to, name) in &all {
            // Asks of one actor do not overlap, so that its answers are in order.
            let answer = to.ask(Who {}).timeout(ANSWER_MAX).await;
            let line = {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                match answer {
                    Ok(WhoAmI { node, epoch }) => {
                        let life = (epoch, node.clone());
                        let known = seen.lives.insert(name.clone(), life.clone());
                        let before = known.as_ref().map(|(epoch, _)| *epoch);
                        (known.as_ref() != Some(&life))
                            .then(|| json!({ "name": name, "node": node, "epoch": epoch, "before": before }))
                    }
                    Err(error) => {
                        let code = error.code().to_owned();
                        seen.errors.insert(code.clone()).then(|| json!({ "error": code }))
                    }
                }
            };
            if let Some(line) = line {
                tell(&line)?;
            }
        }
        tokio::task::yield_now().await;
    }
}

fn tell(line: &Value) -> std::io::Result<()> {
    let mut line = line.clone();
    line["at"] = u64::try_from(moment().as_micros()).unwrap_or(u64::MAX).into();
    // One write a line: a reader sees whole lines, but for the last.
    stdout().write_all(format!("{line}\n").as_bytes())
}
