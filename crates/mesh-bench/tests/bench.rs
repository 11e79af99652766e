//! The program as a whole: real child processes on loopback.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

fn bench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-bench"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_slowed_sender_loses_nothing_and_both_ends_stay_small() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let args = ["--only", "R5", "--runs", "1", "--seconds", "1", "--json"];
    let output = bench(&args).arg(&json).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let document: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    for peer in ["ours", "raw_quinn"] {
        let rows = document["rows"].as_array().unwrap().iter().filter(|row| row["peer"] == peer);
        let value = |row: &Value| (row["id"].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap());
        let figures: BTreeMap<String, f64> = rows.map(value).collect();
        assert!(figures["R5_lost"].abs() < 1e-9, "{peer}: {figures:?}");
        assert!(figures["R5_accepted"] > 10.0, "{peer}: {figures:?}");
        let (sender, receiver) = (figures["R5_sender_mib"], figures["R5_receiver_mib"]);
        assert!(sender < 16.0 && receiver < 16.0, "{peer}: {figures:?}");
    }
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("pinned: ") && table.contains("R5_receiver_mib"), "{table}");
}

#[test]
fn children_end_with_a_parent_that_was_killed() {
    let mut parent = bench(&["--only", "R1", "--peers", "raw_quinn", "--runs", "1000"]).spawn().unwrap();
    let mut errors = BufReader::new(parent.stderr.take().unwrap());
    let mut first_run = String::new();
    errors.read_line(&mut first_run).unwrap();
    assert!(first_run.contains("run 1"), "{first_run}");
    // Now the second run is starting or under way.
    parent.kill().unwrap();
    parent.wait().unwrap();

    // The children have inherited stderr: it ends when the last of them has ended.
    let (ended, end) = mpsc::channel();
    let reader = thread::spawn(move || ended.send(errors.read_to_end(&mut Vec::new()).is_ok()));
    assert_eq!(end.recv_timeout(Duration::from_secs(20)), Ok(true), "a child outlives its parent");
    reader.join().unwrap().unwrap();
}

#[test]
fn peers_that_have_none_of_the_rows_are_an_error_in_words() {
    let output = bench(&["--only", "R1", "--peers", "ractor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no peer"), "{output:?}");
}
