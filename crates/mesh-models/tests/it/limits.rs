//! A server that is too slow, in each way of being slow.
//!
//! The clock is real: a paused one would run ahead of the sockets. The limits are short, and only the one that a test
//! is about can pass.

use std::time::Duration;

use futures::StreamExt;
use mesh_models::{
    ChatRequest, HttpProvider, ModelError, ModelSettings, Provider, Retry, TimeoutPhase, Timeouts,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::server::{Answer, Server, hi, text};

const SHORT: Duration = Duration::from_millis(60);
const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

fn timeout(phase: TimeoutPhase) -> ModelError {
    ModelError::Timeout { phase, after: SHORT }
}

/// How the call ends, whether before its stream or in it: a busy machine may need all the time for the connection.
async fn failure(provider: &HttpProvider, request: ChatRequest) -> ModelError {
    let end = async { provider.stream(request).await?.collected().await };
    end.await.expect_err("the call ended well")
}

#[tokio::test]
async fn a_server_that_sends_no_first_byte_is_given_up_and_sees_the_close() {
    // Neither before the head of the answer nor after it.
    let silent = Server::start(Answer::Stalled(Vec::new())).await;
    let timeouts = Timeouts { first_byte: SHORT, ..Timeouts::default() };
    let error = failure(&silent.openai_within(timeouts), hi()).await;
    assert_eq!(error, timeout(TimeoutPhase::FirstByte));
    silent.request().await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = HttpProvider::new(ModelSettings::openai_compatible(url, "m"), timeouts).unwrap();
    assert_eq!(provider.stream(hi()).await.unwrap_err(), timeout(TimeoutPhase::FirstByte));
}

#[tokio::test]
async fn a_server_that_stalls_in_the_middle_is_given_up_and_sees_the_close() {
    let server = Server::start(Answer::Stalled(vec![PIECE.into()])).await;
    let timeouts = Timeouts { idle: SHORT, ..Timeouts::default() };
    let mut stream = server.openai_within(timeouts).stream(hi()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(stream.next().await, Some(Ok(text("a"))));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error, timeout(TimeoutPhase::Idle));
    assert_eq!(error.retry(), Retry::Backoff);
    assert_eq!(stream.next().await, None);
    // The stream is still held, and its connection is closed nevertheless.
    server.request().await;
    drop(stream);
}

#[tokio::test]
async fn a_call_is_over_after_its_whole_time_whatever_still_comes() {
    let server = Server::start(Answer::Stalled(vec![PIECE.into(); 3])).await;
    let timeouts = Timeouts { whole: SHORT, ..Timeouts::default() };
    let error = failure(&server.openai_within(timeouts), hi()).await;
    assert_eq!(error, timeout(TimeoutPhase::Whole));
}

#[tokio::test]
async fn the_callers_deadline_holds_and_is_final() {
    let server = Server::start(Answer::Stalled(vec![PIECE.into()])).await;
    let deadline = Instant::now() + SHORT;
    let error = failure(&server.openai(), hi().with_deadline(deadline)).await;
    assert!(matches!(error, ModelError::Timeout { phase: TimeoutPhase::Deadline, .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn a_request_whose_deadline_has_passed_is_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider =
        HttpProvider::new(ModelSettings::openai_compatible(url, "m"), Timeouts::default()).unwrap();
    let error = provider.stream(hi().with_deadline(Instant::now())).await.unwrap_err();
    assert!(matches!(error, ModelError::Timeout { phase: TimeoutPhase::Deadline, .. }), "{error:?}");
    assert!(futures::FutureExt::now_or_never(listener.accept()).is_none(), "somebody connected");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_does_not_answer_is_given_up() {
    // Linux lets connections hang once a listener's queue is full and nobody accepts.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queue: JoinSet<_> = (0..8).map(|_| TcpStream::connect(addr)).collect();
    let mut queued = Vec::new();
    while queued.len() < 2 {
        queued.push(queue.join_next().await.unwrap().unwrap().unwrap());
    }

    let timeouts = Timeouts { connect: SHORT, ..Timeouts::default() };
    let settings = ModelSettings::openai_compatible(format!("http://{addr}"), "m");
    let error = HttpProvider::new(settings, timeouts).unwrap().stream(hi()).await.unwrap_err();
    assert_eq!(error, timeout(TimeoutPhase::Connect));
}
