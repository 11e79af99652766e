//! A mesh whose nodes are restarted one after the other, under load.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::{Lab, Node, Process, eventually, report, setting};
use serde_json::{Value, json};

const NAMES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

/// A node is drained, restarted and loaded again within this.
const ROUND_MAX: Duration = Duration::from_secs(30);

#[test]
fn five_nodes_are_restarted_under_load_and_nothing_reliable_fails() {
    let lab = Lab::new();
    let mut nodes: BTreeMap<&str, Node> = BTreeMap::new();
    for name in NAMES {
        let node = match nodes.get("n1") {
            Some(seed) => lab.join(name, seed),
            None => lab.start(name),
        };
        nodes.insert(name, node);
    }
    // The client has the first address alone; it learns of the others.
    let load = lab.client(env!("CARGO_BIN_EXE_loader"), &nodes["n1"], &NAMES);
    for _ in 0..setting("MESH_ROLLS", 1) {
        for name in NAMES {
            let before = answers(&load);
            eventually("an answer of each node", ROUND_MAX, || all_answered(&load, &before));
            let node = nodes.remove(name).expect("each is there once");
            let addr = node.addr().to_owned();
            let other = nodes.values().next().expect("four are left");
            let drained = lab.ctl(other).json(&["drain", name]);
            assert_eq!(drained["state"], json!("left"), "{drained}");
            assert_eq!(node.ended(), 0);
            nodes.insert(name, lab.rejoin(name, &addr, other));
        }
    }
    let before = answers(&load);
    eventually("an answer of each node", ROUND_MAX, || all_answered(&load, &before));
    let lines = lines(&load);
    let failed: Vec<_> = lines.iter().filter(|line| line["error"].is_string()).collect();
    assert!(failed.is_empty(), "of {} messages failed: {failed:?}", lines.len());
    for name in NAMES {
        let totals =
            lines.iter().filter(|line| line["node"] == name).filter_map(|line| line["total"].as_u64());
        let mut last = 0;
        for total in totals {
            // A node that was started again counts from the beginning: each life runs a message once.
            assert!(total == last + 1 || total == 1, "{name} counted {total} after {last}");
            last = total;
        }
    }
    let slowest = lines.iter().filter_map(|line| line["took"].as_u64()).max().unwrap_or_default();
    report(&format!(
        "rolling restart of {} nodes: {} messages, none failed, the slowest took {} ms",
        NAMES.len(),
        lines.len(),
        slowest / 1000
    ));
}

fn lines(load: &Process) -> Vec<Value> {
    // The last line may still be on its way.
    load.stdout().lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

/// How many answers each node has given.
fn answers(load: &Process) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines(load).iter().filter(|line| line["total"].is_u64()) {
        *counts.entry(line["node"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn all_answered(load: &Process, before: &BTreeMap<String, usize>) -> Result<(), String> {
    let said = load.stderr();
    assert!(said.is_empty(), "the load has ended: {said}");
    let now = answers(load);
    let silent: Vec<_> = NAMES.iter().filter(|name| now.get(**name) <= before.get(**name)).collect();
    if silent.is_empty() { Ok(()) } else { Err(format!("{silent:?} answered nothing since")) }
}
