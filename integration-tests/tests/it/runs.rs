//! Runs of durable agents on real nodes that are killed, leave, and are gone for good.

pub(crate) mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use integration_tests::{Ctl, Lab, Node, eventually, example, report, setting};
use serde_json::{Value, json};

use self::server::Server;

/// A node that starts again waits for its former self's lease first.
const SOON: Duration = Duration::from_secs(30);

/// A run of `clerk` whose steps write `lines` lines into a file of the lab.
fn begin(ctl: &Ctl<'_>, file: &Path, lines: u64, pause_ms: u64) -> String {
    let task = json!({"file": file, "lines": lines, "pause_ms": pause_ms}).to_string();
    let started = ctl.json(&["runs", "start", "clerk", "--task", &task]);
    started["run"].as_str().expect("a run has an id").to_owned()
}

fn show(ctl: &Ctl<'_>, run: &str) -> Value {
    ctl.json(&["runs", "show", run])
}

fn until(ctl: &Ctl<'_>, run: &str, status: &str, within: Duration) -> Value {
    eventually(&format!("run {run} to be {status}"), within, || {
        let shown = ctl.try_json(&["runs", "show", run])?;
        let row = &shown["row"];
        let is_there = row["status"] == status && (row["is_here"] == false || status == "executing");
        if is_there { Ok(shown) } else { Err(row.to_string()) }
    })
}

/// How many lines there are for each step of a run, and how many of those were told that they might be there already.
fn lines(file: &Path) -> BTreeMap<u64, (u64, u64)> {
    let mut steps = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words.len(), 4, "a whole line: {line:?}");
        let step: u64 = words[1].parse().expect("a step is a number");
        let (all, doubtful) = steps.entry(step).or_insert((0, 0));
        *all += 1;
        *doubtful += u64::from(words[3] == "true");
    }
    steps
}

/// Nothing is lost, nothing is recorded twice, and what may have run twice was told so.
fn check(shown: &Value, file: &Path, steps: u64, kills: u64) -> u64 {
    let rows = shown["steps"].as_array().expect("a run has steps");
    let results: Vec<_> = rows.iter().map(|row| row["result"].as_str().map(str::to_owned)).collect();
    let expected: Vec<_> = (0..steps).map(|step| Some(step.to_string())).collect();
    assert_eq!(results, expected, "one result for each step, in order");
    let lines = lines(file);
    assert_eq!(lines.keys().copied().collect::<Vec<_>>(), (0..steps).collect::<Vec<_>>(), "no step is lost");
    for (step, (all, doubtful)) in &lines {
        // One that was cut off before its line is in doubt as well, and then has one line.
        assert!(*doubtful + 1 >= *all, "step {step} ran again only when that was in doubt: {all} lines");
    }
    let again: u64 = lines.values().map(|(all, _)| all - 1).sum();
    assert!(again <= kills, "{again} steps ran again after {kills} kills");
    again
}

