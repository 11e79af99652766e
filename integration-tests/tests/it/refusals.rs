//! What cannot work is said at once, with the reason: a wrong command line, a taken port, a stranger's mesh.

use std::net::UdpSocket;
use std::time::Duration;

use integration_tests::Lab;

/// A node that cannot run or join gives up well before anybody gives up on it.
const GIVE_UP_MAX: Duration = Duration::from_secs(30);

/// Runs a node to its end; gives its exit code and what it said.
fn refused(lab: &Lab, args: &[&str]) -> (i32, String) {
    let mut node = lab.attempt(args);
    let code = node.wait(GIVE_UP_MAX);
    (code, node.stderr())
}

fn assert_says(said: &str, words: &[&str]) {
    let lower = said.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "no {word:?} in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn every_problem_of_a_command_line_is_listed() {
    let lab = Lab::new();
    let state = lab.state();
    let state = state.to_str().unwrap();
    let (code, said) = refused(
        &lab,
        &[
            "--state",
            state,
            "--name",
            "Not A Name",
            "--listen",
            "nowhere",
            "--label",
            "gpu",
            "--join",
            "seed",
        ],
    );
    assert_eq!(code, 2, "{said}");
    assert_says(&said, &["name", "listen", "nowhere", "label", "join"]);
}

#[test]
fn a_port_in_use_is_named() {
    let lab = Lab::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(&lab, &["--state", lab.state().to_str().unwrap(), "--listen", &addr]);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &[&addr, "in use"]);
}

#[test]
fn a_seed_that_does_not_answer_is_named() {
    let lab = Lab::new();
    // Bound, so that nobody else answers there; never read.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let seed = silent.local_addr().unwrap().to_string();
    let state = lab.state();
    let (code, said) =
        refused(&lab, &["--state", state.to_str().unwrap(), "--listen", "127.0.0.1:0", "--join", &seed]);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &[&seed]);
    assert_eq!(said.matches(&seed).count(), 1, "it is said once: {said}");
}

#[test]
fn a_stranger_is_not_let_in() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let elsewhere = lab.path("elsewhere");
    let args = [
        "--state",
        elsewhere.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--name",
        "mallory",
        "--join",
        alpha.addr(),
    ];
    let (code, said) = refused(&lab, &args);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &[alpha.addr(), "certificate", "a node of another mesh"]);
    let identity = elsewhere.join("client");
    let outcome = lab.ctl(&alpha).run(&["--identity", identity.to_str().unwrap(), "nodes"]);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert_says(&outcome.stderr, &["a node of another mesh answers at", alpha.addr()]);
    let nodes = lab.ctl(&alpha).json(&["nodes"]);
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{nodes}");
}

#[test]
fn a_name_in_use_is_refused() {
    let lab = Lab::new();
    let _alpha = lab.start("alpha");
    let state = lab.state();
    let (code, said) =
        refused(&lab, &["--state", state.to_str().unwrap(), "--listen", "127.0.0.1:0", "--name", "alpha"]);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &["alpha"]);
}

#[test]
fn meshctl_tells_a_wrong_command_from_an_absent_mesh() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    assert_eq!(lab.ctl(&alpha).run(&["frobnicate"]).code, 2);
    assert_eq!(lab.ctl(&alpha).run(&["ask", "alpha/echo"]).code, 2);
    let no_time = lab.ctl(&alpha).run(&["ask", "alpha/echo", "lab.echo.v1", "{}", "--timeout", "0"]);
    assert_eq!(no_time.code, 2, "{no_time:?}");
    let bad_file = lab.path("bad.yaml");
    std::fs::write(&bad_file, "version: 1\n").unwrap();
    let bad_file = bad_file.to_str().unwrap();
    for args in [&["workflow", "check", bad_file][..], &["workflow", "run", bad_file, "--task", "x"]] {
        let outcome = lab.ctl(&alpha).run(args);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert_says(&outcome.stderr, &["BAD_WORKFLOW"]);
    }

    let gone = alpha.addr().to_owned();
    assert_eq!(alpha.terminate(), 0);
    let outcome = lab.ctl_at(&gone).run(&["nodes"]);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert_says(&outcome.stderr, &[&gone]);
}

#[test]
fn an_agent_of_an_unknown_kind_is_a_mistake_in_the_settings() {
    let lab = Lab::new();
    let file = lab.path("node.toml");
    std::fs::write(&file, "[[agents]]\nkind = \"agnet\"\nname = \"a\"\n").unwrap();
    let state = lab.state();
    let (code, said) =
        refused(&lab, &["--state", state.to_str().unwrap(), "--config", file.to_str().unwrap()]);
    assert_eq!(code, 2, "{said}");
    assert_says(&said, &["agents[0].kind", "agnet", "there are: agent"]);
}

#[test]
fn a_run_without_any_model_has_not_run_and_says_how_to_get_one() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let file = lab.path("one.yaml");
    let text = "version: \"1.0\"\nagents: {a: {role: x}}\n\
                workflow: {type: pipeline, stages: [{name: one, agent: a}]}\n";
    std::fs::write(&file, text).unwrap();
    let run = ["workflow", "run", file.to_str().unwrap(), "--task", "tea"];
    let refused = lab.ctl(&alpha).refused(&run);
    assert_eq!(
        (&refused["may_have_run"], &refused["retry"]),
        (&false.into(), &"backoff".into()),
        "{refused}"
    );
    assert_says(&refused.to_string(), &["MESH_MODEL_URL"]);
    let spawned = lab.ctl(&alpha).refused(&["actor", "spawn", "alpha", "agent", "muse"]);
    assert_eq!(spawned["code"], "CANNOT_SPAWN", "{spawned}");
}
