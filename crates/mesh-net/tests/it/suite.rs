//! What both transports promise: every test here runs in memory and over QUIC.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use mesh_net::{
    ABANDONED, CloseCode, CloseReason, ConnectError, Expect, FrameReader, OpenError, Outbox, PushError,
    ReadError, TransportConfig, WriteError,
};

use crate::pair::{Pair, Transport, connect, read, read_all, soon, stream};

macro_rules! on_both_transports {
    ($($test:ident)*) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                soon(super::$test(Transport::Memory)).await;
            })*
        }
        mod over_quic {
            use super::*;
            $(#[tokio::test]
            async fn $test() {
                soon(super::$test(Transport::Quic)).await;
            })*
        }
    };
}

on_both_transports! {
    each_side_sees_who_the_other_is
    bytes_arrive_in_order_and_then_the_end
    chunks_far_beyond_every_window_pass
    a_reader_that_stops_stalls_its_writer_and_nobody_else
    the_connection_window_bounds_all_streams_together
    a_half_dropped_before_its_end_resets_the_stream
    a_reset_gives_its_code_to_the_reader
    a_stop_gives_its_code_to_the_writer
    a_dropped_reader_stops_its_writer
    streams_are_accepted_in_the_order_of_their_opening
    many_streams_of_any_priority_carry_everything
    opening_beyond_the_limit_fails_at_its_deadline_and_works_when_one_ends
    a_close_gives_code_and_reason_to_the_peer
    a_close_ends_everything_that_waits
    the_last_handle_dropped_closes_the_connection
    a_closed_endpoint_tells_its_peers_and_stops
    more_connections_than_permitted_are_refused
    a_node_of_another_name_than_expected_is_refused
    a_name_that_is_no_name_is_not_dialled
    frames_pass_through_an_outbox_whole_and_in_order
    an_outbox_flushes_before_it_finishes
    an_outbox_closes_when_its_idle_stream_dies
    an_outbox_in_front_of_a_stalled_reader_fills_and_refuses
}

async fn pair(transport: Transport) -> Pair {
    transport.pair(&TransportConfig::lan()).await
}

async fn each_side_sees_who_the_other_is(transport: Transport) {
    let pair = pair(transport).await;
    assert_eq!(pair.dialled.peer().name, "beta");
    assert_eq!(pair.accepted.peer().name, "alpha");
    assert_eq!(pair.dialled.remote_addr(), pair.beta.local_addr());
    assert_eq!(pair.accepted.remote_addr(), pair.alpha.local_addr());
    assert_ne!(pair.dialled.stable_id(), pair.accepted.stable_id());
    let other_handle = pair.dialled.clone();
    assert_eq!(pair.dialled.stable_id(), other_handle.stable_id());
}

async fn bytes_arrive_in_order_and_then_the_end(transport: Transport) {
    let pair = pair(transport).await;
    let mut send = pair.dialled.open_uni(0).await.unwrap();
    let mut expected = Vec::new();
    for number in 0..1000u32 {
        expected.extend(number.to_le_bytes());
        send.write_chunk(Bytes::copy_from_slice(&number.to_le_bytes())).await.unwrap();
    }
    send.write_chunks(&mut [Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"b")]).await.unwrap();
    expected.extend(b"ab");
    send.finish();
    let mut receive = pair.accepted.accept_uni().await.unwrap();
    assert_eq!(read_all(&mut receive).await, Ok(expected));
    assert_eq!(read(&mut receive).await, Ok(None), "the end stays the end");
}

async fn chunks_far_beyond_every_window_pass(transport: Transport) {
    let pair = pair(transport).await;
    let body: Bytes = (0..=255).cycle().take(20 << 20).collect::<Vec<u8>>().into();
    let mut send = pair.dialled.open_uni(0).await.unwrap();
    let write = async {
        send.write_chunk(body.clone()).await.unwrap();
        send.finish();
    };
    let receive = async { read_all(&mut pair.accepted.accept_uni().await.unwrap()).await.unwrap() };
    let ((), received) = tokio::join!(write, receive);
    assert!(received == body, "the bytes differ");
}

