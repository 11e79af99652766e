//! Machines that get in by a token, and clients that may do what was granted: with real processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use integration_tests::{Lab, Node, Process, eventually, setting};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text":"hello"}"#;

/// A token of the lab's mesh, in a file.
fn token(lab: &Lab, alpha: &Node, args: &[&str]) -> (PathBuf, String) {
    let made = lab.ctl(alpha).json(&[&["token", "create"], args].concat());
    let text = made["token"].as_str().expect("the token is text").to_owned();
    let path = lab.path(&format!("token-{}", made["id"].as_str().expect("its id is text")));
    fs::write(&path, &text).expect("the lab's folder can be written");
    (path, text)
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("the lab's paths are text")
}

/// A node on "another machine": with a state folder of its own.
fn elsewhere(lab: &Lab, name: &str, token: &Path, seed: &Node) -> Node {
    lab.join_elsewhere(name, &format!("state-{name}"), &["--token-file", text_of(token)], seed)
}

fn attempt(lab: &Lab, name: &str, token: &Path, seed: &Node) -> Process {
    let state = lab.path(&format!("state-{name}"));
    lab.attempt(&[
        "--name",
        name,
        "--state",
        text_of(&state),
        "--listen",
        "127.0.0.1:0",
        "--join",
        seed.addr(),
        "--token-file",
        text_of(token),
    ])
}

/// Whether a machine has got a certificate.
fn is_certified(lab: &Lab, name: &str) -> bool {
    lab.path(&format!("state-{name}/nodes/{name}/cert.pem")).exists()
}

/// Runs a node to its end, which must be a refusal that says `why`.
fn refused(mut node: Process, why: &str) {
    let code = node.wait(SOON);
    let said = node.stderr();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(why), "no {why:?} in: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

fn state_of(lab: &Lab, at: &Node, name: &str) -> Result<String, String> {
    let nodes = lab.ctl(at).try_json(&["nodes"])?;
    let row = nodes.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
    row.map(|row| row["state"].as_str().unwrap_or_default().to_owned()).ok_or_else(|| nodes.to_string())
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
    // Whoever starts it goes on naming the token's file.
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    assert_eq!(beta.ready()["id"], id, "the same key");
    eventually("beta answers", SOON, || ctl.try_json(&["ask", "beta/echo", ECHO, HELLO]));
}

#[test]
fn row_4_a_token_is_used_once_also_after_the_issuer_was_killed() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    refused(attempt(&lab, "gamma", &file, &alpha), "used before");
    // As every error of meshctl: for a client's identity a token of that sort is needed.
    let outcome = lab.ctl(&alpha).run(&["enroll", alpha.addr(), "--token-file", text_of(&file)]);
    assert_eq!(outcome.code, 2, "{outcome:?}");

    alpha.kill9();
    let alpha = lab.start("alpha");
    refused(attempt(&lab, "gamma", &file, &alpha), "used before");
    assert!(!is_certified(&lab, "gamma"));
    drop(beta);
}

#[test]
fn row_4_of_two_machines_that_race_one_gets_in() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    for round in 0..setting("MESH_KILLS", 2) {
        let (file, _) = token(&lab, &alpha, &[]);
        let names = ["a", "b"].map(|side| format!("racer-{round}{side}"));
        let racers = names.clone().map(|name| attempt(&lab, &name, &file, &alpha));
        let certified = || names.iter().filter(|name| is_certified(&lab, name)).count();
        let mut racers = racers;
        eventually("one of them ends", SOON, || {
            racers.iter_mut().find_map(Process::ended).map(drop).ok_or_else(String::new)
        });
        eventually("the other one has its certificate", SOON, || match certified() {
            1 => Ok(()),
            other => Err(format!("{other} certificates")),
        });
    }
}

