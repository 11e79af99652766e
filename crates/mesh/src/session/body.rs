//! Large payloads, each on a stream of its own, so that nobody waits behind one.
//!
//! A body's header says how long it is, and was charged for it; the stream is read only when the header has
//! come. So nobody can make this node hold bytes that no credit covers.

use super::Session;
use crate::inlet::Inlet;
use bytes::{Buf, Bytes, BytesMut};
use mesh_net::{OpenError, RecvHalf};
use mesh_proto::frame::{BODY_NUMBER_BYTES, Body, Preamble, ReplyHeader};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

/// How long a stream waits for its header, and a reader for the next bytes: 10 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a header waits for its stream, which may stand behind the bodies before it: 60 s.
const STREAM_TIMEOUT: Duration = Duration::from_secs(60);

/// A path that carries less is too slow for bodies: 64 KiB a second.
const BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

/// What so many bytes take at the least rate.
pub(super) fn slowest(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / BYTES_PER_SECOND_MIN)
}

/// Bodies of one peer whose halves have not met: 65,536, of about 100 bytes each.
const HALVES_MAX: usize = 65_536;

/// Bodies whose two halves have not met yet.
#[derive(Default)]
pub(super) struct Bodies {
    halves: Mutex<HashMap<u64, Half>>,
    /// Bodies whose halves have met, and whose end has not come.
    reading: AtomicUsize,
}

impl Bodies {
    /// Whether no body is announced, or on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.halves.lock().is_empty() && self.reading.load(Ordering::Acquire) == 0
    }
}

enum Half {
    /// The header came, at this time; the stream has not.
    Header(Expected, Instant),
    /// The stream came, and its reader waits for the header.
    Stream(oneshot::Sender<Expected>),
}

/// A body that a header has announced.
struct Expected {
    number: u64,
    bytes: usize,
    to: BodyFor,
}

/// Where a body goes when it is complete.
pub(super) enum BodyFor {
    Message { inlet: Arc<Inlet>, lane: u8 },
    Reply(ReplyHeader),
}

impl Session {
    /// A message's header has announced a body.
    pub(crate) fn expect_body(&self, body: Body, inlet: Arc<Inlet>, lane: u8) {
        self.expect(body, BodyFor::Message { inlet, lane });
    }

    pub(super) fn expect(&self, body: Body, to: BodyFor) {
        let expected = Expected { number: body.number, bytes: body.bytes as usize, to };
        let mut halves = self.bodies.halves.lock();
        match halves.remove(&body.number) {
            Some(Half::Stream(reader)) => {
                // A reader that gave up has closed the connection.
                self.bodies.reading.fetch_add(1, Ordering::AcqRel);
                drop(reader.send(expected));
            }
            Some(Half::Header(..)) => {
                drop(halves);
                self.violation("announced one body twice");
            }
            None if halves.len() >= HALVES_MAX => {
                drop(halves);
                self.violation("announced too many bodies at once");
            }
            None => drop(halves.insert(body.number, Half::Header(expected, Instant::now()))),
        }
    }

    /// Writes a body, or ends the connection to a peer that does not read it.
    pub(super) async fn write_body(&self, number: u64, payload: Bytes) {
        if timeout(STREAM_TIMEOUT + slowest(payload.len()), self.write_whole_body(number, payload))
            .await
            .is_err()
        {
            self.violation("does not read a body");
        }
    }

    async fn write_whole_body(&self, number: u64, payload: Bytes) {
        let mut send = loop {
            match self.connection.open_uni(0).await {
                Ok(send) => break send,
                // Other bodies are on their way, over a slow path perhaps. The end of the session ends this wait.
                Err(OpenError::TooManyStreams { .. }) => {}
                Err(_) => return,
            }
        };
        let mut intro = BytesMut::from(&Preamble::Body.encode()[..]);
        intro.extend_from_slice(&number.to_le_bytes());
        let mut chunks = [intro.freeze(), payload];
        if send.write_chunks(&mut chunks).await.is_ok() {
            send.finish();
        }
    }

