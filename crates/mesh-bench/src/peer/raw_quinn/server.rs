//! The serving end: counts tells, sends asks back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::{Buf, Bytes, BytesMut};
use quinn::{Connection, Incoming, RecvStream, SendStream};
use tokio::{task::JoinSet, time::sleep};

use super::{
    frame::{FrameReader, HEADER_BYTES, Header, Kind, put},
    settings,
};
use crate::tls::Certificates;

/// Listens, says where, and serves until the process ends.
///
/// # Errors
/// If no endpoint can be bound.
pub(crate) fn serve(
    certificates: &Certificates,
    listening: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let endpoint = settings::listener(certificates)?;
        listening(endpoint.local_addr()?)?;
        let mut connections = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            connections.spawn(serve_connection(incoming));
        }
        Ok(())
    })
}

/// What all streams of one connection share.
#[derive(Default)]
struct Handled {
    tells: AtomicU64,
    is_slow: AtomicBool,
}

impl Handled {
    async fn take_time(&self) {
        if self.is_slow.load(Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn serve_connection(incoming: Incoming) -> Result<()> {
    let connection: Connection = incoming.await?;
    let handled = Arc::new(Handled::default());
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                let (send, receive) = stream?;
                streams.spawn(serve_dialogue(send, receive, handled.clone()));
            }
            stream = connection.accept_uni() => {
                streams.spawn(serve_bulk(stream?, handled.clone()));
            }
            Some(_ended) = streams.join_next() => {}
        }
    }
}

/// Answers the frames of one bidirectional stream; replies leave in one write for each read.
async fn serve_dialogue(mut send: SendStream, receive: RecvStream, handled: Arc<Handled>) -> Result<()> {
    let mut frames = FrameReader::new(receive);
    let mut replies = BytesMut::new();
    while frames.fill().await? {
        while let Some(kind) = frames.take(|header, body| handle(header, body, &handled, &mut replies))? {
            if kind == Kind::Tell {
                handled.take_time().await;
            }
        }
        if !replies.is_empty() {
            send.write_all(&replies).await?;
            replies.clear();
        }
    }
    Ok(())
}

fn handle(header: Header, body: &[u8], handled: &Handled, replies: &mut BytesMut) -> Kind {
    match header.kind {
        Kind::Tell => {
            std::hint::black_box(body.last());
            handled.tells.fetch_add(1, Relaxed);
        }
        Kind::Ask => put(replies, Kind::Ask, header.id, body),
        Kind::Count => put(replies, Kind::Count, header.id, &handled.tells.load(Relaxed).to_le_bytes()),
        Kind::SlowDown => {
            handled.is_slow.store(true, Relaxed);
            put(replies, Kind::SlowDown, header.id, &[]);
        }
    }
    header.kind
}

/// Counts the tells of one unidirectional stream, skipping over their bodies chunk by chunk.
async fn serve_bulk(mut receive: RecvStream, handled: Arc<Handled>) -> Result<()> {
    const CHUNKS: usize = 32;
    let mut chunks: [Bytes; CHUNKS] = Default::default();
    let mut skipper = Skipper::default();
    while let Some(filled) = receive.read_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..filled] {
            let mut chunk = std::mem::take(chunk);
            while skipper.skip_frame(&mut chunk)? {
                handled.tells.fetch_add(1, Relaxed);
                handled.take_time().await;
            }
        }
    }
    Ok(())
}

/// Finds the ends of frames without keeping their bodies.
#[derive(Default)]
struct Skipper {
    /// The start of a header that the last chunk cut off.
    partial: Vec<u8>,
    /// Bytes of the present body still to come; none between frames.
    missing: Option<usize>,
}

impl Skipper {
    /// Consumes up to the end of the next frame; false when the chunk ends before it.
    fn skip_frame(&mut self, chunk: &mut Bytes) -> Result<bool> {
        let missing = match self.missing {
            Some(missing) => missing,
            None => {
                let Some(header) = self.take_header(chunk)? else { return Ok(false) };
                ensure!(header.kind == Kind::Tell, "only tells come on a unidirectional stream");
                header.body_bytes
            }
        };
        let here = missing.min(chunk.len());
        chunk.advance(here);
        self.missing = (here < missing).then_some(missing - here);
        Ok(self.missing.is_none())
    }

    fn take_header(&mut self, chunk: &mut Bytes) -> Result<Option<Header>> {
        if self.partial.is_empty()
            && let Some(header) = Header::peek(chunk)?
        {
            chunk.advance(HEADER_BYTES);
            return Ok(Some(header));
        }
        let wanted = (HEADER_BYTES - self.partial.len()).min(chunk.len());
        self.partial.extend_from_slice(&chunk[..wanted]);
        chunk.advance(wanted);
        let header = Header::peek(&self.partial)?;
        if header.is_some() {
            self.partial.clear();
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_the_stream_is_cut() {
        let mut stream = BytesMut::new();
        for body in [&b"one"[..], b"", b"a longer body of a frame"] {
            put(&mut stream, Kind::Tell, 0, body);
        }
        for cut in 1..=stream.len() {
            let mut skipper = Skipper::default();
            let mut frames = 0;
            for piece in stream.chunks(cut) {
                let mut piece = Bytes::copy_from_slice(piece);
                while skipper.skip_frame(&mut piece).unwrap() {
                    frames += 1;
                }
                assert!(piece.is_empty());
            }
            assert_eq!(frames, 3, "cut every {cut} bytes");
        }
    }
}