async fn a_reader_that_stops_stalls_its_writer_and_nobody_else(transport: Transport) {
    const CHUNK: usize = 16 * 1024;
    const CHUNKS: usize = 256;
    let config = TransportConfig::lan();
    let pair = transport.pair(&config).await;
    let (mut send, mut unread) = stream(&pair.dialled, &pair.accepted).await;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = written.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..CHUNKS {
            send.write_chunk(Bytes::from_static(&[7; CHUNK])).await.unwrap();
            counter.fetch_add(CHUNK, Ordering::Relaxed);
        }
        send.finish();
    });

    let (mut ping, mut pong) = stream(&pair.dialled, &pair.accepted).await;
    for _ in 0..500 {
        ping.write_chunk(Bytes::from_static(b"p")).await.unwrap();
        assert_eq!(read(&mut pong).await, Ok(Some(Bytes::from_static(b"p"))));
    }
    let stalled_at = written.load(Ordering::Relaxed);
    assert!(stalled_at > 0, "the writer never started");
    assert!(stalled_at <= config.stream_window as usize, "{stalled_at} bytes went into a window of 256 KiB");

    assert_eq!(read_all(&mut unread).await.map(|all| all.len()), Ok(CHUNK * CHUNKS));
    writer.await.unwrap();
}

async fn the_connection_window_bounds_all_streams_together(transport: Transport) {
    const CHUNK: usize = 1024;
    let config =
        TransportConfig { stream_window: 16 * 1024, connection_window: 32 * 1024, ..TransportConfig::lan() };
    let pair = transport.pair(&config).await;
    let written = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (connection, written) = (pair.dialled.clone(), written.clone());
        writers.spawn(async move {
            let mut send = connection.open_uni(0).await.unwrap();
            for _ in 0..64 {
                send.write_chunk(Bytes::from_static(&[7; CHUNK])).await.unwrap();
                written.fetch_add(CHUNK, Ordering::Relaxed);
            }
            send.finish();
        });
    }
    // Nobody reads; the other direction shows that time has passed and the connection works.
    let (mut ping, mut pong) = stream(&pair.accepted, &pair.dialled).await;
    for _ in 0..500 {
        ping.write_chunk(Bytes::from_static(b"p")).await.unwrap();
        assert_eq!(read(&mut pong).await, Ok(Some(Bytes::from_static(b"p"))));
    }
    let stalled_at = written.load(Ordering::Relaxed);
    assert!((1..=32 * 1024).contains(&stalled_at), "{stalled_at} bytes went into a window of 32 KiB");

    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut receive = pair.accepted.accept_uni().await.unwrap();
        readers.spawn(async move { read_all(&mut receive).await.unwrap().len() });
    }
    assert_eq!(readers.join_all().await, [64 * CHUNK; 4]);
    writers.join_all().await;
}

async fn a_half_dropped_before_its_end_resets_the_stream(transport: Transport) {
    let pair = pair(transport).await;
    let (send, mut receive) = stream(&pair.dialled, &pair.accepted).await;
    drop(send);
    assert_eq!(read(&mut receive).await, Err(ReadError::Reset { code: ABANDONED }));
}

async fn a_reset_gives_its_code_to_the_reader(transport: Transport) {
    let pair = pair(transport).await;
    let (send, mut receive) = stream(&pair.dialled, &pair.accepted).await;
    send.reset(77);
    assert_eq!(read(&mut receive).await, Err(ReadError::Reset { code: 77 }));
}

async fn a_stop_gives_its_code_to_the_writer(transport: Transport) {
    let pair = pair(transport).await;
    let (mut send, receive) = stream(&pair.dialled, &pair.accepted).await;
    let stopped = send.stopped();
    receive.stop(78);
    assert_eq!(stopped.await, WriteError::Stopped { code: 78 });
    let refused = send.write_chunk(Bytes::from_static(b"x")).await;
    assert_eq!(refused, Err(WriteError::Stopped { code: 78 }));
}

async fn a_dropped_reader_stops_its_writer(transport: Transport) {
    let pair = pair(transport).await;
    let (mut send, receive) = stream(&pair.dialled, &pair.accepted).await;
    drop(receive);
    assert_eq!(send.stopped().await, WriteError::Stopped { code: ABANDONED });
    let refused = send.write_chunk(Bytes::from_static(b"x")).await;
    assert_eq!(refused, Err(WriteError::Stopped { code: ABANDONED }));
}

