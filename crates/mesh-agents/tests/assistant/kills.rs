//! A run of 20 calls whose process is killed before and after everything that it makes durable.
//!
//! The process is this test's own binary, with `MESH_ASSISTANT_RUN` set to the folder of the run. What its tools did is in a
//! file beside the store: the world, which forgets nothing. The model is a server in the process that kills, and counts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use mesh_agents::assistant::{Assistant, AssistantSpec, StepRecord};
use mesh_agents::durable::{RunDocument, Runs};
use mesh_agents::lifecycle::AgentState;
use mesh_store::{RunId, SqliteOptions, Store, StoreError};
use serde_json::{Value, json};

use crate::model::LIMIT;
use crate::record::{Recorded, calling, saying};

mod life;

const CALLS: u32 = 20;

fn run_id() -> RunId {
    "run".parse().unwrap()
}

fn tool_of(call: u32) -> &'static str {
    ["idempotent", "queryable", "manual"][call as usize % 3]
}

/// Turns with one, two and three calls, and an answer.
fn turns() -> Vec<Vec<Value>> {
    let mut turns = Vec::new();
    let mut next = 1;
    while next <= CALLS {
        let last = (next + u32::try_from(turns.len() % 3).unwrap()).min(CALLS);
        let calls: Vec<_> = (next..=last).map(|call| (tool_of(call), call)).collect();
        turns.push(calling(&calls));
        next = last + 1;
    }
    turns.push(saying("all done"));
    turns
}

#[test]
fn a_run_that_is_killed_at_every_write_asks_nothing_twice_and_doubles_no_effect() {
    let world = World::new();
    let mut lives = 0;
    while world.live() == End::Killed {
        lives += 1;
        assert!(lives < 1_000, "each place is killed at once");
    }
    let turns = turns().len();
    // Each call has four places, each step and each turn more than one.
    assert!(lives > 4 * CALLS as usize + 2 * turns, "{lives} kills");
    world.check(turns);
    let asked = world.model.asked.lock().len();
    let _ = writeln!(io::stderr(), "{lives} kills, {asked} requests for {turns} turns");
}

/// The folder of a run, and what happened around it.
struct World {
    folder: tempfile::TempDir,
    model: Recorded,
    /// How often a person let a call be made again.
    allowed: RefCell<BTreeMap<String, usize>>,
}

#[derive(Debug, PartialEq)]
enum End {
    Killed,
    Done,
}

impl World {
    fn new() -> Self {
        let (folder, model) = (tempfile::tempdir().unwrap(), Recorded::start(turns()));
        Self { folder, model, allowed: RefCell::default() }
    }

    /// One life of the run's process: until it comes to a place where it was not killed yet, or is done.
    fn live(&self) -> End {
        let (recorded, asked) = (self.recorded_turns(), self.model.asked.lock().len());
        let end = self.lived();
        for turn in &self.model.asked.lock()[asked..] {
            assert!(*turn >= recorded, "turn {turn} was asked for again, and {recorded} are recorded");
        }
        end
    }

    fn lived(&self) -> End {
        let process = Process::start(self.folder.path(), &self.model.url);
        loop {
            let line = process.lines.recv_timeout(LIMIT).expect("the process says something or ends");
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["@", "stopped", ..] => return End::Killed,
                ["@", "done"] => return End::Done,
                ["@", "allowed", call] => {
                    *self.allowed.borrow_mut().entry((*call).to_owned()).or_default() += 1;
                }
                ["@", "failed", ..] => panic!("{line}"),
                _ => {}
            }
        }
    }

    /// How many turns of the model are durable.
    fn recorded_turns(&self) -> usize {
        let records = self.document().map(|document| document.context.results).unwrap_or_default();
        let is_turn = |result: &&Value| result.get("turn").is_some();
        records.iter().filter(is_turn).count()
    }

    fn document(&self) -> Option<RunDocument> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let path = self.folder.path().join("store.db");
            let store = Store::open_sqlite(path, SqliteOptions::default()).await.unwrap();
            let document = Runs::new(store.clone(), "reader").document(&run_id()).await.ok();
            store.close().await;
            document
        })
    }

    fn check(&self, turns: usize) {
        let document = self.document().unwrap();
        assert_eq!(document.state(), AgentState::Completed);
        assert_eq!(Assistant::answer_of(&document), Some(json!("all done")));
        assert_eq!(self.recorded_turns(), turns);
        let effects = count(&self.folder.path().join("effects"));
        assert_eq!(effects.len(), CALLS as usize, "lost: {effects:?}");
        assert!(effects.values().all(|times| *times == 1), "doubled: {effects:?}");
        let calls = count(&self.folder.path().join("calls"));
        for call in (1..=CALLS).filter(|call| tool_of(*call) == "manual") {
            let key = call.to_string();
            let (made, allowed) = (calls[&key], self.allowed.borrow().get(&key).copied().unwrap_or(0));
            assert!(made <= 1 + allowed, "{key} was repeated by itself: {made} calls, {allowed} allowed");
        }
        let outcomes = document.context.results.iter().filter_map(|result| {
            match serde_json::from_value(result.clone()).unwrap() {
                StepRecord::Tools(outcomes) => Some(outcomes.len()),
                StepRecord::Turn(_) => None,
            }
        });
        assert_eq!(outcomes.sum::<usize>(), CALLS as usize);
    }
}

fn count(path: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let key = line.split(' ').next().unwrap_or_default().to_owned();
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// The run's process, which is killed when it is dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    fn start(folder: &Path, url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "kills::life::the_run", "--nocapture", "--test-threads=1"]);
        command.env("MESH_ASSISTANT_RUN", folder).env("MESH_ASSISTANT_MODEL", url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
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

fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn say(what: &str) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "\n@ {what}").unwrap();
    stdout.flush().unwrap();
}