#[test]
fn row_4_a_kill_of_the_issuer_at_any_moment_makes_no_second_certificate() {
    let lab = Lab::new();
    let mut alpha = lab.start("alpha");
    for round in 0..setting("MESH_KILLS", 3) {
        let (file, _) = token(&lab, &alpha, &[]);
        let names = ["a", "b"].map(|side| format!("late-{round}{side}"));
        let first = attempt(&lab, &names[0], &file, &alpha);
        // Before, amid, or after the answer: the joiner's folder appears with its first breath.
        let folder = lab.path(&format!("state-{0}/nodes/{0}/lock", names[0]));
        eventually("the joiner begins", SOON, || folder.exists().then_some(()).ok_or_else(String::new));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(round * 4) {
            std::thread::yield_now();
        }
        alpha.kill9();
        alpha = lab.start("alpha");
        let mut second = attempt(&lab, &names[1], &file, &alpha);
        eventually("the second joiner ends, or is in", SOON, || {
            let is_in = is_certified(&lab, &names[1]) || second.ended().is_some();
            is_in.then_some(()).ok_or_else(String::new)
        });
        drop((first, second));
        let certified = names.iter().filter(|name| is_certified(&lab, name)).count();
        assert!(certified <= 1, "round {round}: {certified} certificates");
    }
}

#[test]
fn row_4_an_expired_token_and_one_of_another_mesh_are_refused() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let (file, _) = token(&lab, &alpha, &["--ttl", "1ms"]);
    refused(attempt(&lab, "beta", &file, &alpha), "expired");
    let (file, text) = token(&lab, &alpha, &[]);
    let cut = lab.path("cut");
    fs::write(&cut, &text[..60]).unwrap();
    let mut wrong = attempt(&lab, "beta", &cut, &alpha);
    assert_eq!(wrong.wait(SOON), 2, "{}", wrong.stderr());
    assert!(
        wrong.stderr().contains("was it cut?") && !wrong.stderr().contains(&text[20..50]),
        "{}",
        wrong.stderr()
    );
    // A machine with an authority of its own does not change sides.
    let other = lab.path("state-other");
    let args = ["--state", text_of(&other), "--listen", "127.0.0.1:0", "--name", "other"];
    let mut own = lab.attempt(&args);
    eventually("its authority", SOON, || {
        other.join("ca/ca.key").exists().then_some(()).ok_or_else(String::new)
    });
    own.signal(integration_tests::Signal::TERM);
    own.wait(SOON);
    refused(attempt(&lab, "other", &file, &alpha), "an authority of its own");
    assert!(!is_certified(&lab, "beta"));
}

#[test]
fn a_node_without_the_key_sends_on_who_wants_to_enrol() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    let (file, _) = token(&lab, &alpha, &["--name", "gamma"]);
    let gamma = elsewhere(&lab, "gamma", &file, &beta);
    eventually("alpha knows gamma", SOON, || match state_of(&lab, &alpha, "gamma")?.as_str() {
        "alive" => Ok(()),
        other => Err(other.to_owned()),
    });
    // Only where the key is can tokens be made.
    let made = lab.ctl(&gamma).with_state("state-gamma").run(&["token", "create"]);
    assert_eq!(made.refusal()["code"], "NO_AUTHORITY");
}

