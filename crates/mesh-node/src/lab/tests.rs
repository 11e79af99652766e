use std::time::Duration;

use mesh::{Authority, Mesh, Node, NodeConfig, Runtimes};
use serde_json::{Value, json};
use tokio::runtime::Handle;

async fn node() -> Node {
    let identity = Authority::create("lab").unwrap().issue_node("alpha").unwrap();
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() };
    let runtimes = Runtimes { network: Handle::current(), pool: Handle::current() };
    let node = Node::builder(config).start(identity, runtimes).await.unwrap();
    super::publish(node.mesh(), None).unwrap();
    node
}

async fn ask(mesh: &Mesh, path: &str, kind: &str, body: Value) -> Result<Value, String> {
    let reply = mesh.ask_json(path, kind, &body.to_string(), Duration::from_secs(5)).await;
    reply.map(|reply| serde_json::from_str(&reply).unwrap()).map_err(|failure| failure.code)
}

#[tokio::test]
async fn echo_answers_with_its_node() {
    let node = node().await;
    let answer = ask(node.mesh(), "alpha/echo", "lab.echo.v1", json!({"text": "hi"})).await;
    assert_eq!(answer, Ok(json!({"text": "hi", "node": "alpha"})));
    let unknown = ask(node.mesh(), "alpha/echo", "lab.echo.v1", json!({"text": "hi", "txt": 1})).await;
    assert_eq!(unknown, Err("BAD_MESSAGE".to_owned()));
}

#[tokio::test]
async fn slow_counts_its_work() {
    let node = node().await;
    for n in 1..=2 {
        let answer = ask(node.mesh(), "alpha/slow", "lab.work.v1", json!({"ms": 0, "pad": ""})).await;
        assert_eq!(answer, Ok(json!({ "n": n })));
    }
}

#[tokio::test]
async fn the_mailbox_of_slow_takes_64_messages_with_luggage() {
    let node = node().await;
    let body = json!({"ms": 600_000, "pad": "x".repeat(16 << 10)}).to_string();
    let mut accepted = 0;
    while node.mesh().tell_json("alpha/slow", "lab.work.v1", &body, Duration::from_millis(50)).await.is_ok() {
        accepted += 1;
    }
    // One is being handled.
    assert_eq!(accepted, 65);
}

#[tokio::test]
async fn crash_comes_back_more_often_than_actors_usually_do() {
    let node = node().await;
    for _ in 0..8 {
        assert_eq!(
            ask(node.mesh(), "alpha/crash", "lab.crash.v1", json!({})).await,
            Err("STOPPED".to_owned())
        );
    }
    let answer = ask(node.mesh(), "alpha/crash", "lab.echo.v1", json!({"text": "back"})).await;
    assert_eq!(answer, Ok(json!({"text": "back", "node": "alpha"})));
}

#[tokio::test]
async fn count_remembers_and_stays_in_its_range() {
    let node = node().await;
    for (by, total) in [(2, 2), (-5, -3), (i64::MIN, i64::MIN), (-1, i64::MIN)] {
        let answer = ask(node.mesh(), "alpha/count", "lab.add.v1", json!({ "by": by })).await;
        assert_eq!(answer, Ok(json!({ "total": total })));
    }
}
