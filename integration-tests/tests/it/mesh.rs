//! Nodes that join, answer, crash, die, fall silent, come back and leave.

use std::time::Duration;

use integration_tests::{Ctl, Lab, Node, eventually, setting};
use serde_json::{Value, json};

const JOIN_MAX: Duration = Duration::from_secs(10);
const RESTART_MAX: Duration = Duration::from_secs(5);
const DEATH_MAX: Duration = Duration::from_secs(15);
const IN_FLIGHT_MAX: Duration = Duration::from_secs(3);

const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text":"hello"}"#;

/// alpha, beta that joined alpha, gamma that joined beta: each knows one seed, and one knows another than the rest.
fn chain(lab: &Lab) -> [Node; 3] {
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    let gamma = lab.join("gamma", &beta);
    for node in [&alpha, &beta, &gamma] {
        wait_for_states(
            &lab.ctl(node),
            &[("alpha", "alive"), ("beta", "alive"), ("gamma", "alive")],
            JOIN_MAX,
        );
    }
    [alpha, beta, gamma]
}

fn states(ctl: &Ctl<'_>) -> Result<Vec<(String, String)>, String> {
    let nodes = ctl.try_json(&["nodes"])?;
    let field = |node: &Value, name: &str| node[name].as_str().unwrap_or("missing").to_owned();
    let rows = nodes.as_array().ok_or_else(|| format!("not a list: {nodes}"))?;
    let mut states: Vec<_> = rows.iter().map(|node| (field(node, "name"), field(node, "state"))).collect();
    states.sort();
    Ok(states)
}

