//! Approvals by people: with real processes, from the command line.

use std::fs;
use std::time::Duration;

use integration_tests::{Ctl, Lab, Node, Outcome, eventually, setting};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const HOUR: u64 = 3_600_000;

/// Has a node's actor ask for something.
fn guard(ctl: &Ctl<'_>, node: &str, action: &str, key: &str, args: &Value, wait_ms: u64) {
    let body =
        json!({"action": action, "args": args.to_string(), "key": key, "wait_ms": wait_ms}).to_string();
    let _ = ctl.json(&["ask", &format!("{node}/guarded"), "lab.guard.v1", &body]);
}

/// What a node's actor has done, and what it has not.
fn done(ctl: &Ctl<'_>, node: &str) -> Value {
    ctl.json(&["ask", &format!("{node}/guarded"), "lab.done.v1", "{}"])
}

fn pending(ctl: &Ctl<'_>, count: usize) -> Vec<Value> {
    eventually("the requests wait", SOON, || {
        let rows = ctl.try_json(&["approvals"])?;
        let rows = rows.as_array().ok_or("no list")?;
        if rows.len() == count { Ok(rows.clone()) } else { Err(format!("{} wait", rows.len())) }
    })
}

fn id(row: &Value) -> &str {
    row["id"].as_str().expect("an id is text")
}

/// A client of its own with these grants: the name of its state folder.
fn client(lab: &Lab, alpha: &Node, name: &str, grants: &[&str]) -> String {
    let mut args = vec!["token", "create", "--role", "client", "--name", name];
    grants.iter().for_each(|grant| args.extend(["--grant", grant]));
    let made = lab.ctl(alpha).json(&args);
    let file = lab.path(&format!("token-{name}"));
    fs::write(&file, made["token"].as_str().expect("the token is text"))
        .expect("the lab's folder can be written");
    let state = format!("state-{name}");
    let file = file.to_str().expect("the lab's paths are text");
    let _ = lab.ctl(alpha).with_state(&state).json(&["enroll", alpha.addr(), "--token-file", file]);
    state
}

#[test]
fn fifty_requests_survive_the_restart_of_every_node_and_none_approves_itself() {
    const NODES: [&str; 3] = ["alpha", "beta", "gamma"];
    let lab = Lab::new();
    let start = || {
        let alpha = lab.start("alpha");
        let others = [lab.join("beta", &alpha), lab.join("gamma", &alpha)];
        (alpha, others)
    };
    let (alpha, others) = start();
    let ctl = lab.ctl(&alpha);
    for number in 0..50 {
        let args = json!({"file": format!("{number}.log")});
        guard(&ctl, NODES[number % 3], "delete_file", &format!("key-{number}"), &args, HOUR);
    }
    let ids = |rows: &[Value]| -> Vec<String> { rows.iter().map(|row| id(row).to_owned()).collect() };
    let before = ids(&pending(&ctl, 50));

    let [beta, gamma] = others;
    alpha.kill9();
    beta.kill9();
    assert_eq!(gamma.terminate(), 0);
    let (alpha, others) = start();
    let ctl = lab.ctl(&alpha);
    assert_eq!(ids(&pending(&ctl, 50)), before);
    for node in NODES {
        assert_eq!(done(&ctl, node), json!({"done": [], "undone": [], "waiting": 0}));
    }

    // Who asks again goes on with the request that is there, and it is answered through any node.
    for (number, node) in NODES.iter().enumerate() {
        let args = json!({"file": format!("{number}.log")});
        guard(&ctl, node, "delete_file", &format!("key-{number}"), &args, HOUR);
    }
    let rows = pending(&ctl, 50);
    for row in rows.iter().filter(|row| {
        ["0.log", "1.log", "2.log"]
            .iter()
            .any(|file| row["args"].to_string().contains(&format!("\\\"{file}\\\"")))
    }) {
        let answered = lab.ctl(&others[1]).json(&["approvals", "approve", id(row)]);
        assert_eq!((&answered["state"], &answered["node"]), (&json!("approved"), &row["node"]));
    }
    for (number, node) in NODES.iter().enumerate() {
        let args = json!({"file": format!("{number}.log")}).to_string();
        eventually("it is done", SOON, || match done(&ctl, node) {
            seen if seen["done"] == json!([{"key": format!("key-{number}"), "with": args}]) => Ok(()),
            seen => Err(seen.to_string()),
        });
    }
    assert_eq!(pending(&ctl, 47).len(), 47);
}

