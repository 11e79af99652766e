//! The first frame each way. Nothing is sent, nor believed, before it.

use super::{
    CONTROL_OUTBOX_BYTES, LANE_OUTBOX_BYTES, Peer, REPLY_OUTBOX_BYTES, Session, body::Bodies, streams::Intro,
};
use crate::{channel::write_frame, shared::Shared, tasks::Tasks};
use bytes::Bytes;
use mesh_net::{CloseCode, CloseReason, Connection, FrameReader, Outbox, RecvHalf, SendHalf};
use mesh_proto::{
    NodeId, decode_frame, encode_frame,
    frame::{CONTROL_BYTES_MAX, Control, Hello, Preamble},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the hello may take after the handshake: 3 s.
const HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a connection became no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The peer closed the connection, and told why.
    #[error("the connection ended before the hello: {0}")]
    Ended(CloseReason),
    /// The peer said nothing for three seconds.
    #[error("no hello came in {} s", HELLO_TIMEOUT.as_secs())]
    Silent,
    /// What came first was no hello of a version that this node speaks.
    #[error("the peer's first frame is no hello: {0}")]
    Garbled(String),
}

/// The control stream after the hello, with frames that came right behind it.
pub(super) struct ControlStream {
    pub(super) send: SendHalf,
    pub(super) receive: RecvHalf,
    pub(super) reader: FrameReader,
    pub(super) early: Vec<Control>,
}

impl Session {
    /// Says hello, waits for the peer's, and starts the session's streams.
    ///
    /// # Errors
    /// [`HelloError`]; the connection is closed then.
    pub(crate) async fn establish(
        shared: &Arc<Shared>,
        connection: Connection,
        is_dialled: bool,
    ) -> Result<Arc<Self>, HelloError> {
        let greeted =
            timeout(HELLO_TIMEOUT, greet(shared, &connection)).await.unwrap_or(Err(HelloError::Silent));
        let (hello, control) = match greeted {
            Ok(greeted) => greeted,
            Err(error) => {
                connection.close(CloseCode::VersionMismatch, &error.to_string());
                return Err(error);
            }
        };
        let identity = connection.peer();
        let peer = Peer {
            id: NodeId(identity.id),
            name: identity.name.as_str().into(),
            role: identity.role,
            boot: hello.boot,
            features: hello.features,
            listens: hello.listens.unwrap_or_default().into(),
        };
        let session = Arc::new_cyclic(|me| Self {
            shared: Arc::clone(shared),
            peer,
            is_dialled,
            connection,
            control: Outbox::new(CONTROL_OUTBOX_BYTES),
            lanes: std::array::from_fn(|_| Outbox::new(LANE_OUTBOX_BYTES)),
            replies: Outbox::new(REPLY_OUTBOX_BYTES),
            pending: Default::default(),
            channels: Default::default(),
            inlets: Default::default(),
            running: Default::default(),
            withdrawn: Default::default(),
            detached: Default::default(),
            closed_with: Default::default(),
            bodies: Bodies::default(),
            unread: Default::default(),
            next_body: 1.into(),
            retirement: Default::default(),
            is_closed: false.into(),
            is_bursting: false.into(),
            tasks: Tasks::new(shared.network.clone()),
            me: me.clone(),
        });
        session.start(control);
        Ok(session)
    }
}

async fn greet(shared: &Arc<Shared>, connection: &Connection) -> Result<(Hello, ControlStream), HelloError> {
    let ended = |_| HelloError::Ended(connection.close_reason().unwrap_or(CloseReason::TimedOut));
    // First in line whatever else waits: credit and cancellation must not stand behind a bulk transfer.
    let mut send = connection.open_uni(10).await.map_err(|_| ended(()))?;
    let features = shared.trust.features(connection.peer().role);
    let hello = Hello { boot: shared.me.boot, features, listens: shared.listens() };
    let mut first = Preamble::Control.encode().to_vec();
    write_frame(&mut first, |buffer| encode_frame(&Control::Hello(hello), buffer));
    send.write_chunk(first.into()).await.map_err(|_| ended(()))?;

    let mut receive = connection.accept_uni().await.map_err(HelloError::Ended)?;
    let intro = Intro::read(&mut receive).await.map_err(|error| match error {
        Some(garbled) => HelloError::Garbled(garbled.to_string()),
        None => ended(()),
    })?;
    if intro.preamble != Preamble::Control {
        return Err(HelloError::Garbled("its first stream is not the control stream".to_owned()));
    }
    let mut reader = FrameReader::new(CONTROL_BYTES_MAX);
    let mut frames = Vec::new();
    feed(&mut reader, &intro.rest, &mut frames)?;
    let mut chunks: [Bytes; 4] = Default::default();
    while frames.is_empty() {
        let count = receive.read_chunks(&mut chunks).await.map_err(|_| ended(()))?;
        let count = count.ok_or_else(|| ended(()))?;
        for chunk in &mut chunks[..count] {
            feed(&mut reader, &std::mem::take(chunk), &mut frames)?;
        }
    }
    let Control::Hello(hello) = frames.remove(0) else {
        return Err(HelloError::Garbled("another frame came first".to_owned()));
    };
    Ok((hello, ControlStream { send, receive, reader, early: frames }))
}

fn feed(reader: &mut FrameReader, chunk: &Bytes, frames: &mut Vec<Control>) -> Result<(), HelloError> {
    let mut garbled = None;
    let fed = reader.feed(chunk, |frame| match decode_frame(frame.bytes()) {
        Ok(control) => frames.push(control),
        Err(error) => garbled = Some(error.to_string()),
    });
    match (fed, garbled) {
        (Ok(()), None) => Ok(()),
        (Err(error), _) => Err(HelloError::Garbled(error.to_string())),
        (_, Some(error)) => Err(HelloError::Garbled(error)),
    }
}