fn wait_for_states(ctl: &Ctl<'_>, wanted: &[(&str, &str)], within: Duration) {
    eventually(&format!("nodes {wanted:?}"), within, || {
        let seen = states(ctl)?;
        let same =
            seen.iter().map(|(name, state)| (name.as_str(), state.as_str())).eq(wanted.iter().copied());
        if same { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

fn wait_for_echo(ctl: &Ctl<'_>, path: &str, within: Duration) {
    eventually(&format!("{path} answers"), within, || ctl.try_json(&["ask", path, ECHO, HELLO]));
}

/// The row of `path` in `meshctl ps NODE`.
fn actor(ctl: &Ctl<'_>, path: &str) -> Result<Value, String> {
    let (node, _) = path.split_once('/').expect("a path is NODE/ACTOR");
    let rows = ctl.try_json(&["ps", node])?;
    let found = rows.as_array().and_then(|rows| rows.iter().find(|row| row["path"] == path).cloned());
    found.ok_or_else(|| format!("no {path} in {rows}"))
}

#[test]
fn three_nodes_see_one_another_and_answer_from_anywhere() {
    let lab = Lab::new();
    let nodes = chain(&lab);
    for from in &nodes {
        for to in &nodes {
            let reply = lab.ctl(from).json(&["ask", &format!("{}/echo", to.name()), ECHO, HELLO]);
            assert_eq!(reply, json!({"text": "hello", "node": to.name()}), "asked at {}", from.name());
        }
    }
}

#[test]
fn a_node_tells_where_it_is_once_it_answers() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ready = alpha.ready();
    assert_eq!(ready["name"], "alpha");
    assert_eq!(ready["pid"], alpha.process().pid());
    assert_eq!(ready["http"], Value::Null);
    assert!(ready["id"].is_string() && ready["cluster"].is_string(), "{ready}");
    let stdout = alpha.process().stdout();
    let join = format!("join with: mesh-node --join {} --state {}\n", alpha.addr(), lab.state().display());
    assert!(stdout.contains(&format!("listening {}", alpha.addr())) && stdout.contains(&join), "{stdout}");
    let reply = lab.ctl(&alpha).json(&["ask", "alpha/echo", ECHO, HELLO]);
    assert_eq!(reply["text"], "hello");
}

#[test]
fn a_message_that_nobody_can_take_is_refused_with_its_reason() {
    let lab = Lab::new();
    let [alpha, _beta, _gamma] = chain(&lab);
    let ctl = lab.ctl(&alpha);
    for (path, kind, body, code) in [
        ("gamma/nobody", ECHO, HELLO, "NO_SUCH_ACTOR"),
        ("gamma/echo", "lab.echo.v9", "{}", "UNKNOWN_KIND"),
        ("gamma/echo", ECHO, r#"{"txt":1}"#, "BAD_MESSAGE"),
    ] {
        let error = ctl.refused(&["ask", path, kind, body]);
        assert_eq!(error["code"], code, "{path} {kind} {body}: {error}");
        assert_eq!(error["may_have_run"], false, "{path} {kind} {body}: {error}");
    }
    assert_eq!(ctl.json(&["ask", "gamma/echo", ECHO, HELLO])["node"], "gamma", "after the refusals");
}

#[test]
fn what_an_actor_can_do_is_known_at_every_node() {
    let lab = Lab::new();
    for node in &chain(&lab) {
        let ctl = lab.ctl(node);
        eventually("who can echo", RESTART_MAX, || {
            let names = ctl.try_json(&["names", "--capability", "lab:echo"])?;
            let rows = names.as_array().ok_or("no list")?;
            let paths: Vec<&str> = rows.iter().filter_map(|row| row["path"].as_str()).collect();
            if paths == ["alpha/echo", "beta/echo", "gamma/echo"] { Ok(()) } else { Err(names.to_string()) }
        });
        let row = actor(&ctl, "beta/echo").expect("beta has an echo");
        assert_eq!(row["capabilities"], json!(["lab:echo"]), "{row}");
        assert_eq!(row["shadowed_by"], Value::Null, "each node is meant to have one: {row}");
        assert_eq!(ctl.json(&["names", "--kind", "lab.add.v1"]).as_array().map(Vec::len), Some(3));
        assert_eq!(ctl.json(&["names", "--capability", "lab:nothing"]), json!([]));
    }
}

#[test]
fn a_crashed_actor_comes_back_and_its_restarts_are_counted() {
    let lab = Lab::new();
    let [alpha, _beta, _gamma] = chain(&lab);
    let ctl = lab.ctl(&alpha);
    for crashes in 1..=3 {
        let error = ctl.refused(&["ask", "beta/crash", "lab.crash.v1", "{}"]);
        assert_eq!(error["code"], "STOPPED", "{error}");
        assert_eq!(error["may_have_run"], true, "{error}");
        eventually(&format!("restart {crashes} is counted"), RESTART_MAX, || {
            let row = actor(&ctl, "beta/crash")?;
            if row["restarts"] == crashes { Ok(()) } else { Err(row.to_string()) }
        });
        wait_for_echo(&ctl, "beta/crash", RESTART_MAX);
    }
}

#[test]
fn an_actor_keeps_what_it_was_told() {
    let lab = Lab::new();
    let [alpha, _beta, gamma] = chain(&lab);
    let add = |at: &Node, by: u32| {
        lab.ctl(at).json(&["ask", "beta/count", "lab.add.v1", &json!({ "by": by }).to_string()])["total"]
            .clone()
    };
    assert_eq!(add(&alpha, 2), 2);
    assert_eq!(add(&gamma, 3), 5);
}

#[test]
fn a_killed_node_fails_its_asks_is_known_to_be_down_and_comes_back() {
    let lab = Lab::new();
    let [alpha, _beta, mut gamma] = chain(&lab);
    let ctl = lab.ctl(&alpha);
    for _ in 0..setting("MESH_KILLS", 2) {
        let work = r#"{"ms":60000,"pad":""}"#;
        let ask = ctl.begin(&["ask", "gamma/slow", "lab.work.v1", work, "--timeout", "60s"]);
        // A second message waits behind the first: both have arrived, and one is being handled.
        assert_eq!(ctl.run(&["tell", "gamma/slow", "lab.work.v1", work]).code, 0);
        eventually("the ask is in flight", JOIN_MAX, || {
            let row = actor(&ctl, "gamma/slow")?;
            if row["mailbox"]["len"] == 1 { Ok(()) } else { Err(row.to_string()) }
        });

        let killed = std::time::Instant::now();
        gamma.kill9();
        let error = ask.outcome().refusal();
        let took = killed.elapsed();
        assert_eq!(
            (&error["code"], &error["may_have_run"]),
            (&json!("UNREACHABLE"), &json!(true)),
            "{error}"
        );
        assert!(took < IN_FLIGHT_MAX, "the ask in flight failed after {took:?}");

        wait_for_states(&ctl, &[("alpha", "alive"), ("beta", "alive"), ("gamma", "down")], DEATH_MAX);
        println!("the ask in flight failed after {took:?}, the death was known after {:?}", killed.elapsed());

        gamma = lab.join("gamma", &alpha);
        wait_for_states(&ctl, &[("alpha", "alive"), ("beta", "alive"), ("gamma", "alive")], JOIN_MAX);
        wait_for_echo(&ctl, "gamma/echo", JOIN_MAX);
    }
}

#[test]
fn a_node_that_was_silent_for_a_while_answers_again() {
    let lab = Lab::new();
    let [alpha, mut beta, gamma] = chain(&lab);
    let ctl = lab.ctl(&alpha);
    beta.pause();
    let error = ctl.refused(&["ask", "beta/echo", ECHO, HELLO, "--timeout", "1s"]);
    assert!(["TIMEOUT", "UNREACHABLE"].iter().any(|code| error["code"] == *code), "{error}");
    // Its neighbours do not wait for it.
    assert_eq!(ctl.json(&["ask", "gamma/echo", ECHO, HELLO])["node"], gamma.name());
    beta.resume();
    wait_for_echo(&ctl, "beta/echo", JOIN_MAX);
    wait_for_states(&ctl, &[("alpha", "alive"), ("beta", "alive"), ("gamma", "alive")], DEATH_MAX);
}

#[test]
fn a_drained_node_finishes_its_work_and_leaves() {
    let lab = Lab::new();
    let [alpha, beta, _gamma] = chain(&lab);
    let ctl = lab.ctl(&alpha);
    let work = |ms: u32| format!(r#"{{"ms":{ms},"pad":""}}"#);
    let first = ctl.begin(&["ask", "beta/slow", "lab.work.v1", &work(1000), "--timeout", "60s"]);
    let second = ctl.begin(&["ask", "beta/slow", "lab.work.v1", &work(500), "--timeout", "60s"]);
    eventually("both are there", JOIN_MAX, || {
        let row = actor(&ctl, "beta/slow")?;
        if row["mailbox"]["len"] == 1 { Ok(()) } else { Err(row.to_string()) }
    });
    let drained = ctl.json(&["drain", "beta"]);
    assert_eq!((&drained["node"], &drained["state"]), (&json!("beta"), &json!("left")), "{drained}");
    let numbers = [first, second].map(|ask| {
        let outcome = ask.outcome();
        let reply: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        reply["n"].clone()
    });
    assert!(numbers.contains(&json!(1)) && numbers.contains(&json!(2)), "both were answered: {numbers:?}");
    assert_eq!(beta.ended(), 0);
    wait_for_states(&ctl, &[("alpha", "alive"), ("beta", "left"), ("gamma", "alive")], JOIN_MAX);
    let error = ctl.refused(&["ask", "beta/echo", ECHO, HELLO]);
    assert_eq!(error["may_have_run"], json!(false), "{error}");
}

#[test]
fn sigterm_leaves_and_the_others_know() {
    let lab = Lab::new();
    let [alpha, beta, _gamma] = chain(&lab);
    assert_eq!(beta.terminate(), 0);
    wait_for_states(&lab.ctl(&alpha), &[("alpha", "alive"), ("beta", "left"), ("gamma", "alive")], JOIN_MAX);
}
