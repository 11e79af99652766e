//! Machines that get in by a token, and clients that may do what was granted: with real processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::{Lab, Node, Process, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text":"hello"}"#;

/// A token of the lab's mesh, in a file.
fn token(lab: &Lab, alpha: &Node, args: &[&str]) -> (PathBuf, String) {
    let made = lab.ctl(alpha).json(&[&["token", "create"], args].concat());
    let text = made["token"].as_str().unwrap().to_owned();
    let path = lab.path(&format!("token-{}", made["id"].as_str().unwrap()));
    fs::write(&path, &text).unwrap();
    (path, text)
}

/// A node on "another machine": with a state folder of its own.
fn elsewhere(lab: &Lab, name: &str, token: &Path, seed: &Node) -> Node {
    lab.join_elsewhere(name, &format!("state-{name}"), &["--token-file", token.to_str().unwrap()], seed)
}

fn attempt(lab: &Lab, name: &str, token: &Path, seed: &Node) -> Process {
    let state = lab.path(&format!("state-{name}"));
    lab.attempt(&[
        "--name",
        name,
        "--state",
        state.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--join",
        seed.addr(),
        "--token-file",
        token.to_str().unwrap(),
    ])
}

fn members(lab: &Lab, at: &Node) -> Vec<String> {
    let nodes = lab.ctl(at).json(&["nodes"]);
    let mut names: Vec<_> =
        nodes.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_machine_with_a_token_joins_and_needs_it_no_more() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    let ctl = lab.ctl(&alpha);
    assert_eq!(ctl.json(&["ask", "beta/echo", ECHO, HELLO])["node"], "beta");
    let id = beta.ready()["id"].clone();
    assert_eq!(beta.terminate(), 0);

    fs::remove_file(&file).unwrap();
    let beta = lab.join_elsewhere("beta", "state-beta", &[], &alpha);
    assert_eq!(beta.ready()["id"], id, "the same key");
    eventually("beta answers", SOON, || ctl.try_json(&["ask", "beta/echo", ECHO, HELLO]));
}