#[test]
fn row_5_row_6_a_client_may_do_what_its_token_granted_and_no_more() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    eventually("beta", SOON, || lab.ctl(&alpha).try_json(&["ask", "beta/echo", ECHO, HELLO]));
    let (file, _) = token(&lab, &alpha, &["--role", "client", "--grant", "ask:*/echo", "--name", "alice"]);
    let alice = lab.ctl(&alpha).with_state("state-alice");
    let enrolled = alice.json(&["enroll", alpha.addr(), "--token-file", text_of(&file)]);
    assert_eq!((&enrolled["name"], &enrolled["grants"]), (&json!("alice"), &json!(["ask:*/echo"])));
    for node in ["alpha", "beta"] {
        assert_eq!(alice.json(&["ask", &format!("{node}/echo"), ECHO, HELLO])["node"], node);
        let slow = format!("{node}/slow");
        let error = alice.refused(&["ask", &slow, "lab.work.v1", r#"{"ms":0,"pad":""}"#]);
        assert_eq!((&error["code"], &error["details"]["path"]), (&json!("DENIED"), &json!(slow)), "{error}");
        assert_eq!(error["may_have_run"], false);
    }
    assert_eq!(alice.refused(&["nodes"])["code"], "DENIED");
    let audited = |node: &Node| node.process().stderr().contains("client is denied");
    assert!(audited(&alpha) && audited(&beta), "who was denied is written down where it was denied");

    // What a token grants that says nothing: to look.
    let (file, _) = token(&lab, &alpha, &["--role", "client"]);
    let visitor = lab.ctl(&alpha).with_state("state-visitor");
    let _ = visitor.json(&["enroll", alpha.addr(), "--token-file", text_of(&file), "--name", "visitor"]);
    assert_eq!(visitor.json(&["nodes"]).as_array().map(Vec::len), Some(2));
    assert_eq!(visitor.refused(&["ask", "alpha/echo", ECHO, HELLO])["code"], "DENIED");
    // The node that enrolled it is the one that it speaks to.
    let nodes = lab.ctl_anywhere().with_state("state-visitor").json(&["nodes"]);
    assert_eq!(nodes.as_array().map(Vec::len), Some(2));
}

#[test]
fn row_2_who_is_denied_is_cut_off_within_two_seconds() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    let (file, _) = token(&lab, &alpha, &["--role", "client", "--grant", "all:**"]);
    let alice = lab.ctl(&alpha).with_state("state-alice");
    let _ = alice.json(&["enroll", alpha.addr(), "--token-file", text_of(&file), "--name", "alice"]);
    let ctl = lab.ctl(&alpha);

    let work = r#"{"ms":60000,"pad":""}"#;
    let ask = alice.begin(&["ask", "alpha/slow", "lab.work.v1", work, "--timeout", "60s"]);
    eventually("the ask runs", SOON, || {
        let second = ctl.run(&["tell", "alpha/slow", "lab.work.v1", work]);
        let rows = ctl.try_json(&["ps", "alpha"])?;
        let slow =
            rows.as_array().and_then(|rows| rows.iter().find(|row| row["path"] == "alpha/slow").cloned());
        let waits = slow.is_some_and(|row| row["mailbox"]["len"].as_u64() > Some(0));
        if waits { Ok(()) } else { Err(format!("{second:?}")) }
    });
    let said = ctl.json(&["ca", "deny", "client/alice"]);
    let denied = Instant::now();
    assert_eq!(said["denied"], json!(["client/alice"]));
    assert_eq!(have_it(&said), ["alpha", "beta"], "{said}");
    let error = ask.outcome().refusal();
    assert_eq!(error["code"], "UNREACHABLE", "{error}");
    assert!(denied.elapsed() < Duration::from_secs(2), "{:?}", denied.elapsed());
    assert_eq!(alice.run(&["nodes"]).code, 4, "and not let in again");

    let _ = ctl.json(&["ca", "deny", "node/beta"]);
    let denied = Instant::now();
    eventually("beta is cut off", Duration::from_secs(2), || {
        match state_of(&lab, &alpha, "beta")?.as_str() {
            "alive" => Err("alive".to_owned()),
            _ => Ok(()),
        }
    });
    println!("cut off after {:?}", denied.elapsed());
    assert_eq!(ctl.json(&["ca", "denied"]), json!(["client/alice", "node/beta"]));
    let _ = ctl.json(&["ca", "allow", "client/alice"]);
    eventually("alice is let in again", SOON, || alice.try_json(&["nodes"]));
    drop(beta);
}

/// The nodes that have what `ca deny` has said.
fn have_it(said: &Value) -> Vec<&str> {
    let rows = said["nodes"].as_array().expect("it lists the nodes");
    rows.iter()
        .filter(|row| row["has_it"] == true)
        .map(|row| row["node"].as_str().unwrap_or_default())
        .collect()
}

