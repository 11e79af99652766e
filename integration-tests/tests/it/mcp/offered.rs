//! The mesh as an MCP server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration_tests::{Ctl, Lab, Node, Process, binary};
use serde_json::{Value, json};

use super::peers::{Peers, folder, names, settings, tools};

/// A lab of two nodes: beta has tools for files, alpha serves MCP.
fn pair(lab: &Lab) -> [Node; 2] {
    let folder = folder(lab, "workspace").display().to_string();
    let text = format!("[tools]\noffer = [\"read_file\", \"write_file\"]\nfolder = {folder:?}\n");
    let alpha = lab.start_with("alpha", &["--mcp", "127.0.0.1:0"]);
    let config = settings(lab, "beta.toml", &text);
    let beta = lab.start_with("beta", &["--join", alpha.addr(), "--config", &config]);
    tools(&lab.ctl(&alpha), "the tools of beta", |tools| names(tools) == ["read_file", "write_file"]);
    [alpha, beta]
}

fn url(node: &Node) -> String {
    node.ready()["mcp"].as_str().expect("the ready file tells where MCP is served").to_owned()
}

fn token(lab: &Lab, node: &Node) -> String {
    let path = lab.state().join("nodes").join(node.name()).join("mcp-token");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Has the SDK's client do this, and gives what it printed.
fn client(peers: &Peers, lab: &Lab, mode: &str, args: &[&str], plan: &Value) -> Vec<Value> {
    let mut command = Command::new(&peers.python);
    command.arg(Peers::script("client.py")).args(args).stdin(Stdio::null());
    command.env("PLAN", plan.to_string()).env("MODE", mode);
    let mut process = Process::start(&mut command, &lab.path(&format!("sdk-{mode}-{}", args[0])));
    let code = process.wait(Duration::from_secs(90));
    assert_eq!(code, 0, "{}{}", process.stdout(), process.stderr());
    process.stdout().lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn plan() -> Value {
    json!([
        {"list": true},
        {"call": "write_file", "args": {"path": "a.txt", "content": "by MCP"}},
        {"call": "read_file", "args": {"path": "a.txt"}},
        {"call": "read_file", "args": {"path": "../beta.toml"}},
        {"call": "fly"},
    ])
}

/// What has to come of that plan.
fn check(said: &[Value], lab: &Lab) {
    let [_, listed, wrote, read, refused, unknown] = said else { panic!("{said:?}") };
    let listed = listed.as_array().expect("it is a list");
    assert_eq!(names(listed), ["read_file", "write_file"]);
    assert_eq!(listed[0]["annotations"]["readOnlyHint"], true, "{}", listed[0]);
    assert_eq!(listed[0]["inputSchema"]["properties"]["path"]["type"], "string");
    assert_eq!(wrote["result"]["structuredContent"], json!({"bytes": 6}), "{wrote}");
    assert_eq!(read["result"]["content"][0]["text"], "by MCP", "{read}");
    assert_eq!(fs::read_to_string(lab.path("workspace/a.txt")).expect("it was written"), "by MCP");
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    assert_eq!(refused["result"]["structuredContent"]["code"], "BAD_PATH", "{refused}");
    assert_eq!(refused["result"]["structuredContent"]["may_have_run"], false);
    assert_eq!(unknown["code"], -32602, "{unknown}");
}

#[test]
fn the_sdk_s_client_lists_and_calls_the_tools_of_another_node_over_http_and_over_stdio() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let [alpha, _beta] = pair(&lab);
    let (url, token) = (url(&alpha), token(&lab, &alpha));
    let (meshctl, state) = (binary("meshctl").display().to_string(), lab.state().display().to_string());
    // The handshake of old, and the one without a session.
    for (mode, protocol) in [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")] {
        let said = client(&peers, &lab, mode, &["http", &url, &token], &plan());
        assert_eq!(said[0]["protocol"], protocol);
        check(&said, &lab);
        let stdio = ["stdio", &meshctl, "--state", &state, "--node", alpha.addr(), "mcp"];
        let said = client(&peers, &lab, mode, &stdio, &plan());
        assert_eq!(said[0]["protocol"], protocol);
        check(&said, &lab);
    }
}

#[test]
fn a_client_of_mcp_may_do_what_was_granted_to_the_client_that_speaks_for_it() {
    let Some(peers) = Peers::find() else { return };
    let lab = Lab::new();
    let [alpha, _beta] = pair(&lab);
    let ctl = lab.ctl(&alpha);
    let grants = ["read:*/**", "ask:*/tools/read_file"];
    granted(&lab, &ctl, &alpha, "reader", &grants);
    fs::write(lab.path("workspace/a.txt"), "here").expect("the folder is there");
    let (meshctl, state) =
        (binary("meshctl").display().to_string(), lab.path("reader").display().to_string());
    let plan = json!([
        {"list": true},
        {"call": "read_file", "args": {"path": "a.txt"}},
        {"call": "write_file", "args": {"path": "a.txt", "content": "gone"}},
    ]);
    let stdio = ["stdio", &meshctl, "--state", &state, "--node", alpha.addr(), "mcp"];
    let said = client(&peers, &lab, "auto", &stdio, &plan);
    assert_eq!(said[2]["result"]["content"][0]["text"], "here", "{}", said[2]);
    let denied = &said[3]["result"];
    assert_eq!(
        (&denied["isError"], &denied["structuredContent"]["code"]),
        (&json!(true), &json!("DENIED")),
        "{denied}"
    );

    // So it is over HTTP, where the node was told whom its callers act as.
    let text =
        format!("[mcp_server]\naddress = \"127.0.0.1:0\"\nidentity = {:?}\n", format!("{state}/client"));
    let gamma = settings(&lab, "gamma.toml", &text);
    let gamma = lab.start_with("gamma", &["--join", alpha.addr(), "--config", &gamma]);
    tools(&lab.ctl(&gamma), "the tools of beta", |tools| names(tools) == ["read_file", "write_file"]);
    let said = client(&peers, &lab, "auto", &["http", &url(&gamma), &token(&lab, &gamma)], &plan);
    assert_eq!(said[2]["result"]["content"][0]["text"], "here", "{}", said[2]);
    assert_eq!(said[3]["result"]["structuredContent"]["code"], "DENIED", "{}", said[3]);
    assert_eq!(fs::read_to_string(lab.path("workspace/a.txt")).expect("it is there"), "here");
}

/// A client with these grants, and a state folder of this name.
fn granted(lab: &Lab, ctl: &Ctl<'_>, node: &Node, name: &str, grants: &[&str]) {
    let mut args = vec!["token", "create", "--role", "client", "--name", name];
    grants.iter().for_each(|grant| args.extend(["--grant", *grant]));
    let token = ctl.json(&args);
    let file = settings(lab, &format!("{name}.token"), token["token"].as_str().expect("a token is told"));
    let elsewhere = lab.ctl(node).with_state(name);
    let enrolled = elsewhere.json(&["enroll", node.addr(), "--token-file", &file]);
    assert_eq!(enrolled["name"], name);
}

/// An `initialize` with these headers; the status of what comes back.
fn status(url: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let host = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"},
    }});
    let body = body.to_string();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    request += "Accept: application/json, text/event-stream\r\nConnection: close\r\n";
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {host}\r\n");
    }
    let mut stream = TcpStream::connect(host).expect("the endpoint listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("that is a time");
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).expect("it reads");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[test]
fn row_17_without_the_token_or_from_a_web_page_nothing_is_served() {
    let lab = Lab::new();
    let alpha = lab.start_with("alpha", &["--mcp", "127.0.0.1:0"]);
    let (url, token) = (url(&alpha), token(&lab, &alpha));
    let bearer = format!("Bearer {token}");
    let entitled = ("Authorization", bearer.as_str());
    assert_eq!(status(&url, "/mcp", &[entitled]), "200");
    assert_eq!(status(&url, "/mcp", &[]), "401");
    assert_eq!(status(&url, "/mcp", &[("Authorization", "Bearer 0123456789abcdef")]), "401");
    assert_eq!(status(&url, "/mcp", &[("Authorization", &token)]), "401");
    assert_eq!(status(&url, "/mcp", &[entitled, ("Origin", "https://evil.example")]), "403");
    assert_eq!(status(&url, "/mcp", &[entitled, ("Origin", "http://127.0.0.1")]), "403");
    assert_eq!(status(&url, "/mcp", &[entitled, ("Origin", "null")]), "403");
    assert_eq!(status(&url, "/mcp", &[entitled, ("Host", "evil.example")]), "403");
    assert_eq!(status(&url, "/", &[entitled]), "404");
    assert_eq!(status(&url, "/mcp", &[entitled, ("Host", "localhost")]), "200");
    // The token is in no log.
    assert!(!alpha.process().stderr().contains(&token) && !alpha.process().stdout().contains(&token));
    // A node serves nothing unless it is told to.
    let beta = lab.join("beta", &alpha);
    assert_eq!(beta.ready()["mcp"], Value::Null);
    let mut refused = lab.attempt(&["--name", "gamma", "--listen", "127.0.0.1:0", "--mcp", "0.0.0.0:0"]);
    assert_eq!(refused.wait(Duration::from_secs(20)), 2, "{}", refused.stderr());
    assert_eq!(alpha.terminate(), 0);
}
