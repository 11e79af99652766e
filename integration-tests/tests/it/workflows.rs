//! Workflows on real nodes whose coordinating node is killed in every stage, and that go on without doing anything twice.

mod model;

use std::fs;
use std::time::Duration;

use integration_tests::{Ctl, Lab, Node, Pending, binary, eventually, report};
use serde_json::Value;

use self::model::{Calls, Model};
use crate::runs::server::Server;

/// The seed's own file.
const FILE: &str = include_str!("../../../crates/mesh-agents/tests/workflows/claude-flow.yaml");
const TASK: &str = "make tea";
/// A stage of a lab on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What an undisturbed run of the file asks its models for.
const CALLS: [&str; 9] = [
    "coordinator: execution",
    "coordinator: planning",
    "coordinator: review",
    "executor: add tea",
    "executor: boil water",
    "executor: pour",
    "executor: wait",
    "planner: make tea",
    "reviewer",
];

/// A node that thinks with the model of the test, and whose former life's leases run out soon.
fn node(lab: &Lab, model: &Model, name: &str, more: &[&str]) -> Node {
    let config = lab.path("lease.toml");
    fs::write(&config, "run_lease = \"2s\"\n").expect("the lab's folder can be written");
    let config = config.display().to_string();
    let args = [&["--config", &config], more].concat();
    lab.start_own_with(&binary("mesh-node"), name, &args, &[("MESH_MODEL_URL", &model.url())])
}

/// alpha, beta and gamma, and a file to run.
fn three(lab: &Lab, model: &Model, more: &[&str]) -> [Node; 3] {
    fs::write(lab.path("flow.yaml"), FILE).expect("the lab's folder can be written");
    let alpha = node(lab, model, "alpha", more);
    let addr = alpha.addr().to_owned();
    let join = |name| node(lab, model, name, &[more, &["--join", &addr]].concat());
    let (beta, gamma) = (join("beta"), join("gamma"));
    let ctl = lab.ctl(&alpha);
    eventually("three nodes", SOON, || {
        let nodes = ctl.try_json(&["nodes"])?;
        let alive = |node: &&Value| node["state"] == "alive";
        match nodes.as_array().map(|nodes| nodes.iter().filter(alive).count()) {
            Some(3) => Ok(()),
            _ => Err(nodes.to_string()),
        }
    });
    [alpha, beta, gamma]
}

fn begin(ctl: &Ctl<'_>) -> Pending {
    ctl.begin(&["workflow", "run", "flow.yaml", "--task", TASK])
}

