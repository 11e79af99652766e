//! Placed actors on real nodes that are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::{Lab, Moment, Node, Process, eventually, moment, setting};
use serde_json::Value;

/// All are back so soon after the death is known.
const BACK_MAX: Duration = Duration::from_secs(5);

/// How long a death takes to be known, with room for a loaded machine.
const KNOWN_MAX: Duration = Duration::from_secs(40);

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What may be said of an actor that moves.
const MOVING: [&str; 6] =
    ["NO_SUCH_ACTOR", "NOT_RUNNING", "UNREACHABLE", "STOPPED", "TIMEOUT", "NO_SUCH_NODE"];

/// What the placer has told by now.
fn lines(placer: &Process) -> Vec<Value> {
    assert_eq!(placer.stderr(), "", "the placer has ended");
    placer.stdout().lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

fn at(line: &Value) -> Moment {
    Duration::from_micros(line["at"].as_u64().unwrap_or_default())
}

/// Where each actor answered last: its node, its epoch and when that was first seen.
fn lives(lines: &[Value]) -> BTreeMap<String, (String, u64, Moment)> {
    let life = |line: &Value| {
        let node = line["node"].as_str()?.to_owned();
        Some((line["name"].as_str()?.to_owned(), (node, line["epoch"].as_u64()?, at(line))))
    };
    lines.iter().filter_map(life).collect()
}

/// No answer of an earlier life came behind one of a later life, and no error without a type.
fn check(lines: &[Value]) {
    for line in lines {
        if let (Some(epoch), Some(before)) = (line["epoch"].as_u64(), line["before"].as_u64()) {
            assert!(epoch > before, "an earlier life, or the same one on another node: {line}");
        }
        if let Some(code) = line["error"].as_str() {
            assert!(MOVING.contains(&code), "{line}");
        }
    }
}

#[test]
fn all_placed_actors_are_back_soon_after_a_killed_node_is_known_to_be_dead() {
    let kills = setting("MESH_PLACEMENT_KILLS", 2);
    let count = usize::try_from(setting("MESH_PLACEMENT_ACTORS", 300)).expect("a count");
    let mut state = setting("MESH_SEED", 11);
    println!("seed {state}: MESH_SEED={state} MESH_PLACEMENT_KILLS={kills} runs it again");
    let lab = Lab::new();
    let first = lab.start(NAMES[0]);
    let mut nodes: Vec<Node> = NAMES[1..].iter().map(|name| lab.join(name, &first)).collect();
    nodes.insert(0, first);
    // The placer's own node is the youngest; the oldest, which places, may be killed as any other.
    let keeper = nodes.pop().expect("there are five");
    let placer = lab.client(env!("CARGO_BIN_EXE_placer"), &keeper, &[&count.to_string()]);
    let began = moment();
    eventually("every actor's answer", Duration::from_secs(120), || match lives(&lines(&placer)).len() {
        seen if seen == count => Ok(()),
        seen => Err(format!("{seen} of {count}: {}", placer.stderr())),
    });
    println!("{count} actors were placed and answered within {:?}", moment() - began);
    for round in 0..kills {
        state = state.wrapping_mul(25_214_903_917).wrapping_add(11);
        let victim = nodes.remove(usize::try_from(state >> 16).expect("48 bits") % nodes.len());
        let (name, addr) = (victim.name().to_owned(), victim.addr().to_owned());
        let lost = lives(&lines(&placer)).values().filter(|(node, ..)| *node == name).count();
        let killed = moment();
        victim.kill9();
        let is_death =
            |line: &&Value| line["member"] == *name && line["state"] == "down" && at(line) > killed;
        let known = eventually("its death", KNOWN_MAX, || {
            lines(&placer).iter().find(is_death).map(at).ok_or_else(|| "it is not known".to_owned())
        });
        let back = eventually("all of them", BACK_MAX * 3, || {
            let lives = lives(&lines(&placer));
            match lives.values().filter(|(node, ..)| *node == name).count() {
                0 => Ok(lives.values().map(|(.., since)| *since).max().unwrap_or_default()),
                away => Err(format!("{away} of {lost} are away")),
            }
        });
        let took = back.saturating_sub(known);
        println!(
            "kill {round}: {name} with {lost} actors; known after {:?}, all back {took:?} later",
            known - killed
        );
        assert!(took <= BACK_MAX, "{took:?}");
        check(&lines(&placer));
        // The actors are where they are: only new ones would come to this one.
        nodes.push(lab.rejoin(&name, &addr, &keeper));
    }
    let listed = lab.ctl(&keeper).run(&["actor", "placements"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let rows: Vec<Value> = serde_json::from_str(&listed.stdout).expect("a list");
    assert_eq!(rows.iter().filter(|row| row["is_running"] == true).count(), count);
    check(&lines(&placer));
}

#[test]
fn actors_are_placed_listed_moved_and_ended_from_a_shell() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    let json = |args: &[&str]| -> Value {
        let outcome = ctl.run(args);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    };
    for name in ["one", "two"] {
        let placed = json(&["actor", "place", "lab-placed", name]);
        assert_eq!((&placed["node"], &placed["epoch"]), (&"alpha".into(), &1.into()), "{placed}");
    }
    let nowhere = ctl.run(&["actor", "place", "lab-placed", "three", "--on", "gpu=true"]);
    assert!(nowhere.code == 3 && nowhere.stderr.contains("CANNOT_SPAWN"), "{nowhere:?}");
    let _beta = lab.join("beta", &alpha);
    eventually("one move", Duration::from_secs(20), || {
        match json(&["actor", "rebalance"])["moves"].as_u64() {
            Some(moves) if moves > 0 => Ok(()),
            moves => Err(format!("{moves:?}")),
        }
    });
    eventually("one on beta", Duration::from_secs(20), || {
        let rows = json(&["actor", "placements"]);
        let is_there = |row: &Value| row["node"] == "beta" && row["epoch"] == 2 && row["is_running"] == true;
        if rows.as_array().is_some_and(|rows| rows.iter().any(is_there)) {
            Ok(())
        } else {
            Err(rows.to_string())
        }
    });
    json(&["actor", "unplace", "one"]);
    let again = ctl.run(&["actor", "unplace", "one"]);
    assert!(again.code == 3 && again.stderr.contains("NO_SUCH_ACTOR"), "{again:?}");
}