async fn streams_are_accepted_in_the_order_of_their_opening(transport: Transport) {
    let pair = pair(transport).await;
    let mut first = pair.dialled.open_uni(0).await.unwrap();
    let mut second = pair.dialled.open_uni(0).await.unwrap();
    second.write_chunk(Bytes::from_static(b"second")).await.unwrap();
    let mut receive_first = pair.accepted.accept_uni().await.unwrap();
    let mut receive_second = pair.accepted.accept_uni().await.unwrap();
    first.write_chunk(Bytes::from_static(b"first")).await.unwrap();
    assert_eq!(read(&mut receive_first).await, Ok(Some(Bytes::from_static(b"first"))));
    assert_eq!(read(&mut receive_second).await, Ok(Some(Bytes::from_static(b"second"))));
}

async fn many_streams_of_any_priority_carry_everything(transport: Transport) {
    const STREAMS: usize = 300;
    let pair = pair(transport).await;
    let connection = pair.dialled.clone();
    let writers = tokio::spawn(async move {
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..STREAMS {
            let priority = [i32::MIN, -1, 0, 10, i32::MAX][number % 5];
            let mut send = connection.open_uni(priority).await.unwrap();
            writers.spawn(async move {
                send.write_chunk(vec![u8::try_from(number % 256).unwrap(); 10_000].into()).await.unwrap();
                send.finish();
            });
        }
        writers.join_all().await;
    });
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..STREAMS {
        let mut receive = pair.accepted.accept_uni().await.unwrap();
        readers.spawn(async move {
            let expected = vec![u8::try_from(number % 256).unwrap(); 10_000];
            assert!(read_all(&mut receive).await.unwrap() == expected, "stream {number} differs");
        });
    }
    readers.join_all().await;
    writers.await.unwrap();
}

async fn opening_beyond_the_limit_fails_at_its_deadline_and_works_when_one_ends(transport: Transport) {
    let open_timeout = Duration::from_millis(500);
    let config = TransportConfig { uni_streams_max: 2, open_timeout, ..TransportConfig::lan() };
    let pair = transport.pair(&config).await;
    let (first, mut receive) = stream(&pair.dialled, &pair.accepted).await;
    let _second = pair.dialled.open_uni(0).await.unwrap();
    let refused = pair.dialled.open_uni(0).await.map(|_| ());
    assert_eq!(refused, Err(OpenError::TooManyStreams { waited: open_timeout }));

    first.finish();
    assert_eq!(read(&mut receive).await, Ok(None));
    pair.dialled.open_uni(0).await.unwrap();
}

async fn a_close_gives_code_and_reason_to_the_peer(transport: Transport) {
    for code in [CloseCode::Leaving, CloseCode::Duplicate, CloseCode::Denied, CloseCode::Other(1 << 20)] {
        let pair = pair(transport).await;
        assert_eq!(pair.dialled.close_reason(), None);
        pair.dialled.close(code, "because");
        assert_eq!(pair.dialled.closed().await, CloseReason::Local);
        let seen = CloseReason::Peer { code, reason: "because".to_owned() };
        assert_eq!(pair.accepted.closed().await, seen);
        pair.accepted.close(CloseCode::Shutdown, "too late");
        assert_eq!(pair.accepted.close_reason(), Some(seen), "the first reason counts");
    }
}

async fn a_close_ends_everything_that_waits(transport: Transport) {
    let pair = pair(transport).await;
    let (mut send, mut receive) = stream(&pair.dialled, &pair.accepted).await;
    let (mut send_back, _unread) = stream(&pair.accepted, &pair.dialled).await;
    let endless = async {
        loop {
            if let Err(error) = send_back.write_chunk(Bytes::from_static(&[7; 65_536])).await {
                return error;
            }
        }
    };
    let closer = async { pair.dialled.close(CloseCode::Leaving, "bye") };
    let (accepted, blocked, ended, ()) =
        tokio::join!(pair.accepted.accept_uni(), endless, read(&mut receive), closer);
    let seen = CloseReason::Peer { code: CloseCode::Leaving, reason: "bye".to_owned() };
    assert_eq!(accepted.map(|_| ()), Err(seen.clone()));
    assert_eq!(blocked, WriteError::Closed(seen.clone()));
    assert_eq!(ended, Err(ReadError::Closed(seen.clone())));
    assert_eq!(pair.accepted.open_uni(0).await.map(|_| ()), Err(OpenError::Closed(seen)));
    let own = send.write_chunk(Bytes::from_static(b"x")).await;
    assert_eq!(own, Err(WriteError::Closed(CloseReason::Local)));
    assert_eq!(send.stopped().await, WriteError::Closed(CloseReason::Local));
}

