//! Servers' tools as tools of the mesh.

use std::fs;
use std::path::Path;
use std::time::Duration;

use integration_tests::{Ctl, Lab, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::peers::{Peers, SOON, call, call_at_last, described, folder, free_port, names, settings, tools};

/// Every tool of the test server for a client that can neither ask people nor models, with arguments for it.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("echo", json!({"message": "hi"})),
        ("get-annotated-message", json!({"messageType": "error", "includeImage": true})),
        ("get-env", json!({})),
        ("get-resource-links", json!({"count": 4})),
        ("get-resource-reference", json!({"resourceType": "Blob", "resourceId": 2})),
        ("get-structured-content", json!({"location": "New York"})),
        ("get-sum", json!({"a": 40, "b": 2})),
        ("get-tiny-image", json!({})),
        ("gzip-file-as-resource", json!({"data": "data:text/plain,hi", "outputType": "resource"})),
        ("simulate-research-query", json!({"topic": "mesh"})),
        ("toggle-simulated-logging", json!({})),
        ("toggle-subscriber-updates", json!({})),
        ("trigger-long-running-operation", json!({"duration": 0.2, "steps": 2})),
    ]
}

/// Lists all tools of the test server and calls each of them.
fn every_tool_is_listed_and_called(ctl: &Ctl<'_>) {
    let wanted: Vec<_> = calls().iter().map(|(tool, _)| format!("everything__{tool}")).collect();
    let listed = tools(ctl, "the server's tools", |tools| names(tools).len() >= wanted.len());
    assert_eq!(names(&listed), wanted);
    let sum = listed.iter().find(|tool| tool["name"] == "everything__get-sum").expect("it is listed");
    assert_eq!(sum["schema"]["required"], json!(["a", "b"]));
    // Its server says that it only reads, and is not believed.
    assert_eq!((&sum["annotations"]["destructive"], &sum["policy"]), (&json!(true), &json!("manual")));

    for (tool, args) in calls() {
        let name = format!("everything__{tool}");
        if tool == "simulate-research-query" {
            // It runs as a task only, which nobody here has offered to follow.
            assert_eq!(ctl.refused(&["tools", "call", &name, &args.to_string()])["code"], "EXECUTION_ERROR");
            continue;
        }
        let answer = call(ctl, &name, &args);
        let text = answer["text"].as_str().unwrap_or_default();
        match tool {
            "echo" => assert_eq!(answer, json!({"text": "Echo: hi"})),
            "get-sum" => assert!(text.contains("42"), "{answer}"),
            "get-annotated-message" | "get-tiny-image" => {
                let image = &answer["parts"][0];
                assert_eq!((&image["type"], &image["mime_type"]), (&json!("image"), &json!("image/png")));
                assert!(image["data"].as_str().is_some_and(|data| data.len() > 100), "{image}");
            }
            "get-resource-links" => assert_eq!(answer["parts"].as_array().map(Vec::len), Some(4), "{answer}"),
            "get-resource-reference" | "gzip-file-as-resource" => {
                assert_eq!(answer["parts"][0]["type"], "resource", "{answer}");
            }
            "get-structured-content" => assert!(answer["structured"]["temperature"].is_number(), "{answer}"),
            "trigger-long-running-operation" => assert!(text.contains("completed"), "{answer}"),
            _ => assert!(!text.is_empty(), "{answer}"),
        }
    }
    let refused = ctl.refused(&["tools", "call", "everything__get-sum", r#"{"a": "forty", "b": 2}"#]);
    assert_eq!((&refused["code"], &refused["may_have_run"]), (&json!("BAD_ARGUMENTS"), &json!(false)));
}

#[test]
fn a_server_over_stdio_is_called_through_another_node_and_comes_back_when_it_was_killed() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let text = format!("[[mcp]]\nname = \"everything\"\ncommand = [\"node\", {:?}]\n", peers.everything);
    let alpha = lab.start_with("alpha", &["--config", &settings(&lab, "alpha.toml", &text)]);
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&beta);
    every_tool_is_listed_and_called(&ctl);
    // Of the node's environment it has what was listed, and nothing else.
    let env: Value = serde_json::from_str(
        call(&ctl, "everything__get-env", &json!({}))["text"].as_str().unwrap_or_default(),
    )
    .expect("it is JSON");
    let seen: Vec<_> = env.as_object().expect("it is an object").keys().cloned().collect();
    assert!(seen.iter().all(|name| name == "PATH" || name == "HOME"), "{seen:?}");

    for life in 1..=3_u64 {
        let before = eventually("the next connection", SOON, || {
            let state = described(&ctl, "alpha/mcp/everything");
            if state["connections"] == life && state["is_connected"] == true {
                Ok(state)
            } else {
                Err(state.to_string())
            }
        });
        assert_eq!(before["tools"].as_array().map(Vec::len), Some(13), "{before}");
        assert_eq!(
            before["server"].as_str().map(|name| name.starts_with("mcp-servers/everything")),
            Some(true),
            "{before}"
        );
        kill_process(pid(&before), Signal::KILL).expect("the node's server runs");
        let said = call_at_last(&ctl, "everything__echo", &json!({"message": "again"}));
        assert_eq!(said["text"], "Echo: again");
    }

    // With the node its server ends.
    let last = described(&ctl, "alpha/mcp/everything");
    assert_eq!(alpha.terminate(), 0);
    assert!(!Path::new(&format!("/proc/{}", last["pid"])).exists(), "{last}");
}