    pub(super) async fn read_body(self: Arc<Self>, mut receive: RecvHalf, rest: Bytes) {
        let Ok(Some((number, rest))) = timeout(BODY_TIMEOUT, read_number(&mut receive, rest)).await else {
            return;
        };
        let expected = match self.claim(number) {
            Ok(expected) => expected,
            Err(header) => match timeout(BODY_TIMEOUT, header).await {
                Ok(Ok(expected)) => expected,
                Ok(Err(_)) | Err(_) => return self.violation("sent a body that no header announced"),
            },
        };
        // Each byte may take a while, and all of them no longer than on the slowest path.
        let limit = STREAM_TIMEOUT + slowest(expected.bytes);
        let payload =
            timeout(limit, read_exactly(&mut receive, expected.bytes, rest)).await.unwrap_or_default();
        self.complete(expected, payload);
        self.bodies.reading.fetch_sub(1, Ordering::AcqRel);
    }

    fn claim(&self, number: u64) -> Result<Expected, oneshot::Receiver<Expected>> {
        let mut halves = self.bodies.halves.lock();
        if let Some(Half::Header(expected, _)) = halves.remove(&number) {
            self.bodies.reading.fetch_add(1, Ordering::AcqRel);
            return Ok(expected);
        }
        let (found, header) = oneshot::channel();
        halves.insert(number, Half::Stream(found));
        Err(header)
    }

    fn complete(&self, expected: Expected, payload: Option<Bytes>) {
        match (expected.to, payload) {
            (BodyFor::Message { inlet, lane }, payload) => {
                inlet.on_body(lane, expected.number, payload.as_ref())
            }
            (BodyFor::Reply(header), Some(payload)) => self.on_reply(header, payload),
            (BodyFor::Reply(header), None) => {
                if let Some(waiter) = self.pending.take(header.correlation) {
                    self.give_up(waiter, false, false);
                }
            }
        }
    }

    /// Gives up bodies whose stream never came, so that what stands behind them goes on.
    pub(super) async fn expire_bodies(self: Arc<Self>) {
        loop {
            sleep(BODY_TIMEOUT / 2).await;
            let late: Vec<u64> = {
                let halves = self.bodies.halves.lock();
                let is_late =
                    |half: &Half| matches!(half, Half::Header(_, since) if since.elapsed() > STREAM_TIMEOUT);
                halves.iter().filter(|(_, half)| is_late(half)).map(|(number, _)| *number).collect()
            };
            for number in late {
                let half = self.bodies.halves.lock().remove(&number);
                if let Some(Half::Header(expected, _)) = half {
                    self.complete(expected, None);
                }
            }
        }
    }
}

async fn read_number(receive: &mut RecvHalf, rest: Bytes) -> Option<(u64, Bytes)> {
    let mut first = BytesMut::from(&rest[..]);
    let mut chunk = [Bytes::new()];
    while first.len() < BODY_NUMBER_BYTES {
        receive.read_chunks(&mut chunk).await.ok()??;
        first.extend_from_slice(&std::mem::take(&mut chunk[0]));
    }
    let mut rest = first.freeze();
    let number = rest.get_u64_le();
    Some((number, rest))
}

/// Reads a body of exactly `bytes`; `None` when it is shorter, longer, or stalls.
async fn read_exactly(receive: &mut RecvHalf, bytes: usize, rest: Bytes) -> Option<Bytes> {
    let mut payload = BytesMut::with_capacity(bytes.min(256 * 1024));
    payload.extend_from_slice(&rest);
    let mut chunks: [Bytes; 16] = std::array::from_fn(|_| Bytes::new());
    loop {
        if payload.len() > bytes {
            return None;
        }
        match timeout(BODY_TIMEOUT, receive.read_chunks(&mut chunks)).await {
            Ok(Ok(Some(count))) => {
                for chunk in &mut chunks[..count] {
                    payload.extend_from_slice(&std::mem::take(chunk));
                }
            }
            Ok(Ok(None)) => return (payload.len() == bytes).then(|| payload.freeze()),
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}
