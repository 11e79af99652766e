//! Which stream is which: both sides open all of theirs at once, and each says what it is.

use super::{Session, hello::ControlStream};
use crate::pending::{Answer, Waiter};
use bytes::{Buf, Bytes};
use mesh_net::{Outbox, RecvHalf, Role};
use mesh_proto::frame::{Control, LANES, PREAMBLE_BYTES, Preamble, PreambleError};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a stream may take to say what it is: 10 s.
const INTRO_TIMEOUT: Duration = Duration::from_secs(10);

/// Replies come before messages, but after control.
const REPLY_PRIORITY: i32 = 5;

/// A stream's first bytes.
pub(super) struct Intro {
    pub(super) preamble: Preamble,
    /// What came in the same chunk behind the preamble.
    pub(super) rest: Bytes,
}

impl Intro {
    /// Reads a stream's preamble. `Err(None)` when the stream or its connection ended.
    pub(super) async fn read(receive: &mut RecvHalf) -> Result<Self, Option<PreambleError>> {
        let mut first = bytes::BytesMut::new();
        let mut chunk = [Bytes::new()];
        while first.len() < PREAMBLE_BYTES {
            match receive.read_chunks(&mut chunk).await {
                Ok(Some(_)) => first.extend_from_slice(&std::mem::take(&mut chunk[0])),
                Ok(None) | Err(_) => return Err(None),
            }
        }
        let mut rest = first.freeze();
        let mut bytes = [0; PREAMBLE_BYTES];
        rest.copy_to_slice(&mut bytes);
        let preamble = Preamble::decode(bytes).map_err(Some)?;
        Ok(Self { preamble, rest })
    }
}

impl Session {
    /// Starts the tasks of this session; they end with it.
    pub(super) fn start(self: &Arc<Self>, control: ControlStream) {
        let session = Arc::clone(self);
        self.spawn(async move { session.open_streams().await });
        let ControlStream { send, receive, reader, early } = control;
        let session = Arc::clone(self);
        self.spawn(async move {
            let _ = session.control.drive(send).await;
        });
        let session = Arc::clone(self);
        self.spawn(async move { session.read_control(receive, reader, early).await });
        let session = Arc::clone(self);
        self.spawn(async move { session.accept_streams().await });
        let session = Arc::clone(self);
        self.spawn(async move { session.expire_bodies().await });
        let session = Arc::clone(self);
        self.spawn(async move { session.expire_asks().await });
        let session = Arc::clone(self);
        self.spawn(async move { session.watch_reader().await });
        // Clients come and go, and often behind firewalls.
        if self.peer.role == Role::Node {
            let session = Arc::clone(self);
            self.spawn(async move { session.watch_for_loss().await });
            let session = Arc::clone(self);
            self.spawn(async move { session.read_datagrams().await });
        }
    }

    async fn open_streams(self: Arc<Self>) {
        for number in 0..LANES {
            let session = Arc::clone(&self);
            self.spawn(async move { session.drive(Preamble::Lane(number), 0, session.lane(number)).await });
        }
        let session = Arc::clone(&self);
        self.spawn(async move { session.drive(Preamble::Reply, REPLY_PRIORITY, &session.replies).await });
    }

    /// Opens one of our streams and writes its outbox until the session ends.
    async fn drive(&self, preamble: Preamble, priority: i32, outbox: &Outbox) {
        let Ok(mut send) = self.connection.open_uni(priority).await else {
            return self.violation("permits no stream");
        };
        let intro = Bytes::copy_from_slice(&preamble.encode());
        if send.write_chunk(intro).await.is_ok() {
            let _ = outbox.drive(send).await;
        }
    }

    /// Hands datagrams to the membership, which alone sends some.
    async fn read_datagrams(&self) {
        let Some(membership) = self.shared.membership() else { return };
        while let Ok(bytes) = self.connection.read_datagram().await {
            if let Err(error) = membership.on_datagram(self, &bytes) {
                return self.violation(&error.to_string());
            }
        }
    }

    async fn expire_asks(&self) {
        let late = |correlation, waiter| {
            self.control(&Control::Cancel { correlation });
            if let Waiter::Ask(asker) = waiter {
                drop(asker.send(Answer::Late));
            }
        };
        self.pending.expire(late).await;
    }

    async fn accept_streams(self: Arc<Self>) {
        while let Ok(receive) = self.connection.accept_uni().await {
            let session = Arc::clone(&self);
            self.spawn(async move { session.read_stream(receive).await });
        }
    }

    async fn read_stream(self: Arc<Self>, mut receive: RecvHalf) {
        let intro = match timeout(INTRO_TIMEOUT, Intro::read(&mut receive)).await {
            Ok(Ok(intro)) => intro,
            Ok(Err(Some(error))) => return self.violation(&error.to_string()),
            Ok(Err(None)) => return,
            Err(_elapsed) => return self.violation("a stream did not say what it is"),
        };
        match intro.preamble {
            Preamble::Control => self.violation("opened a second control stream"),
            Preamble::Lane(lane) => self.read_lane(lane, receive, intro.rest).await,
            Preamble::Reply => self.read_replies(receive, intro.rest).await,
            Preamble::Body => self.read_body(receive, intro.rest).await,
        }
    }
}
