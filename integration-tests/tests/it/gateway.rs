//! The HTTP interface of a node, as programs and browsers meet it.

use std::fs;
use std::time::Duration;

use integration_tests::{Http, Lab, Node, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// A node that serves HTTP, and one who has its token.
fn served(lab: &Lab, name: &str, args: &[&str]) -> (Node, Http) {
    let node = lab.start_with(name, &[&["--http", "127.0.0.1:0"], args].concat());
    let token = fs::read_to_string(lab.state().join("nodes").join(name).join("http-token"));
    let url = node.ready()["http"].as_str().expect("the ready file tells the URL").to_owned();
    let http = Http::new(&url, token.expect("the token is in its file").trim());
    (node, http)
}

#[test]
fn the_mesh_is_seen_and_spoken_to_through_one_node() {
    let lab = Lab::new();
    let (alpha, http) = served(&lab, "alpha", &[]);
    let beta = lab.join("beta", &alpha);

    let nodes = eventually("both nodes are seen", SOON, || {
        let nodes = http.get("/api/v1/nodes").json();
        match nodes["nodes"].as_array().map(Vec::len) {
            Some(2) => Ok(nodes),
            _ => Err(nodes.to_string()),
        }
    });
    assert_eq!((&nodes["here"], &nodes["nodes"][1]["name"]), (&json!("alpha"), &json!("beta")));
    let actors = http.get("/api/v1/actors?node=beta").json();
    let paths = actors["rows"][0]["actors"].as_array().expect("a list of actors");
    assert!(paths.iter().any(|actor| actor["path"] == "beta/echo"), "{actors}");
    assert_eq!(http.get("/api/v1/trees").json()["failures"], json!([]));

    let letter = json!({"to": "beta/echo", "kind": "lab.echo.v1", "message": {"text": "hi"}});
    let answer = http.post("/api/v1/ask", &letter);
    assert_eq!((answer.status, &answer.json()["reply"]["node"]), (200, &json!("beta")));
    let items: Vec<Value> = {
        let letter = json!({"to": "beta/ticks", "kind": "lab.count_to.v1", "message": {"to": 3, "every_ms": 0, "pad": 0}});
        http.events("POST", "/api/v1/stream", &letter.to_string(), "item").collect()
    };
    assert_eq!(items.len(), 3, "{items:?}");

    let missing = http.post("/api/v1/ask", &json!({"to": "beta/ecco", "kind": "lab.echo.v1", "message": {}}));
    assert_eq!((missing.status, &missing.json()["code"]), (404, &json!("NO_SUCH_ACTOR")));
    let broken = http.send(
        "POST",
        "/api/v1/ask",
        &[http.usual(), vec!["Content-Type: application/json".to_owned()]].concat(),
        "{",
    );
    assert_eq!((broken.status, &broken.json()["code"]), (400, &json!("BAD_REQUEST")));
    beta.kill9();
    let lost = http.post(
        "/api/v1/ask",
        &json!({"to": "beta/echo", "kind": "lab.echo.v1", "message": {"text": "hi"}, "timeout_ms": 500}),
    );
    assert!([502, 504].contains(&lost.status), "{lost:?}");
}

#[test]
fn what_changes_is_told_to_who_looks_on() {
    let lab = Lab::new();
    let (alpha, http) = served(&lab, "alpha", &[]);
    let mut seen = http.events("GET", "/api/v1/live", "", "nodes");
    assert_eq!(seen.next().expect("it is told what there is")["nodes"].as_array().map(Vec::len), Some(1));
    let _beta = lab.join("beta", &alpha);
    let told = seen.find(|told| told["nodes"].as_array().map(Vec::len) == Some(2));
    assert!(told.is_some());
}

#[test]
fn an_approval_is_answered_as_the_client_whose_certificate_the_interface_has() {
    let lab = Lab::new();
    let (alpha, http) = served(&lab, "alpha", &[]);
    let ctl = lab.ctl(&alpha);
    let body =
        json!({"action": "delete_file", "args": r#"{"file":"a.log"}"#, "key": "k", "wait_ms": 3_600_000});
    let _ = ctl.json(&["ask", "alpha/guarded", "lab.guard.v1", &body.to_string()]);
    let row = eventually("the request waits", SOON, || {
        let list = http.get("/api/v1/approvals").json();
        match &list["rows"][0]["approvals"][0] {
            Value::Null => Err(list.to_string()),
            row => Ok(row.clone()),
        }
    });
    let path = format!("/api/v1/approvals/alpha/{}", row["id"].as_str().expect("an id is text"));
    assert_eq!(http.get(&path).json()["args"], r#"{"file":"a.log"}"#);
    let other = json!({"hash": "0".repeat(64), "verdict": "approve"});
    let refused = http.post(&format!("{path}/answer"), &other);
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("OTHER_ACTION")));
    let edited =
        json!({"hash": row["hash"], "verdict": "edit", "args": {"file": "b.log"}, "note": "that one"});
    let taken = http.post(&format!("{path}/answer"), &edited);
    assert_eq!((taken.status, &taken.json()["state"]), (200, &json!("approved")), "{taken:?}");
    eventually("the edited action is done", SOON, || {
        match ctl.json(&["ask", "alpha/guarded", "lab.done.v1", "{}"]) {
            seen if seen["done"] == json!([{"key": "k", "with": r#"{"file":"b.log"}"#}]) => Ok(()),
            seen => Err(seen.to_string()),
        }
    });
    let events = http.get(&path).json()["events"].clone();
    let by = events.as_array().and_then(|events| events.last()).map(|event| event["by"].clone());
    assert!(by.as_ref().and_then(Value::as_str).is_some_and(|by| by.starts_with("client/")), "{events}");
}

#[test]
fn row_17_no_page_of_somebody_else_s_reaches_anything() {
    let lab = Lab::new();
    let (alpha, http) = served(&lab, "alpha", &[]);
    let count = || lab.ctl(&alpha).json(&["ps", "alpha"]);
    let before = count();
    let host = format!("Host: {}", http.addr());
    let token = http.usual()[1].clone();
    let json_body = "Content-Type: application/json".to_owned();
    let spawn = json!({"to": "alpha/mesh", "kind": "mesh.spawn.v1", "message": {"kind": "agent", "name": "evil", "args": "{}"}}).to_string();
    for (what, headers) in [
        (
            "a name that was made to lead here",
            vec!["Host: evil.example".to_owned(), token.clone(), json_body.clone()],
        ),
        (
            "another page",
            vec![host.clone(), "Origin: http://evil.example".to_owned(), token.clone(), json_body.clone()],
        ),
        (
            "a file in the browser",
            vec![host.clone(), "Origin: null".to_owned(), token.clone(), json_body.clone()],
        ),
        ("no token", vec![host.clone(), json_body.clone()]),
        ("a wrong token", vec![host.clone(), "Authorization: Bearer x".to_owned(), json_body]),
        ("a form", vec![host.clone(), "Content-Type: application/x-www-form-urlencoded".to_owned()]),
        (
            "a socket from elsewhere",
            vec![
                host.clone(),
                "Origin: http://evil.example".to_owned(),
                "Connection: Upgrade".to_owned(),
                "Upgrade: websocket".to_owned(),
            ],
        ),
    ] {
        let answer = http.send("POST", "/api/v1/ask", &headers, &spawn);
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        assert!(!answer.body.contains(token.trim_start_matches("Authorization: Bearer ")), "{what}");
    }
    assert_eq!(count(), before);
    let page = http.send("GET", "/", &[host], "");
    assert_eq!(page.status, 200);
    for said in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "x-frame-options: DENY",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.head.contains(said), "{said}: {}", page.head);
    }
}

#[test]
fn every_path_of_the_document_is_served_and_refuses_who_has_no_token() {
    let lab = Lab::new();
    let (_alpha, http) = served(&lab, "alpha", &[]);
    let document = http.get("/api/v1/openapi.json").json();
    let paths = document["paths"].as_object().expect("it lists paths");
    assert!(paths.len() >= 18, "{}", paths.len());
    for (path, operations) in paths {
        for method in operations.as_object().expect("a path has operations").keys() {
            let asked = path.replace(['{', '}', '*'], "");
            let method = method.to_uppercase();
            let refused = http.send(&method, &asked, &[format!("Host: {}", http.addr())], "");
            assert_eq!(refused.status, 403, "{method} {path}");
        }
    }
    assert_eq!(http.send("GET", "/readyz", &[format!("Host: {}", http.addr())], "").body, "ready\n");
    assert_eq!(http.get("/api/v1/nothing").status, 404);
}
