//! Dropping what waits for a model ends the work for it.

use futures::{FutureExt, StreamExt};
use mesh_models::Provider;

use crate::server::{Answer, FLOOD_BYTES, Server, hi};

const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = Server::start(Answer::Stalled(vec![PIECE.into()])).await;
    let provider = server.openai();
    let mut stream = provider.stream(hi()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    server.request().await;
}

#[tokio::test]
async fn dropping_the_stream_before_its_first_event_closes_the_connection() {
    let server = Server::start(Answer::Stalled(Vec::new())).await;
    let provider = server.openai();
    let mut stream = provider.stream(hi()).await.unwrap();
    assert!(stream.next().now_or_never().is_none());
    drop(stream);
    server.request().await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_server() {
    let server = Server::start(Answer::Flood(PIECE.into())).await;
    let provider = server.openai();
    let mut stream = provider.stream(hi()).await.unwrap();
    for _ in 0..10 {
        stream.next().await.unwrap().unwrap();
    }
    // What both sockets hold, and no more: the rest waits at the server.
    let written = server.request().await.written_bytes;
    assert!(written < FLOOD_BYTES / 2, "{written}");
    drop(stream);
}
