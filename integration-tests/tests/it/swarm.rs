//! Swarms on real nodes that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use integration_tests::{Lab, Node, eventually, report, setting};
use serde_json::{Value, json};

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const WORKERS: u64 = 8;

fn random(seed: &mut u64, below: u64) -> u64 {
    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

/// Tasks that depend on up to three of the hundred before them, of five priorities.
fn tasks(count: u64, seed: &mut u64) -> Vec<Value> {
    let task = |number: u64| {
        let mut after = BTreeSet::new();
        for _ in 0..random(seed, 4).min(number) {
            after.insert(number - 1 - random(seed, number.min(100)));
        }
        let after: Vec<String> = after.into_iter().map(|number| format!("t{number}")).collect();
        let (priority, ms) = (random(seed, 5), random(seed, 20));
        json!({"id": format!("t{number}"), "after": after, "priority": priority, "input": {"ms": ms}})
    };
    (0..count).map(task).collect()
}

/// What the history tells of one task.
#[derive(Default)]
struct Told {
    priority: i64,
    after: Vec<String>,
    begun: Vec<u64>,
    ended: bool,
}

/// All tasks were done, each once, none before what it depends on, and none while a more urgent one waited for its first worker.
/// Answers how many attempts there were.
fn check(history: &[Value], count: u64) -> usize {
    let mut tasks: BTreeMap<String, Told> = BTreeMap::new();
    // Those that were never begun and wait for nobody, by priority.
    let mut ready: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    let mut epochs = BTreeSet::new();
    let is_free = |tasks: &BTreeMap<String, Told>, told: &Told| {
        told.begun.is_empty() && told.after.iter().all(|on| tasks[on].ended)
    };
    for fact in history.iter().filter_map(|line| line.get("fact")) {
        if let Some(added) = fact.get("added") {
            let spec = &added["task"];
            let after = spec["dependencies"].as_array().expect("it is a list").iter();
            let after = after.map(|on| on.as_str().expect("it is an id").to_owned()).collect();
            let told =
                Told { priority: spec["priority"].as_i64().expect("a number"), after, ..Told::default() };
            let id = spec["id"].as_str().expect("it is an id").to_owned();
            if told.after.is_empty() {
                ready.entry(told.priority).or_default().insert(id.clone());
            }
            assert!(tasks.insert(id, told).is_none(), "added twice: {fact}");
        } else if let Some(begun) = fact.get("begun") {
            let id = begun["task"].as_str().expect("it is an id");
            let epoch = begun["epoch"].as_u64().expect("a number");
            assert!(epochs.insert(epoch), "an epoch was given twice: {fact}");
            let told = &tasks[id];
            assert!(!told.ended, "begun when it was done: {fact}");
            assert!(told.after.iter().all(|on| tasks[on].ended), "begun before what it depends on: {fact}");
            let priority = told.priority;
            if let Some(waiting) = ready.get_mut(&priority) {
                waiting.remove(id);
            }
            let above = ready.range(priority + 1..).find_map(|(_, waiting)| waiting.first());
            assert_eq!(above, None, "begun while a more urgent one waited: {fact}");
            tasks.get_mut(id).expect("it was added").begun.push(epoch);
        } else {
            let ended = &fact["ended"];
            let id = ended["task"].as_str().expect("it is an id");
            let told = tasks.get_mut(id).expect("it was added");
            assert!(!told.ended, "ended twice: {fact}");
            assert_eq!(ended["end"], "done", "{fact}");
            assert_eq!(ended["epoch"].as_u64(), told.begun.last().copied(), "not by who had it: {fact}");
            told.ended = true;
            let free: Vec<_> = tasks
                .iter()
                .filter(|(_, told)| told.after.iter().any(|on| on == id) && is_free(&tasks, told))
                .map(|(id, told)| (told.priority, id.clone()))
                .collect();
            for (priority, id) in free {
                ready.entry(priority).or_default().insert(id);
            }
        }
    }
    assert_eq!(tasks.len() as u64, count, "none is lost");
    assert!(tasks.values().all(|told| told.ended), "all are done");
    tasks.values().map(|told| told.begun.len()).sum()
}

struct Swarm {
    lab: Lab,
    url: String,
    nodes: Vec<Node>,
}

impl Swarm {
    /// Five nodes of one store.
    fn new() -> Self {
        let lab = Lab::new();
        let url = format!("sqlite:{}", lab.path("swarm.db").display());
        let mut swarm = Self { lab, url, nodes: Vec::new() };
        for name in NAMES {
            swarm.start(name);
        }
        swarm
    }

    fn start(&mut self, name: &str) {
        let mut args = vec!["--store", self.url.as_str()];
        args.extend(self.nodes.first().into_iter().flat_map(|node| ["--join", node.addr()]));
        let node = self.lab.start_with(name, &args);
        self.nodes.push(node);
    }

    fn try_json(&self, args: &[&str]) -> Result<Value, String> {
        self.lab.ctl(&self.nodes[0]).try_json(args)
    }

    /// Until it works: who is asked may be moving.
    fn json(&self, args: &[&str]) -> Value {
        eventually(&format!("meshctl {args:?}"), Duration::from_secs(60), || self.try_json(args))
    }

    /// Waits until so many tasks are done.
    fn until_done(&self, count: u64, within: Duration) -> Value {
        eventually("tasks to be done", within, || {
            let status = self.try_json(&["swarm", "status", "s"])?;
            if status["done"].as_u64() >= Some(count) { Ok(status) } else { Err(status.to_string()) }
        })
    }

    fn history(&self) -> Vec<Value> {
        let (mut lines, mut from) = (Vec::new(), 0);
        loop {
            let ask = json!({ "from": from }).to_string();
            let page = self.json(&["ask", "swarm-s", "swarm.history.v1", &ask]);
            for line in page["facts"].as_array().expect("it is a list") {
                let line = line.as_str().expect("it is a text");
                lines.push(serde_json::from_str(line).expect("it is JSON"));
            }
            match page["next"].as_u64() {
                Some(next) => from = next,
                None => return lines,
            }
        }
    }
}

#[test]
fn no_task_is_lost_or_done_twice_while_random_nodes_are_killed_and_started_again() {
    let (count, kills) = (setting("MESH_SWARM_TASKS", 300), setting("MESH_SWARM_KILLS", 2));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
    let mut seed = setting("MESH_SEED", clock);
    report(&format!("MESH_SEED={seed}"));
    let mut swarm = Swarm::new();
    // An ageing so slow that priorities alone count; attempts enough for all kills.
    let args = json!({
        "workers_max": WORKERS, "attempts_max": 10_000, "task_lease_ms": 5_000, "takeover_ms": 1_000,
        "ageing_ms": 1_000_000_000_000_u64,
    });
    swarm.json(&["actor", "place", "swarm", "swarm-s", "--args", &args.to_string()]);
    let file = swarm.lab.path("tasks.json");
    fs::write(&file, Value::from(tasks(count, &mut seed)).to_string())
        .expect("the lab's folder can be written");
    let taken = swarm.json(&["swarm", "submit", "s", &format!("@{}", file.display())]);
    assert_eq!(taken, json!({"taken": count, "total": count}));
    for worker in 0..WORKERS {
        let name = format!("worker-{worker}");
        swarm.json(&["actor", "place", "lab-worker", &name, "--args", r#"{"swarm":"s"}"#]);
    }
    let began = Instant::now();
    for kill in 0..kills {
        swarm.until_done(count * (kill + 1) / (kills + 2), Duration::from_secs(120));
        let at = usize::try_from(random(&mut seed, NAMES.len() as u64)).expect("it is small");
        let victim = swarm.nodes.remove(at);
        let name = victim.name().to_owned();
        victim.kill9();
        swarm.start(&name);
    }
    let within = Duration::from_secs(120) + Duration::from_millis(count * 50);
    let status = swarm.until_done(count, within);
    let took = began.elapsed();
    assert_eq!((&status["not_done"], &status["is_over"]), (&json!(0), &json!(true)), "{status}");
    let attempts = check(&swarm.history(), count);
    report(&format!(
        "{count} tasks over five nodes with {kills} kills in {took:?}: none lost, none done twice; {attempts} attempts, \
         life {} of the coordinator",
        status["life"]
    ));
}

#[test]
fn a_swarm_is_fed_watched_and_read_from_a_shell() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    let _ = ctl.json(&["actor", "place", "swarm", "swarm-docs"]);
    let mut watch = ctl.tap(&["swarm", "watch", "docs"]);
    let tasks = json!([
        {"id": "one", "input": {"words": "to be or not"}},
        {"id": "two", "input": {"words": "to be"}, "priority": 2},
        {"id": "sum", "input": {"sum": {}}, "after": ["one", "two"]},
        {"id": "bad", "input": {"fail": "no paper"}},
        {"id": "never", "needs": ["a miracle"]},
    ]);
    let taken = ctl.json(&["swarm", "submit", "docs", &tasks.to_string()]);
    assert_eq!(taken, json!({"taken": 5, "total": 5}));
    let again = ctl.refused(&["swarm", "submit", "docs", &tasks.to_string()]);
    assert_eq!(again["code"], "SWARM_DUPLICATE");
    let _ = ctl.json(&["actor", "place", "lab-worker", "worker", "--args", r#"{"swarm":"docs"}"#]);
    assert_eq!(ctl.json(&["swarm", "results", "docs", "sum", "--wait", "30s"]), 6);
    let failed = ctl.refused(&["swarm", "results", "docs", "bad", "--wait", "30s"]);
    assert_eq!(failed["message"], "task bad is failed (no paper), and has no result");
    assert_eq!(ctl.json(&["swarm", "cancel", "docs", "never"]), json!({"cancelled": 1}));
    let status = ctl.json(&["swarm", "status", "docs", "--wait", "30s"]);
    assert_eq!(
        (&status["done"], &status["not_done"], &status["is_over"]),
        (&json!(3), &json!(2), &json!(true))
    );
    let rows = ctl.json(&["swarm", "results", "docs", "--only", "done"]);
    let done: Vec<_> = rows.as_array().expect("it is a list").iter().map(|row| row["task"].clone()).collect();
    assert_eq!(done, ["one", "two", "sum"]);
    let told = watch.next(Duration::from_secs(30)).expect("it goes on");
    assert_eq!(told["status"]["swarm"], "docs", "{told}");
    let text = ctl.text(&["swarm", "results", "docs"]);
    assert!(text.contains("sum    done              1"), "{text}");
}