#[test]
fn two_approvers_who_race_give_one_effect() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&alpha);
    let people =
        ["ann", "bob"].map(|name| client(&lab, &alpha, name, &["approve:*/approvals", "read:*/mesh"]));
    let rounds = setting("MESH_RACES", 3);
    for round in 0..rounds {
        let key = format!("race-{round}");
        guard(&ctl, "beta", "delete_file", &key, &json!({"round": round}), HOUR);
        let rows = pending(&ctl, 1);
        // Each from another node.
        let race: Vec<_> = people
            .iter()
            .zip([&alpha, &beta])
            .map(|(state, node)| {
                lab.ctl(node).with_state(state).begin(&["approvals", "approve", id(&rows[0])])
            })
            .collect();
        let outcomes: Vec<Outcome> = race.into_iter().map(|race| race.outcome()).collect();
        let won = outcomes.iter().filter(|outcome| outcome.code == 0).count();
        assert_eq!(won, 1, "{outcomes:?}");
        let lost = outcomes.iter().find(|outcome| outcome.code != 0).expect("one lost");
        assert_eq!(lost.refusal()["code"], "NOT_PENDING");
        eventually("it is done, once", SOON, || match done(&ctl, "beta") {
            seen if seen["done"].as_array().map(Vec::len) == usize::try_from(round + 1).ok() => Ok(()),
            seen => Err(seen.to_string()),
        });
    }
}

#[test]
fn a_client_without_the_grant_is_denied() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    guard(&ctl, "alpha", "delete_file", "k", &json!({}), HOUR);
    let row = pending(&ctl, 1).remove(0);
    let mallory = client(
        &lab,
        &alpha,
        "mallory",
        &["ask:**", "tell:**", "read:**", "stream:**", "admin:**", "spawn:**"],
    );
    let mallory = lab.ctl(&alpha).with_state(&mallory);
    for args in [&["approvals"][..], &["approvals", "show", id(&row)], &["approvals", "approve", id(&row)]] {
        assert_eq!(mallory.refused(args)["code"], "DENIED", "{args:?}");
    }
    // Not by hand either.
    let answer = json!({"id": row["id"], "hash": row["hash"], "verdict": "approve"}).to_string();
    let by_hand = mallory.refused(&["ask", "alpha/approvals", "approvals.answer.v1", &answer]);
    assert_eq!(by_hand["code"], "DENIED");
    assert_eq!(done(&ctl, "alpha")["waiting"], 1);
    assert_eq!(pending(&ctl, 1).len(), 1);
}