fn pid(state: &Value) -> Pid {
    let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no process in {state}"))
}

#[test]
fn a_server_over_http_is_called_and_comes_back_when_it_was_killed() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let port = free_port();
    let text = format!("[[mcp]]\nname = \"everything\"\nurl = \"http://127.0.0.1:{port}/mcp\"\n");
    // The node is there first: it looks for its server until there is one.
    let alpha = lab.start_with("alpha", &["--config", &settings(&lab, "alpha.toml", &text)]);
    let ctl = lab.ctl(&alpha);
    let mut server = peers.everything_at(port, &lab.path("everything-1"));
    every_tool_is_listed_and_called(&ctl);

    server.signal(Signal::KILL);
    drop(server);
    eventually("word of its end", SOON, || {
        let state = described(&ctl, "alpha/mcp/everything");
        if state["is_connected"] == false { Ok(()) } else { Err(state.to_string()) }
    });
    let _server = peers.everything_at(port, &lab.path("everything-2"));
    let said = call_at_last(&ctl, "everything__echo", &json!({"message": "again"}));
    assert_eq!(said["text"], "Echo: again");
}

#[test]
fn progress_is_told_on_a_topic() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let text = format!("[[mcp]]\nname = \"everything\"\ncommand = [\"node\", {:?}]\n", peers.everything);
    let alpha = lab.start_with("alpha", &["--config", &settings(&lab, "alpha.toml", &text)]);
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&beta);
    tools(&ctl, "the server's tools", |tools| names(tools).len() == 13);
    let told = ctl.begin(&["subscribe", "tools/progress"]);
    // Who has subscribed is known when what is told arrives.
    let heard = eventually("progress", SOON, || {
        call(&ctl, "everything__trigger-long-running-operation", &json!({"duration": 1, "steps": 4}));
        let printed = told.printed();
        let mut lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["body"]["progress"] == 4.0).ok_or_else(|| printed.clone())
    });
    let body = &heard["body"];
    assert_eq!((&heard["kind"], &body["total"]), (&json!("tool.progress.v1"), &json!(4.0)), "{heard}");
    assert_eq!(body["tool"], "everything__trigger-long-running-operation");
    assert_eq!(body["call"].as_str().map(str::len), Some(32), "{heard}");
}

#[test]
fn a_call_that_nobody_waits_for_is_withdrawn_at_its_server_and_new_tools_are_offered_when_they_come() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let notes = folder(&lab, "notes").join("notes.txt");
    let text = format!(
        "[[mcp]]\nname = \"waiter\"\ncommand = [{:?}, {:?}, {:?}]\ntimeout = \"2s\"\n",
        peers.python,
        Peers::script("waiter.py"),
        notes.display().to_string()
    );
    let alpha = lab.start_with("alpha", &["--config", &settings(&lab, "alpha.toml", &text)]);
    let ctl = lab.ctl(&alpha);
    tools(&ctl, "the server's tools", |tools| names(tools) == ["waiter__grow", "waiter__wait"]);
    let noted = |count: usize| {
        let wanted = "began\nwithdrawn\n".repeat(count);
        eventually("word of it at the server", SOON, || {
            let notes = fs::read_to_string(&notes).unwrap_or_default();
            if notes == wanted { Ok(()) } else { Err(notes) }
        });
    };

    // Late by the limit of the tool,
    let late = ctl.refused(&["tools", "call", "waiter__wait"]);
    assert_eq!((&late["code"], &late["may_have_run"]), (&json!("TIMEOUT"), &json!(true)));
    noted(1);
    // by that of the caller,
    let late = ctl.refused(&["tools", "call", "waiter__wait", "--timeout", "500ms"]);
    assert_eq!(late["code"], "TIMEOUT");
    noted(2);
    // and withdrawn by a caller that went away.
    let mut gone = ctl.begin(&["tools", "call", "waiter__wait"]);
    eventually("its begin", SOON, || {
        let notes = fs::read_to_string(&notes).unwrap_or_default();
        if notes.ends_with("began\n") { Ok(()) } else { Err(notes) }
    });
    gone.interrupt();
    assert_eq!(gone.outcome().code, 130);
    noted(3);

    assert_eq!(call(&ctl, "waiter__grow", &json!({}))["text"], "grown");
    tools(&ctl, "the new tool", |tools| names(tools) == ["waiter__added", "waiter__grow", "waiter__wait"]);
    assert_eq!(call(&ctl, "waiter__added", &json!({}))["text"], "here I am");
    assert_eq!(described(&ctl, "alpha/mcp/waiter")["connections"], 1);
}

#[test]
fn a_server_that_is_not_there_costs_its_node_nothing_and_is_said() {
    let lab = Lab::new();
    let text = "[[mcp]]\nname = \"nobody\"\ncommand = [\"/nowhere/at/all\"]\n";
    let alpha = lab.start_with("alpha", &["--config", &settings(&lab, "alpha.toml", text)]);
    let ctl = lab.ctl(&alpha);
    let state = eventually("the reason", Duration::from_secs(20), || {
        let state = described(&ctl, "alpha/mcp/nobody");
        let reason = state["reason"].as_str().unwrap_or_default();
        if reason.contains("does not start") { Ok(state.clone()) } else { Err(state.to_string()) }
    });
    assert_eq!((&state["is_connected"], &state["tools"]), (&json!(false), &json!([])));
    assert_eq!(alpha.terminate(), 0);
}