#[test]
fn row_2_who_is_denied_on_one_machine_is_denied_on_all_also_those_that_come_later() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let machine = |name: &str, seed: &Node| elsewhere(&lab, name, &token(&lab, &alpha, &[]).0, seed);
    let beta = machine("beta", &alpha);
    let (file, _) = token(&lab, &alpha, &["--role", "client", "--grant", "all:**"]);
    // alice knows nobody but beta, which is another machine than the operator's.
    let alice = || lab.ctl(&beta).with_state("state-alice");
    let _ = alice().json(&["enroll", alpha.addr(), "--token-file", text_of(&file), "--name", "alice"]);
    let ticks = ["stream", "beta/ticks", "lab.count_to.v1", r#"{"to":1000000,"every_ms":20,"pad":10}"#];
    let mut stream = alice().tap(&ticks);
    assert!(stream.next(SOON).is_some_and(|line| line["item"]["n"] == 1));
    let said = lab.ctl(&alpha).json(&["ca", "deny", "client/alice"]);
    let denied = Instant::now();
    assert_eq!(have_it(&said), ["alpha", "beta"], "{said}");
    while stream.next(SOON).is_some() {
        assert!(denied.elapsed() < Duration::from_secs(2), "the stream goes on");
    }
    assert_eq!(alice().run(&["nodes"]).code, 4, "and is not let in again");
    let listed =
        |name: &str| fs::read_to_string(lab.path(&format!("state-{name}/denied"))).unwrap_or_default();
    assert_eq!(listed("beta"), "client/alice\n", "it is kept there");

    let gamma = machine("gamma", &beta);
    let out = |node: &Node| match lab.ctl(node).with_state("state-alice").run(&["nodes"]).code {
        4 => Ok(()),
        code => Err(format!("exit {code}")),
    };
    eventually("gamma has heard of it", SOON, || out(&gamma));

    // A line that is taken out by hand, on any machine, is an order to all.
    beta.kill9();
    let beta = lab.join_elsewhere("beta", "state-beta", &[], &alpha);
    out(&beta).unwrap();
    fs::write(lab.path("state-gamma/denied"), "node/mallory\n").unwrap();
    for node in [&alpha, &beta, &gamma] {
        eventually("alice is let in", SOON, || lab.ctl(node).with_state("state-alice").try_json(&["nodes"]));
    }
    eventually("alpha's list is as gamma's", SOON, || match lab.ctl(&alpha).json(&["ca", "denied"]) {
        list if list == json!(["node/mallory"]) => Ok(()),
        list => Err(list.to_string()),
    });
}

#[test]
fn a_clients_certificate_is_renewed_while_it_is_used() {
    let lab = Lab::new();
    let config = lab.path("short.toml");
    fs::write(&config, "client_certificate_life = \"10s\"\n").unwrap();
    let alpha = lab.start_with("alpha", &["--config", text_of(&config)]);
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    let (file, _) = token(&lab, &alpha, &["--role", "client", "--grant", "ask:*/echo"]);
    let alice = || lab.ctl(&beta).with_state("state-alice");
    let _ = alice().json(&["enroll", alpha.addr(), "--token-file", text_of(&file), "--name", "alice"]);
    let certificate = || fs::read_to_string(lab.path("state-alice/client/cert.pem")).unwrap();
    // It speaks to a node without the authority's key; by the second renewal, the first certificate has run out.
    for renewal in 1..=2 {
        let before = certificate();
        eventually(&format!("renewal {renewal}"), SOON, || {
            assert_eq!(alice().json(&["ask", "beta/echo", ECHO, HELLO])["node"], "beta");
            if certificate() == before { Err("the same".to_owned()) } else { Ok(()) }
        });
    }
    let error = alice().refused(&["nodes"]);
    assert_eq!(error["code"], "DENIED", "it has no other grants than before");
}

