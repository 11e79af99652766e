//! A model server of one exchange.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use mesh_models::{
    ChatRequest, HttpProvider, ModelError, ModelEvent, ModelSettings, Provider, Secret, Timeouts,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Many times what the buffers of two sockets on loopback hold.
pub(crate) const FLOOD_BYTES: usize = 64 << 20;

/// A write that takes longer than this waits for a reader.
const STALL: Duration = Duration::from_millis(300);

const EVENT_STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// What the server does once it has read the request.
pub(crate) enum Answer {
    /// A stream of events, each piece an HTTP chunk: the client reads one piece at a time, however TCP joins them.
    /// Then the proper end.
    Events(Vec<Vec<u8>>),
    /// Such a stream without its end: the connection closes.
    Cut(Vec<Vec<u8>>),
    /// Such a stream, which then waits for the client to hang up.
    Stalled(Vec<Vec<u8>>),
    /// A piece over and over, up to [`FLOOD_BYTES`], until the client lets the server wait.
    Flood(Vec<u8>),
    /// These very bytes, and the connection closes.
    Raw(String),
}

impl Answer {
    pub(crate) fn events(text: &str) -> Self {
        Self::Events(vec![text.as_bytes().to_vec()])
    }

    pub(crate) fn refusal(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
    }
}

pub(crate) struct Server {
    addr: SocketAddr,
    exchange: JoinHandle<Request>,
}

/// What the server was sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
    /// How much of a flood the connection took.
    pub(crate) written_bytes: usize,
}

impl Server {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Self { addr, exchange: tokio::spawn(exchange(listener, answer)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn openai(&self) -> HttpProvider {
        self.openai_within(Timeouts::default())
    }

    pub(crate) fn openai_within(&self, timeouts: Timeouts) -> HttpProvider {
        let settings = ModelSettings::openai_compatible(self.url(), "qwen-max").with_api_key(key());
        HttpProvider::new(settings, timeouts).unwrap()
    }

    pub(crate) fn anthropic(&self) -> HttpProvider {
        let settings = ModelSettings::anthropic(key(), "claude").with_base_url(self.url());
        HttpProvider::new(settings, Timeouts::default()).unwrap()
    }

    /// Waits until the exchange is over and returns the request.
    pub(crate) async fn request(self) -> Request {
        tokio::time::timeout(PATIENCE, self.exchange).await.expect("the exchange never ended").unwrap()
    }
}

pub(crate) fn key() -> Secret {
    Secret::new("sk-test-key")
}

pub(crate) fn hi() -> ChatRequest {
    ChatRequest::user("hi")
}

/// Everything that `provider` yields for a simple request.
pub(crate) async fn run(provider: &HttpProvider) -> Vec<Result<ModelEvent, ModelError>> {
    let stream = provider.stream(hi()).await.unwrap();
    tokio::time::timeout(PATIENCE, stream.collect()).await.expect("the stream never ended")
}

/// The events of an answer that must be complete.
pub(crate) async fn complete(provider: &HttpProvider) -> Vec<ModelEvent> {
    run(provider).await.into_iter().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.to_owned())
}

async fn exchange(listener: TcpListener, answer: Answer) -> Request {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = read_request(&mut socket).await;
    // The client may hang up at any time: that is what some tests are about.
    let _ = match answer {
        Answer::Events(pieces) => {
            write_pieces(&mut socket, pieces).await;
            socket.write_all(b"0\r\n\r\n").await
        }
        Answer::Cut(pieces) => {
            write_pieces(&mut socket, pieces).await;
            socket.shutdown().await
        }
        Answer::Stalled(pieces) => {
            write_pieces(&mut socket, pieces).await;
            read_to_end(&mut socket).await;
            Ok(())
        }
        Answer::Flood(piece) => {
            request.written_bytes = flood(&mut socket, &piece).await;
            Ok(())
        }
        Answer::Raw(bytes) => socket.write_all(bytes.as_bytes()).await,
    };
    request
}

async fn write_pieces(socket: &mut TcpStream, pieces: Vec<Vec<u8>>) {
    let mut bytes = EVENT_STREAM.as_bytes().to_vec();
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    let _ = socket.write_all(&bytes).await;
}

async fn flood(socket: &mut TcpStream, piece: &[u8]) -> usize {
    write_pieces(socket, Vec::new()).await;
    let piece = piece.repeat(1000);
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece[..], b"\r\n"].concat();
    let mut written = 0;
    while written < FLOOD_BYTES
        && let Ok(Ok(())) = tokio::time::timeout(STALL, socket.write_all(&chunk)).await
    {
        written += chunk.len();
    }
    written
}

/// Returns once the client has closed the connection.
async fn read_to_end(socket: &mut TcpStream) {
    while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
}

async fn read_request(socket: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        let read = socket.read_buf(&mut bytes).await.unwrap();
        assert!(read > 0, "the client hung up before its request was complete");
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        if body.len() >= length.parse().unwrap() {
            return Request { body: serde_json::from_str(body).unwrap(), head, written_bytes: 0 };
        }
    }
}