#[test]
fn what_changed_since_it_was_seen_is_not_approved_and_what_nobody_answers_is_denied() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    guard(&ctl, "alpha", "delete_files", "k", &json!({"glob": "logs/*.gz"}), HOUR);
    let row = pending(&ctl, 1).remove(0);
    let other =
        format!("{}{}", if row["hash"].as_str().unwrap().starts_with('0') { "1" } else { "0" }, "0000000");
    let refused = ctl.refused(&["approvals", "approve", &id(&row)[..4], "--hash", &other]);
    assert_eq!(refused["code"], "OTHER_ACTION");
    let by_hand = json!({"id": row["id"], "hash": "0".repeat(64), "verdict": "approve"}).to_string();
    let refused = ctl.refused(&["ask", "alpha/approvals", "approvals.answer.v1", &by_hand]);
    assert_eq!(refused["code"], "OTHER_ACTION");
    // The same key for other arguments is not the same request.
    guard(&ctl, "alpha", "delete_files", "k", &json!({"glob": "logs/*.gy"}), HOUR);
    eventually("it is refused", SOON, || match done(&ctl, "alpha") {
        seen if seen["undone"] == json!([{"key": "k", "with": "OTHER_ACTION"}]) => Ok(()),
        seen => Err(seen.to_string()),
    });
    assert_eq!(done(&ctl, "alpha")["done"], json!([]));

    // Edited, what was edited is done.
    let file = lab.path("args.json");
    fs::write(&file, r#"{"glob": "logs/2019*.gz"}"#).unwrap();
    let file = file.to_str().unwrap();
    let approved = ctl.json(&["approvals", "approve", &id(&row)[..4], "--edit", file, "--note", "not all"]);
    assert_eq!(approved["state"], "approved");
    eventually("it is done", SOON, || match done(&ctl, "alpha") {
        seen if seen["done"] == json!([{"key": "k", "with": r#"{"glob":"logs/2019*.gz"}"#}]) => Ok(()),
        seen => Err(seen.to_string()),
    });
    let shown = ctl.json(&["approvals", "show", id(&row)]);
    assert_eq!(shown["original_args"], r#"{"glob":"logs/*.gz"}"#);
    assert_eq!(shown["events"][1]["note"], "not all");

    guard(&ctl, "alpha", "deploy", "late", &json!({}), 500);
    eventually("it is denied", SOON, || match done(&ctl, "alpha") {
        seen if seen["undone"][1] == json!({"key": "late", "with": "TIMEOUT"}) => Ok(()),
        seen => Err(seen.to_string()),
    });
    let all = ctl.json(&["approvals", "list", "--all"]);
    let states: Vec<&str> = all.as_array().unwrap().iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["expired", "approved"], "{all}");
}

#[test]
fn what_is_to_be_reviewed_is_read_first_and_a_rejection_says_why() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    guard(&ctl, "alpha", "deploy", "k", &json!({"to": "prod"}), HOUR);
    let row = pending(&ctl, 1).remove(0);
    assert_eq!(row["level"], "review");
    assert_eq!(ctl.run(&["approvals", "approve", id(&row)]).code, 2, "nothing says that it was read");
    let hash = ctl.json(&["approvals", "show", id(&row)])["row"]["hash"].as_str().unwrap().to_owned();
    let _ = ctl.json(&["approvals", "approve", id(&row), "--hash", &hash[..8]]);
    assert_eq!(ctl.refused(&["approvals", "reject", id(&row)])["code"], "NOT_PENDING");
    assert_eq!(ctl.refused(&["approvals", "show", "nothing"])["code"], "NO_SUCH_APPROVAL");

    guard(&ctl, "alpha", "delete_file", "k2", &json!({}), HOUR);
    let row = pending(&ctl, 1).remove(0);
    let _ = ctl.json(&["approvals", "reject", id(&row), "--reason", "it is in use"]);
    eventually("it is not done", SOON, || match done(&ctl, "alpha") {
        seen if seen["undone"] == json!([{"key": "k2", "with": "USER_CANCELLED"}]) => Ok(()),
        seen => Err(seen.to_string()),
    });
    assert_eq!(ctl.json(&["approvals", "show", id(&row)])["events"][1]["note"], "it is in use");
}

#[test]
fn reading_is_not_asked_about_and_read_and_delete_all_is_no_read() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    guard(&ctl, "alpha", "read_file", "r", &json!({}), HOUR);
    eventually("it is done", SOON, || match done(&ctl, "alpha") {
        seen if seen["done"] == json!([{"key": "r", "with": "{}"}]) => Ok(()),
        seen => Err(seen.to_string()),
    });
    guard(&ctl, "alpha", "read_and_delete_all", "d", &json!({}), HOUR);
    assert_eq!(pending(&ctl, 1)[0]["level"], "confirm");
    assert_eq!(done(&ctl, "alpha")["waiting"], 1);
}

#[test]
fn a_watch_sees_what_comes_while_it_waits_for_the_keyboard() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    // Nothing is typed, and the end of the input would end it: `cat` holds the pipe open.
    let mut watch = ctl.typed(&["approvals", "watch"]);
    guard(&ctl, "alpha", "delete_file", "k", &json!({}), HOUR);
    eventually("it asks", SOON, || {
        if watch.printed().contains("delete_file") { Ok(()) } else { Err(watch.printed()) }
    });
    watch.types("perhaps");
    watch.types("y");
    eventually("it is done", SOON, || match done(&ctl, "alpha") {
        seen if seen["done"] == json!([{"key": "k", "with": "{}"}]) => Ok(()),
        seen => Err(seen.to_string()),
    });
    watch.types("q");
    assert_eq!(watch.outcome().code, 0);
}
