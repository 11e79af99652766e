//! A run of 20 calls whose process is killed at every point of it.
//!
//! The process is this test's own binary, with `MESH_TOOL_RUN` set to the folder of the run. What its tools did is in a file of
//! its own, beside the store: the world, which forgets nothing and knows nothing of runs.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_agents::tools::{
    Annotations, Call, CallId, HookedTool, Ledgered, Probe, Tool, ToolContext, ToolError, ToolSet, ToolSpec,
};
use mesh_store::{CallPolicy, Name, NewRun, Resource, RunId, SqliteOptions, Store, StoreError};
use serde_json::{Value, json};

use crate::parts::LIMIT;

const CALLS: u32 = 20;

/// Where a process can be told to stop and wait for its end, in each call.
const POINTS: [&str; 4] = ["before-intent", "before-effect", "after-effect", "after-outcome"];

/// Kills at random moments, beside those at every point; `MESH_TOOL_KILLS` for more.
const RANDOM_KILLS: u32 = 20;

#[test]
fn a_run_that_is_killed_at_every_point_doubles_no_effect_and_loses_none() {
    let world = World::new();
    let mut kills = 0;
    for call in 1..=CALLS {
        for point in POINTS {
            let stop = format!("{call} {point}");
            match world.live(&stop, None) {
                End::Killed => kills += 1,
                // A call that was settled by a human does not come to its effect again.
                End::Done => panic!("the run was over before {stop}"),
            }
        }
    }
    assert_eq!(world.live("never", None), End::Done);
    world.check();
    assert_eq!(kills, CALLS * 4);
}

#[test]
fn a_run_that_is_killed_at_any_moment_doubles_no_effect_and_loses_none() {
    let kills =
        std::env::var("MESH_TOOL_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(RANDOM_KILLS);
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        let world = World::new();
        runs += 1;
        loop {
            // A whole run says about 160 lines, one without anything left to do about 80.
            let lines = rng.u32(1..240);
            let end = world.live("never", Some(lines));
            killed += u32::from(end == End::Killed);
            if end == End::Done {
                break;
            }
        }
        world.check();
    }
    let _ = writeln!(io::stderr(), "seed {seed}: {killed} kills in {runs} runs");
}

/// The folder of a run, and what happened around it.
struct World {
    folder: tempfile::TempDir,
    /// How often a human let a call be made again.
    human_repeats: std::cell::RefCell<BTreeMap<String, usize>>,
}

#[derive(Debug, PartialEq)]
enum End {
    Killed,
    Done,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), human_repeats: Default::default() }
    }

    /// One life of the run's process: until it comes to `stop`, has said so many lines, or is done.
    fn live(&self, stop: &str, lines_max: Option<u32>) -> End {
        let mut process = Process::start(self.folder.path(), stop);
        let mut lines = 0;
        loop {
            let line = process.lines.recv_timeout(LIMIT).expect("the process says something or ends");
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["@", "stopped"] => break,
                ["@", "done"] => return End::Done,
                ["@", "human", key] => {
                    let is_done = effects(self.folder.path(), "effects").iter().any(|effect| effect == key);
                    let decision = if is_done { "settle" } else { "repeat" };
                    if !is_done {
                        *self.human_repeats.borrow_mut().entry((*key).to_owned()).or_default() += 1;
                    }
                    writeln!(process.child.stdin.as_mut().unwrap(), "{decision}").unwrap();
                }
                _ => {}
            }
            lines += 1;
            if lines_max.is_some_and(|max| lines >= max) {
                break;
            }
        }
        // Dropping it kills it, with SIGKILL.
        End::Killed
    }

    /// Each effect is there once; no call of a manual tool was made twice unless a human said so.
    fn check(&self) {
        let effects = count(effects(self.folder.path(), "effects"));
        assert_eq!(effects.len(), CALLS as usize, "lost: {effects:?}");
        assert!(effects.values().all(|times| *times == 1), "doubled: {effects:?}");
        let calls = count(self::effects(self.folder.path(), "calls"));
        for call in (1..=CALLS).filter(|call| tool_of(*call) == "manual") {
            let key = key_of(call);
            let by_humans = self.human_repeats.borrow().get(&key).copied().unwrap_or_default();
            // A human may have said so to a process that was killed before it did.
            let made = calls.get(&key).copied().unwrap_or_default();
            assert!(
                made <= 1 + by_humans,
                "{key} was repeated by itself: {made} calls, {by_humans} by humans"
            );
        }
    }
}

/// The run's process, which is killed when it is dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    fn start(folder: &Path, stop: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "kills::the_run", "--nocapture", "--test-threads=1"]);
        command.env("MESH_TOOL_RUN", folder).env("MESH_TOOL_STOP", stop);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1024);
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, reader: Some(reader) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its pipe is closed now, so the reader ends once nobody waits to read.
        drop(std::mem::replace(&mut self.lines, sync_channel(1).1));
        let _ = self.reader.take().unwrap().join();
    }
}

