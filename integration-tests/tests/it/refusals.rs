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
    assert_says(&said, &[alpha.addr(), "certificate"]);
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

    let gone = alpha.addr().to_owned();
    assert_eq!(alpha.terminate(), 0);
    let outcome = lab.ctl_at(&gone).run(&["nodes"]);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert_says(&outcome.stderr, &[&gone]);
}