fn random(seed: &mut u64, below: u64) -> u64 {
    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

/// A new life of the node, which takes up what its former one left when the lease of that has run out.
fn start(lab: &Lab, name: &str, more: &[&str]) -> Node {
    // As a setting of the environment would be: the program takes a file.
    let config = lab.path("lease.toml");
    fs::write(&config, "run_lease = \"2s\"\n").expect("the lab's folder can be written");
    let config = config.display().to_string();
    lab.start_own(&example("durable_agent"), name, &[&["--config", &config], more].concat())
}

#[test]
fn no_step_is_lost_or_recorded_twice_when_the_node_is_killed_at_any_moment() {
    let kills = setting("MESH_RUN_KILLS", 5);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
    let mut seed = setting("MESH_SEED", clock);
    report(&format!("MESH_SEED={seed}"));
    let lab = Lab::new();
    let file = lab.path("lines.txt");
    let mut alpha = start(&lab, "alpha", &[]);
    // About a line each 5 ms, and more of them than the kills leave time for.
    let steps = (kills * 60).clamp(300, 20_000);
    let run = begin(&lab.ctl(&alpha), &file, steps, 2);
    let mut done = 0;
    for _ in 0..kills {
        // Somewhere in the next lines, or while nobody has taken it up yet.
        let more = random(&mut seed, 40);
        eventually("more lines", SOON, || {
            let now = lines(&file).len() as u64;
            if now >= (done + more).min(steps) { Ok(()) } else { Err(format!("{now} lines")) }
        });
        alpha.kill9();
        done = lines(&file).len() as u64;
        alpha = start(&lab, "alpha", &[]);
    }
    let shown = until(&lab.ctl(&alpha), &run, "completed", SOON + Duration::from_millis(steps * 50));
    let again = check(&shown, &file, steps, kills);
    report(&format!(
        "{kills} kills, {steps} steps: none lost, none recorded twice, {again} ran again in doubt"
    ));
    assert_eq!(alpha.terminate(), 0);
}

#[test]
fn a_run_is_paused_resumed_forked_exported_backed_up_and_deleted_from_the_command_line() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let seed = ["--join", alpha.addr()];
    let beta = start(&lab, "beta", &seed);
    let ctl = lab.ctl(&alpha);
    let file = lab.path("lines.txt");
    let task = json!({"file": file, "lines": 200, "pause_ms": 20}).to_string();
    let start = ["runs", "start", "clerk", "--task", &task, "--on", "beta", "--id", "mine", "--tag", "red"];
    assert_eq!(ctl.json(&start)["node"], "beta");
    let unknown = ctl.refused(&["runs", "start", "clerk", "--task", "x"]);
    assert_eq!(unknown["code"], "UNKNOWN_KIND", "alpha has no clerk: {unknown}");

    let _ = ctl.json(&["runs", "pause", "mine"]);
    let paused = until(&ctl, "mine", "paused", SOON);
    let at = paused["row"]["current_step"].as_u64().expect("it is a number");
    assert_eq!(lines(&file).len() as u64, at, "it holds behind the step at which it was");
    let list = ctl.json(&["runs", "list", "--tag", "red"]);
    assert_eq!((list[0]["run"].as_str(), list[0]["status"].as_str()), (Some("mine"), Some("paused")));

    let fork = ctl.json(&["runs", "fork", "mine", "--id", "other"]);
    assert_eq!((fork["status"].as_str(), fork["current_step"].as_u64()), (Some("paused"), Some(at)));
    let _ = ctl.json(&["runs", "cancel", "other"]);
    until(&ctl, "other", "cancelled", SOON);
    let export = ctl.json(&["runs", "export", "mine"]);
    assert_eq!(export["document"]["version"], 1);
    assert_eq!(export["document"]["context"]["results"].as_array().map(Vec::len), usize::try_from(at).ok());

    let _ = ctl.json(&["runs", "resume", "mine", "--wait", "1min"]);
    let shown = show(&ctl, "mine");
    assert_eq!(shown["row"]["status"], "completed");
    check(&shown, &file, 200, 0);
    let backup = lab.path("backup").display().to_string();
    let _ = ctl.json(&["runs", "delete", "other"]);
    let saved = ctl.json(&["store", "backup", &backup, "--of", "beta"]);
    assert!(saved["rows"].as_u64() > Some(0), "{saved}");
    let _ = ctl.json(&["runs", "delete", "mine"]);
    assert_eq!(ctl.refused(&["runs", "show", "mine"])["code"], "NO_SUCH_RUN");
    assert_eq!(beta.terminate(), 0);

    let url = format!("sqlite:{}", lab.path("restored.db").display());
    let restored = ctl.json(&["store", "restore", &backup, "--store", &url]);
    assert_eq!(restored["rows"], saved["rows"]);
    let gamma = self::start(&lab, "gamma", &["--join", alpha.addr(), "--store", &url]);
    assert_eq!(show(&lab.ctl(&gamma), "mine")["row"]["status"], "completed");
}

#[test]
fn a_run_goes_on_on_another_node_of_a_shared_store_when_its_node_is_killed() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(reason) => return report(&format!("skipped: no Postgres here: {}", reason.trim())),
    };
    let lab = Lab::new();
    let file = lab.path("lines.txt");
    let store = ["--store", server.url.as_str()];
    let alpha = start(&lab, "alpha", &store);
    let beta = start(&lab, "beta", &[&store[..], &["--join", alpha.addr()]].concat());
    let run = begin(&lab.ctl(&alpha), &file, 100, 20);
    eventually("some lines", SOON, || {
        let now = lines(&file).len();
        if now >= 10 { Ok(()) } else { Err(format!("{now} lines")) }
    });
    alpha.kill9();
    let shown = until(&lab.ctl(&beta), &run, "completed", SOON);
    assert_eq!(shown["row"]["epoch"], 2, "beta took it up by itself");
    check(&shown, &file, 100, 1);

    // And by hand: paused on one node, resumed on another.
    let alpha = start(&lab, "alpha", &[&store[..], &["--join", beta.addr()]].concat());
    let file = lab.path("more.txt");
    let ctl = lab.ctl(&beta);
    let run = begin(&ctl, &file, 60, 20);
    let _ = ctl.json(&["runs", "pause", &run]);
    until(&ctl, &run, "paused", SOON);
    let resumed = ctl.json(&["runs", "resume", &run, "--on", "alpha"]);
    assert!(resumed["holder"].as_str().is_some_and(|holder| holder.starts_with("alpha@")), "{resumed}");
    let shown = until(&ctl, &run, "completed", SOON);
    check(&shown, &file, 60, 0);
    assert_eq!(alpha.terminate(), 0);
}