async fn the_last_handle_dropped_closes_the_connection(transport: Transport) {
    let Pair { dialled, accepted, .. } = pair(transport).await;
    let (send, _receive) = stream(&dialled, &accepted).await;
    drop(dialled);
    assert_eq!(accepted.close_reason(), None, "a stream is a handle too");
    drop(send);
    let reason = String::new();
    assert_eq!(accepted.closed().await, CloseReason::Peer { code: CloseCode::Dropped, reason });
}

async fn a_closed_endpoint_tells_its_peers_and_stops(transport: Transport) {
    let pair = pair(transport).await;
    pair.beta.close();
    let CloseReason::Peer { code: CloseCode::Shutdown, .. } = pair.dialled.closed().await else {
        panic!("{:?}", pair.dialled.close_reason());
    };
    assert!(pair.beta.accept().await.is_none());
    let refused = pair.beta.connect(pair.alpha.local_addr(), Expect::AnyNode).await;
    assert_eq!(refused.map(|_| ()), Err(ConnectError::EndpointClosed));
    drop((pair.dialled, pair.accepted));
    assert!(pair.beta.wait_idle(Duration::from_secs(30)).await);
}

async fn more_connections_than_permitted_are_refused(transport: Transport) {
    let (alpha, beta) =
        transport.endpoints(&TransportConfig { connections_max: 1, ..TransportConfig::lan() });
    let kept = connect(&alpha, &beta).await;
    let addr = beta.local_addr();
    let refused = tokio::select! {
        refused = alpha.connect(addr, Expect::AnyNode) => refused,
        accepted = beta.accept() => panic!("{accepted:?}"),
    };
    assert_eq!(refused.map(|_| ()), Err(ConnectError::Refused { addr }));
    assert_eq!(kept.1.close_reason(), None);
}

async fn a_node_of_another_name_than_expected_is_refused(transport: Transport) {
    let (alpha, beta) = transport.endpoints(&TransportConfig::lan());
    let addr = beta.local_addr();
    let dial = alpha.connect(addr, Expect::Node("gamma"));
    // Over QUIC the acceptor takes part until the dialler refuses.
    let refused = tokio::select! {
        refused = dial => refused,
        accepted = async { loop { if let Some(Ok(accepted)) = beta.accept().await { break accepted } } } => {
            panic!("{accepted:?}")
        }
    };
    assert!(matches!(refused, Err(ConnectError::Certificate { addr: at, .. }) if at == addr), "{refused:?}");
}

async fn a_name_that_is_no_name_is_not_dialled(transport: Transport) {
    let (alpha, beta) = transport.endpoints(&TransportConfig::lan());
    let refused = alpha.connect(beta.local_addr(), Expect::Node("beta.node.evil")).await;
    assert!(matches!(refused, Err(ConnectError::Name(_))), "{refused:?}");
}

/// One frame as senders append it.
fn put(buffer: &mut Vec<u8>, body: &[u8]) {
    buffer.put_u32_le(u32::try_from(body.len()).unwrap());
    buffer.put_slice(body);
}

