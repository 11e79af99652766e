//! The tool that fetches, and addresses that it must not reach.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use mesh_agents::tools::builtin::{Fetch, FetchLimits, Resolve};
use mesh_agents::tools::{Call, HookedTool, ToolError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on loopback that counts who connects, and answers always the same.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    async fn new(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (Arc::clone(&connections), answer.into());
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                if answer.is_empty() {
                    open.push(stream);
                    continue;
                }
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, connections, task }
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn page(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// Answers with these addresses, one after another; the last one stays.
#[derive(Default)]
struct Script {
    answers: Vec<Vec<SocketAddr>>,
    asked: AtomicUsize,
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answer = self.answers[asked.min(self.answers.len() - 1)].clone();
        answer.iter_mut().for_each(|address| address.set_port(port));
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn resolver(answers: &[&[&str]]) -> Arc<Script> {
    let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
    let answers = answers.iter().map(|answer| answer.iter().map(address).collect()).collect();
    Arc::new(Script { answers, asked: AtomicUsize::new(0) })
}

async fn fetch(tool: Fetch, url: &str) -> Result<Value, ToolError> {
    HookedTool::new(tool).unwrap().call(Call::new("http_fetch", json!({ "url": url }))).await.result
}

fn plain() -> Fetch {
    Fetch::new(FetchLimits::default())
}

#[tokio::test]
async fn nothing_but_public_addresses_is_reached() {
    let server = Server::new(page("secret")).await;
    let port = server.port;
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0",
        "localhost",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "100.100.100.200",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
    ] {
        let error = fetch(plain(), &format!("http://{host}:{port}/")).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.may_have_run), ("FETCH_REFUSED", false), "{host}: {error:?}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_url_that_is_none_for_the_web_is_refused() {
    for url in [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://x/",
        "http://",
        "x",
        "http://me:pw@example.org/",
    ] {
        let error = fetch(plain(), url).await.unwrap_err();
        assert_eq!(error.code, "BAD_URL", "{url}");
        assert!(!error.message.contains("pw"), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_was_allowed_is_reached_wherever_it_is() {
    let server = Server::new(page("hello")).await;
    let tool = plain().allow([format!("127.0.0.1:{}", server.port)]);
    let answer = fetch(tool, &format!("http://127.0.0.1:{}/a?b", server.port)).await.unwrap();
    assert_eq!((answer["status"].as_u64(), answer["text"].as_str()), (Some(200), Some("hello")));
    assert_eq!(answer["is_cut"], false);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let inner = Server::new(page("secret")).await;
    for target in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let outer = Server::new(redirect(&format!("http://{target}:{}/", inner.port))).await;
        let tool = plain().allow([format!("127.0.0.1:{}", outer.port)]);
        let error = fetch(tool, &format!("http://127.0.0.1:{}/", outer.port)).await.unwrap_err();
        assert_eq!(error.code, "FETCH_REFUSED", "{target}");
        assert_eq!(outer.count(), 1);
    }
    assert_eq!(inner.count(), 0);
    let outer = Server::new(redirect("file:///etc/passwd")).await;
    let tool = plain().allow([format!("127.0.0.1:{}", outer.port)]);
    let error = fetch(tool, &format!("http://127.0.0.1:{}/", outer.port)).await.unwrap_err();
    assert_eq!(error.code, "BAD_URL");
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused() {
    let server = Server::new(page("secret")).await;
    for answers in [&["127.0.0.1"][..], &["1.1.1.1", "127.0.0.1"], &["::ffff:10.0.0.1"]] {
        let tool = plain().resolver(resolver(&[answers]));
        let error = fetch(tool, &format!("http://evil.example:{}/", server.port)).await.unwrap_err();
        assert_eq!(error.code, "FETCH_REFUSED", "{answers:?}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_connection_goes_to_the_address_that_was_checked() {
    let server = Server::new(page("hello")).await;
    // The name flips to an address where nobody listens: who asked again would not get there.
    let flips = resolver(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let tool =
        plain().allow([format!("flip.example:{}", server.port)]).resolver(Arc::<Script>::clone(&flips));
    let answer = fetch(tool, &format!("http://flip.example:{}/", server.port)).await.unwrap();
    assert_eq!(answer["text"], "hello");
    assert_eq!(flips.asked.load(Ordering::SeqCst), 1, "it is resolved once");
}

#[tokio::test]
async fn a_name_is_checked_again_at_each_redirect() {
    let inner = Server::new(page("secret")).await;
    let outer = Server::new(redirect(&format!("http://flip.example:{}/", inner.port))).await;
    let flips = resolver(&[&["127.0.0.1"]]);
    let tool = plain().allow([format!("flip.example:{}", outer.port)]).resolver(Arc::<Script>::clone(&flips));
    let error = fetch(tool, &format!("http://flip.example:{}/", outer.port)).await.unwrap_err();
    assert_eq!(error.code, "FETCH_REFUSED");
    assert_eq!((flips.asked.load(Ordering::SeqCst), outer.count(), inner.count()), (2, 1, 0));
}

#[tokio::test]
async fn a_fetch_takes_so_much_and_no_more() {
    let server = Server::new(page(&"x".repeat(100_000))).await;
    let limits = FetchLimits { bytes_max: 1000, ..FetchLimits::default() };
    let allowed = |server: &Server| Fetch::new(limits).allow([format!("127.0.0.1:{}", server.port)]);
    let answer = fetch(allowed(&server), &format!("http://127.0.0.1:{}/", server.port)).await.unwrap();
    assert_eq!((answer["text"].as_str().unwrap().len(), &answer["is_cut"]), (1000, &json!(true)));

    let round = Server::new(redirect("/again")).await;
    let error = fetch(allowed(&round), &format!("http://127.0.0.1:{}/", round.port)).await.unwrap_err();
    assert_eq!((error.code.as_str(), round.count()), ("FETCH_REFUSED", 6));

    let silent = Server::new("").await;
    let limits = FetchLimits { timeout: Duration::from_millis(200), ..limits };
    let tool = Fetch::new(limits).allow([format!("127.0.0.1:{}", silent.port)]);
    let error = fetch(tool, &format!("http://127.0.0.1:{}/", silent.port)).await.unwrap_err();
    assert_eq!(error.code, "TIMEOUT");
}