#[test]
fn certificates_are_renewed_while_nodes_run() {
    let lab = Lab::new();
    let config = lab.path("short.toml");
    fs::write(&config, "certificate_life = \"10s\"\n").unwrap();
    let config = ["--config", text_of(&config)];
    let alpha = lab.start_with("alpha", &config);
    let (file, _) = token(&lab, &alpha, &[]);
    let beta = elsewhere(&lab, "beta", &file, &alpha);
    let certificates = || {
        let read = |path: &str| fs::read_to_string(lab.path(path)).unwrap();
        [read("state/nodes/alpha/cert.pem"), read("state-beta/nodes/beta/cert.pem")]
    };
    // By the second renewal the certificates of the beginning have run out.
    for renewal in 1..=2 {
        let before = certificates();
        eventually(&format!("renewal {renewal}"), SOON, || {
            let now = certificates();
            let is_renewed = now.iter().zip(&before).all(|(now, before)| now != before);
            if is_renewed { Ok(()) } else { Err(beta.process().stderr()) }
        });
    }
    let (file, _) = token(&lab, &alpha, &[]);
    let gamma = elsewhere(&lab, "gamma", &file, &beta);
    eventually("gamma reaches beta", SOON, || {
        lab.ctl(&gamma).with_state("state").try_json(&["ask", "beta/echo", ECHO, HELLO])
    });
}

#[test]
fn row_22_no_token_and_no_key_is_in_any_output() {
    let lab = Lab::new();
    let config = lab.path("chatty.toml");
    fs::write(&config, "log = \"trace\"\n").unwrap();
    let config = text_of(&config);
    let alpha = lab.start_with("alpha", &["--config", config]);
    let (file, node_token) = token(&lab, &alpha, &[]);
    let args = ["--token-file", text_of(&file), "--config", config];
    let beta = lab.join_elsewhere("beta", "state-beta", &args, &alpha);
    let (client_file, client_token) = token(&lab, &alpha, &["--role", "client", "--grant", "all:**"]);
    let alice = lab.ctl(&alpha).with_state("state-alice");
    let enroll = ["enroll", alpha.addr(), "--token-file", text_of(&client_file)];
    let _ = alice.json(&enroll);
    // And what goes wrong: used, for the wrong role, mistyped.
    refused(attempt(&lab, "gamma", &file, &alpha), "used before");
    let elsewhere = lab.ctl(&alpha).with_state("state-bob");
    assert_ne!(elsewhere.run(&enroll).code, 0);
    let typo = lab.path("typo");
    fs::write(&typo, format!("{}x", &node_token[..node_token.len() - 1])).unwrap();
    assert_ne!(elsewhere.run(&["enroll", alpha.addr(), "--token-file", text_of(&typo)]).code, 0);
    assert!(alpha.process().stderr().contains("certificate is issued"), "the log is as chatty as it gets");

    let command_lines = [alpha.process().pid(), beta.process().pid()].map(|pid| {
        String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
    });
    let mut secrets: Vec<String> =
        [&node_token, &client_token].iter().map(|token| token[60..90].to_owned()).collect();
    for key in [
        "state/ca/ca.key",
        "state/nodes/alpha/key.pem",
        "state-beta/nodes/beta/key.pem",
        "state-alice/client/key.pem",
    ] {
        let pem = fs::read_to_string(lab.path(key)).unwrap();
        secrets.push(pem.lines().nth(1).unwrap()[8..40].to_owned());
    }
    let mut scanned = 0;
    for path in files(&lab.path("")) {
        let name = path.strip_prefix(lab.path("")).unwrap().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        // Where secrets belong: the tokens that this test wrote, what made them, and the keys themselves.
        let is_made = name.ends_with("meshctl.out")
            && serde_json::from_str(&text).is_ok_and(|made: Value| made["token"].is_string());
        if name.starts_with("token-")
            || name == "typo"
            || is_made
            || name.ends_with("key.pem")
            || name.ends_with("ca.key")
        {
            continue;
        }
        scanned += 1;
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in {name}");
        }
    }
    assert!(scanned > 10, "{scanned} files");
    assert!(secrets.iter().all(|secret| command_lines.iter().all(|line| !line.contains(secret.as_str()))));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}