async fn frames_pass_through_an_outbox_whole_and_in_order(transport: Transport) {
    const SENDERS: u8 = 4;
    const FRAMES: u32 = 2000;
    let pair = pair(transport).await;
    let outbox = Arc::new(Outbox::new(8 * 1024));
    let stream = pair.dialled.open_uni(0).await.unwrap();
    let driver = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.drive(stream).await }
    });
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let outbox = outbox.clone();
        senders.spawn(async move {
            for number in 0..FRAMES {
                let mut body = vec![sender; 5 + usize::try_from(number % 500).unwrap()];
                body[1..5].copy_from_slice(&number.to_le_bytes());
                outbox.push(|buffer| put(buffer, &body)).await.unwrap();
            }
        });
    }
    let reader = tokio::spawn(async move {
        let mut receive = pair.accepted.accept_uni().await.unwrap();
        let mut next = [0u32; SENDERS as usize];
        let mut frames = FrameReader::new(1024);
        let mut chunks: [Bytes; 16] = Default::default();
        while let Some(filled) = receive.read_chunks(&mut chunks).await.unwrap() {
            for chunk in &chunks[..filled] {
                let each = |frame: mesh_net::Frame<'_>| {
                    let body = frame.bytes();
                    let number = u32::from_le_bytes(body[1..5].try_into().unwrap());
                    let next = &mut next[usize::from(body[0])];
                    assert_eq!(number, *next, "a frame is lost, doubled or out of order");
                    *next += 1;
                };
                frames.feed(chunk, each).unwrap();
            }
        }
        frames.finish().unwrap();
        next
    });
    senders.join_all().await;
    outbox.close();
    assert_eq!(driver.await.unwrap(), Ok(()));
    assert_eq!(reader.await.unwrap(), [FRAMES; SENDERS as usize]);
}

async fn an_outbox_flushes_before_it_finishes(transport: Transport) {
    let pair = pair(transport).await;
    let outbox = Outbox::new(1024);
    outbox.try_push(|buffer| buffer.put_slice(b"last words")).unwrap();
    outbox.close();
    assert_eq!(outbox.try_push(|_| ()), Err(PushError::Closed));
    outbox.drive(pair.dialled.open_uni(0).await.unwrap()).await.unwrap();
    let mut receive = pair.accepted.accept_uni().await.unwrap();
    assert_eq!(read_all(&mut receive).await, Ok(b"last words".to_vec()));
}

async fn an_outbox_closes_when_its_idle_stream_dies(transport: Transport) {
    let pair = pair(transport).await;
    let (send, receive) = stream(&pair.dialled, &pair.accepted).await;
    let outbox = Outbox::new(1024);
    let (driven, ()) = tokio::join!(outbox.drive(send), async { receive.stop(5) });
    assert_eq!(driven, Err(WriteError::Stopped { code: 5 }));
    assert_eq!(outbox.try_push(|_| ()), Err(PushError::Closed));
}

async fn an_outbox_in_front_of_a_stalled_reader_fills_and_refuses(transport: Transport) {
    const LIMIT: usize = 64 * 1024;
    let pair = pair(transport).await;
    let (send, unread) = stream(&pair.dialled, &pair.accepted).await;
    let outbox = Arc::new(Outbox::new(LIMIT));
    let driver = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.drive(send).await }
    });
    let mut accepted = 0;
    let push = |buffer: &mut Vec<u8>| buffer.put_slice(&[7; 1024]);
    // The window (256 KiB), a batch being written and the waiting bytes: nothing can take more.
    while accepted < 2 << 20 {
        match outbox.try_push(push) {
            Ok(()) => accepted += 1024,
            Err(PushError::Full) => {
                // Room comes while the window still has some, or never.
                let patience = Duration::from_millis(200);
                if tokio::time::timeout(patience, outbox.room()).await.is_err() {
                    break;
                }
            }
            Err(PushError::Closed) => panic!("the stream lives"),
        }
    }
    assert!(
        accepted <= 256 * 1024 + 2 * LIMIT,
        "{accepted} bytes were accepted for a reader that never reads"
    );
    assert_eq!(outbox.len(), LIMIT);
    drop(unread);
    assert_eq!(outbox.room().await, Err(mesh_net::Closed));
    assert_eq!(driver.await.unwrap(), Err(WriteError::Stopped { code: ABANDONED }));
    drop(pair);
}

#[tokio::test]
async fn connections_of_one_pair_of_endpoints_do_not_mix() {
    let (alpha, beta) = Transport::Quic.endpoints(&TransportConfig::lan());
    let first = connect(&alpha, &beta).await;
    let second = connect(&alpha, &beta).await;
    let (mut send, _unread) = stream(&first.0, &first.1).await;
    second.0.close(CloseCode::Duplicate, "");
    second.1.closed().await;
    send.write_chunk(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(first.1.close_reason(), None);
}
