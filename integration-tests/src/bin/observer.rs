//! A client that stays: it tells when the members, or the names, that its node knows of have changed, and how each of
//! its asks ended. One JSON document a line; times are microseconds since 1970, which all processes of a machine share.
//!
//! `observer ADDR IDENTITY_FOLDER [PATH KIND BODY TIMEOUT_MS]`. It ends when its node can't be asked any more.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh::{Client, ClientConfig, Identity, Mesh, Runtimes};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks, and between two asks, which don't wait for one another.
const PAUSE: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_secs(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [addr, folder, ask @ ..] = args.as_slice() else { return Err("ADDR IDENTITY_FOLDER [ASK]".into()) };
    let mesh = connect(addr, Path::new(folder)).await?;
    let mut asking = match ask {
        [path, kind, body, ms] => Some(Asking::new(mesh.clone(), [path, kind, body], ms.parse()?)),
        _ => None,
    };
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut members, mut names) = (Value::Null, Value::Null);
    loop {
        ticks.tick().await;
        if let Some(asking) = &mut asking {
            asking.begin();
        }
        let seen = look(&mesh, "mesh.members.v1").await?;
        let row = |row: &Value| {
            (row["name"].as_str().unwrap_or_default().to_owned(), json!([row["state"], row["id"]]))
        };
        let rows = seen["members"].as_array().ok_or("no list of members")?;
        let now = json!(rows.iter().map(row).collect::<BTreeMap<_, _>>());
        tell_change("members", &mut members, now)?;
        let mut seen = look(&mesh, "mesh.names.v1").await?;
        tell_change("names", &mut names, seen["names"].take())?;
    }
}

async fn connect(addr: &str, folder: &Path) -> Outcome<Mesh> {
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let identity = Identity::from_pem(&read("ca.pem")?, &read("cert.pem")?, &read("key.pem")?)?;
    let here = tokio::runtime::Handle::current();
    let runtimes = Runtimes { network: here.clone(), pool: here };
    // It tells what this node knows, not what another would.
    let config = ClientConfig { moves: false, ..ClientConfig::default() };
    Ok(Client::connect(&[addr.to_owned()], &identity, config, runtimes).await?)
}

async fn look(mesh: &Mesh, kind: &str) -> Outcome<Value> {
    let path = format!("{}/mesh", mesh.node_name());
    let reply = mesh.ask_json(&path, kind, "{}", LOOK_MAX).await.map_err(|failure| failure.message)?;
    Ok(serde_json::from_str(&reply)?)
}

fn tell_change(what: &str, known: &mut Value, now: Value) -> Outcome<()> {
    if *known != now {
        *known = now;
        tell(&json!({"at": micros(), what: known}))?;
    }
    Ok(())
}

/// Asks on their way; each has its number, so that one that never ends is noticed.
struct Asking {
    mesh: Mesh,
    ask: [String; 3],
    timeout: Duration,
    count: u64,
    running: JoinSet<()>,
}

impl Asking {
    fn new(mesh: Mesh, ask: [&String; 3], timeout_ms: u64) -> Self {
        let timeout = Duration::from_millis(timeout_ms);
        Self { mesh, ask: ask.map(Clone::clone), timeout, count: 0, running: JoinSet::new() }
    }

    fn begin(&mut self) {
        while self.running.try_join_next().is_some() {}
        let (mesh, [path, kind, body], timeout) = (self.mesh.clone(), self.ask.clone(), self.timeout);
        let number = self.count;
        self.count += 1;
        self.running.spawn(async move {
            let (at, began) = (micros(), Instant::now());
            let answer = mesh.ask_json(&path, &kind, &body, timeout).await;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let code = answer.as_ref().err().map(|failure| failure.code.clone());
            // A reader that has gone away ends the process at its next look.
            let _ = tell(&json!({"at": at, "ask": number, "took": took, "error": code}));
        });
    }
}

fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
    u64::try_from(now).unwrap_or(u64::MAX)
}

fn tell(line: &Value) -> std::io::Result<()> {
    // One write a line: a reader sees whole lines, but for the last.
    stdout().write_all(format!("{line}\n").as_bytes())
}