/// The lines that a run has printed, each a JSON document.
fn lines(printed: &str) -> Vec<Value> {
    // The last line may not be whole yet.
    printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn run_id(printed: &str) -> Option<String> {
    let stored = lines(printed).into_iter().find_map(|event| event.get("run_stored").cloned())?;
    Some(stored["run"].as_str()?.to_owned())
}

/// What a run came to: its result, and what each stage gave.
fn came_to(printed: &str) -> (String, Vec<(String, String)>) {
    let events = lines(printed);
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let stage = |event: &Value| {
        let of = event.get("stage_finished").or_else(|| event.get("stage_restored"))?;
        Some((text(&of["stage"]), text(&of["text"])))
    };
    let result = events.iter().find_map(|event| event.pointer("/ended/outcome/completed/result"));
    let result = text(result.unwrap_or_else(|| panic!("no result in {printed}")));
    (result, events.iter().filter_map(stage).collect())
}

/// Resumes a run to its end, and gives what it printed.
fn resume(ctl: &Ctl<'_>, args: &[&str]) -> String {
    let outcome = ctl.run(&[&["workflow", "resume"], args].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout
}

fn once() -> Calls {
    CALLS.iter().map(|call| ((*call).to_owned(), 1)).collect()
}

#[test]
fn a_workflow_goes_on_after_a_kill_in_any_stage_and_nothing_that_had_finished_is_called_again() {
    let lab = Lab::new();
    let model = Model::start();
    let [mut alpha, beta, gamma] = three(&lab, &model, &[]);
    let undisturbed = lab.ctl(&alpha).run(&["workflow", "run", "flow.yaml", "--task", TASK]);
    assert_eq!(undisturbed.code, 0, "{undisturbed:?}");
    assert_eq!(model.take_calls(), once());
    let expected = came_to(&undisturbed.stdout);
    assert_eq!(expected.0, "4 of 4 are done");

    // In each stage one call is held back, and the node is killed when all else of the stage is known to be done.
    for (held, done) in [("planner: make tea", 0), ("executor: wait", 4), ("reviewer", 5)] {
        model.hold(Some(held));
        let mut reading = begin(&lab.ctl(&alpha));
        let run = eventually(&format!("only {held} to be left"), SOON, || {
            let printed = reading.printed();
            let finished =
                lines(&printed).iter().filter(|event| event.get("item_finished").is_some()).count();
            let run = run_id(&printed).ok_or("no id yet")?;
            match model.calls().contains_key(held) && finished == done && !reading.has_ended() {
                true => Ok(run),
                false => Err(format!("{finished} items; {:?}", model.calls())),
            }
        });
        alpha.kill9();
        let ended = reading.outcome();
        assert_eq!(ended.code, 3, "its reader is told: {ended:?}");
        assert!(ended.stderr.contains(&format!("meshctl workflow resume {run}")), "{ended:?}");
        let elsewhere = lab.ctl(&beta).refused(&["workflow", "resume", &run, "--on", "beta"]);
        assert_eq!(elsewhere["code"], "NO_SUCH_RUN");
        assert!(elsewhere["message"].as_str().is_some_and(|said| said.contains("own store")), "{elsewhere}");

        model.hold(None);
        alpha = node(&lab, &model, "alpha", &["--join", beta.addr()]);
        let ctl = lab.ctl(&alpha);
        let printed = resume(&ctl, &[&run]);
        assert_eq!(came_to(&printed), expected, "{held}: {printed}");
        let mut calls = once();
        // What was in flight had not finished.
        calls.insert(held.to_owned(), 2);
        assert_eq!(model.take_calls(), calls, "killed at {held}");

        let shown = ctl.json(&["runs", "show", &run]);
        assert_eq!(
            (&shown["row"]["agent"], &shown["row"]["status"]),
            (&"workflow".into(), &"completed".into())
        );
        assert_eq!(shown["row"]["current_step"], 3, "{shown}");
        let listed = ctl.json(&["runs", "list", "--tag", "checkpoints"]);
        let is_run = |row: &Value| row["run"] == run.as_str();
        assert!(listed.as_array().is_some_and(|rows| rows.iter().any(is_run)), "{listed}");
        assert_eq!(came_to(&resume(&ctl, &[&run])).0, expected.0, "its result is there to be read again");
        assert_eq!(model.take_calls(), Calls::new(), "and costs nothing");
        report(&format!(
            "killed at {held}: {} calls in all, and only that one was made again",
            CALLS.len() + 1
        ));
    }
    for node in [gamma, beta, alpha] {
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn a_run_holds_when_its_reader_goes_and_a_file_that_changed_since_is_refused() {
    let lab = Lab::new();
    let model = Model::start();
    let [alpha, _beta, _gamma] = three(&lab, &model, &[]);
    let ctl = lab.ctl(&alpha);
    model.hold(Some("executor: wait"));
    let mut reading = begin(&ctl);
    let run = eventually("the execution", SOON, || {
        let run = run_id(&reading.printed()).ok_or("no id yet")?;
        if model.calls().contains_key("executor: wait") {
            Ok(run)
        } else {
            Err(format!("{:?}", model.calls()))
        }
    });
    reading.interrupt();
    assert_eq!(reading.outcome().code, 130);
    eventually("the run to hold", SOON, || {
        let shown = ctl.try_json(&["runs", "show", &run])?;
        if shown["row"]["status"] == "paused" { Ok(()) } else { Err(shown["row"].to_string()) }
    });
    model.hold(None);
    let before = model.calls();

    fs::write(lab.path("flow.yaml"), FILE.replace("max_concurrent: 3", "max_concurrent: 2"))
        .expect("the lab's folder can be written");
    let changed = ctl.refused(&["workflow", "resume", &run]);
    assert_eq!(changed["code"], "FILE_CHANGED", "{changed}");
    let named = ctl.refused(&["workflow", "resume", &run, "--file", "flow.yaml"]);
    assert_eq!(named["code"], "FILE_CHANGED", "{named}");
    assert_eq!(model.calls(), before, "nobody is at work on it");
    assert_eq!(came_to(&resume(&ctl, &[&run, "--as-stored"])).0, "4 of 4 are done");
    let unknown = ctl.refused(&["workflow", "resume", "nobody"]);
    assert_eq!(unknown["code"], "NO_SUCH_RUN", "{unknown}");
    assert_eq!(alpha.terminate(), 0);
}

#[test]
fn any_node_of_a_shared_store_resumes_a_workflow() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(reason) => return report(&format!("skipped: no Postgres here: {}", reason.trim())),
    };
    let lab = Lab::new();
    let model = Model::start();
    let [alpha, beta, gamma] = three(&lab, &model, &["--store", &server.url]);
    model.hold(Some("reviewer"));
    let mut reading = begin(&lab.ctl(&alpha));
    let run = eventually("the review", SOON, || {
        let run = run_id(&reading.printed()).ok_or("no id yet")?;
        match model.calls().contains_key("reviewer") && !reading.has_ended() {
            true => Ok(run),
            false => Err(format!("{:?}", model.calls())),
        }
    });
    alpha.kill9();
    model.hold(None);
    let (result, stages) = came_to(&resume(&lab.ctl(&beta), &[&run]));
    assert_eq!((result.as_str(), stages.len()), ("4 of 4 are done", 3));
    let mut calls = once();
    calls.insert("reviewer".to_owned(), 2);
    assert_eq!(model.take_calls(), calls);
    for node in [gamma, beta] {
        assert_eq!(node.terminate(), 0);
    }
}