fn effects(folder: &Path, file: &str) -> Vec<String> {
    let lines = fs::read_to_string(folder.join(file)).unwrap_or_default();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn count(lines: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

fn tool_of(call: u32) -> &'static str {
    ["idempotent", "queryable", "manual"][call as usize % 3]
}

fn key_of(call: u32) -> String {
    format!("call-{call}")
}

/// The process that is killed. Started with the other tests it has nothing to do.
#[test]
fn the_run() {
    let Ok(folder) = std::env::var("MESH_TOOL_RUN") else { return };
    let stop = std::env::var("MESH_TOOL_STOP").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(PathBuf::from(folder), Arc::from(stop)));
}

async fn run(folder: PathBuf, stop: Arc<str>) {
    let options = SqliteOptions::default();
    let store = Store::open_sqlite(folder.join("store.db"), options).await.unwrap();
    let id: RunId = "run".parse().unwrap();
    match store.create_run(NewRun::new("test".parse().unwrap(), now_ms()).id(id.clone())).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let holder: Name = format!("process-{}", std::process::id()).parse().unwrap();
    // The process before is dead for certain: its lease may be over at once.
    let lease = store.acquire(Resource::Run(id), holder, 0, now_ms()).await.unwrap();
    let tools = ["idempotent", "queryable", "manual"].into_iter().fold(ToolSet::default(), |tools, name| {
        let (folder, stop) = (folder.clone(), Arc::clone(&stop));
        tools.with(HookedTool::new(Worldly { name, folder, stop }).unwrap())
    });
    let ledgered = Ledgered::new(store.clone(), lease, Arc::new(tools)).unwrap();
    for call in 1..=CALLS {
        let key: Name = key_of(call).parse().unwrap();
        let made = || Call::new(tool_of(call), json!({ "call": call }));
        point(&stop, call, POINTS[0]);
        let mut answer = ledgered.call(key.clone(), made()).await;
        if answer.as_ref().is_err_and(|error| error.code == "NEEDS_HUMAN") {
            say(&format!("human {key}"));
            answer = match line().as_str() {
                "settle" => {
                    let settled = Ok(Value::from(key.as_str()));
                    // Its point comes after the effect, as it does where the tool goes on.
                    point(&stop, call, POINTS[2]);
                    ledgered.settle(key.clone(), &settled).await.unwrap();
                    settled
                }
                _ => ledgered.repeat(key.clone(), made()).await,
            };
        }
        assert_eq!(answer, Ok(Value::from(key.as_str())));
        point(&stop, call, POINTS[3]);
    }
    store.close().await;
    say("done");
}

/// A tool that writes a line into the world, in the way that its name says: one write, so a kill leaves all of it or nothing.
struct Worldly {
    name: &'static str,
    folder: PathBuf,
    stop: Arc<str>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Which {
    call: u32,
}

impl Tool for Worldly {
    type Args = Which;
    type Output = String;

    fn describe(&self) -> ToolSpec {
        let spec = ToolSpec::new(self.name, "Writes a line.").annotations(Annotations::default());
        spec.policy(match self.name {
            "idempotent" => CallPolicy::Idempotent,
            "queryable" => CallPolicy::Queryable,
            _ => CallPolicy::Manual,
        })
    }

    async fn call(&self, Which { call }: Which, cx: ToolContext) -> Result<String, ToolError> {
        let key = key_of(call);
        append(&self.folder.join("calls"), &key);
        point(&self.stop, call, POINTS[1]);
        let known = self.done(cx.call()).is_some();
        // An idempotent tool knows the keys of what it has done; the others do it, whoever asks.
        if self.name != "idempotent" || !known {
            append(&self.folder.join("effects"), &format!("{key} {}", cx.call()));
        }
        point(&self.stop, call, POINTS[2]);
        Ok(key)
    }

    async fn probe(&self, call: CallId) -> Result<Probe<String>, ToolError> {
        Ok(self.done(call).map_or(Probe::NotDone, Probe::Done))
    }
}

impl Worldly {
    /// The key of a call that has had its effect.
    fn done(&self, call: CallId) -> Option<String> {
        let lines = fs::read_to_string(self.folder.join("effects")).unwrap_or_default();
        let line = lines.lines().find(|line| line.ends_with(&call.to_string()))?;
        line.split(' ').next().map(str::to_owned)
    }
}

fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Says where the process is; stays there for ever if that is where it is to be killed.
fn point(stop: &str, call: u32, point: &str) {
    say(&format!("at {call} {point}"));
    if *stop == format!("{call} {point}") {
        say("stopped");
        loop {
            std::thread::park();
        }
    }
}

fn say(what: &str) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "\n@ {what}").unwrap();
    stdout.flush().unwrap();
}

fn line() -> String {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
