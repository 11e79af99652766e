//! `NODE/topics/TOPIC`: where a topic is followed.
//!
//! There is no actor behind it: each stream has its own, and none waits for another.

use super::{
    follow::{FOLLOW, Follow, Followed},
    tap::OpenTap,
};
use crate::{
    failure::{bad_message, failure_of, limit_reached, stream_gone},
    frames::{Frames, Origin, refuse},
    inlet::Inlet,
    port::{Local, Port, Reserved, Room, Traffic, Wanted, encode},
    session::Session,
    shared::Shared,
    stream_out::StreamOut,
};
use futures::{
    FutureExt,
    future::{BoxFuture, pending},
};
use mesh_actor::{AskError, Cancel, ExitReason};
use mesh_proto::{
    ActorId, Bounded, Failure, Kind, Verb, check_topic,
    credit::Weight,
    decode_payload,
    frame::{ChannelKind, Content, INLINE_BYTES_MAX, Outcome, Overflow, ReplyHeader},
};
use std::{
    any::Any,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::Semaphore, time::sleep_until};

/// Streams of topics that a node serves at once: 1,024.
const FOLLOWERS_MAX: usize = 1024;

/// Requests for a stream that may be on their way over one channel. Each is short, and taken at once.
const REQUESTS: Weight = Weight { messages: 64, bytes: 64 * 1024 };

/// The streams of topics that a node serves.
pub(crate) struct Followers {
    node: OnceLock<Weak<Shared>>,
    number: AtomicU64,
    slots: Arc<Semaphore>,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            node: OnceLock::new(),
            number: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        }
    }
}

impl Followers {
    /// From now on, topics can be followed at this node.
    pub(crate) fn serve(&self, node: &Arc<Shared>) {
        let _ = self.node.set(Arc::downgrade(node));
    }

    /// What stands at `topics/TOPIC` of this node.
    pub(crate) fn port(&self, name: &str) -> Option<Arc<dyn Local>> {
        let topic = name.strip_prefix("topics/").filter(|topic| check_topic(topic).is_ok())?;
        let shared = self.node.get()?.upgrade()?;
        Some(Arc::new(TopicPort { shared, topic: topic.into() }))
    }

    pub(super) fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Where a topic is followed.
pub(super) fn path_of(node: &str, topic: &str) -> String {
    format!("{node}/topics/{topic}")
}

/// One topic, for those who follow it from elsewhere.
struct TopicPort {
    shared: Arc<Shared>,
    topic: Arc<str>,
}

impl TopicPort {
    fn path(&self) -> String {
        path_of(&self.shared.me.name, &self.topic)
    }

    fn begin(&self, mut frames: Frames) {
        while let Some(frame) = frames.take_next() {
            let call = Call {
                shared: Arc::clone(&self.shared),
                topic: Arc::clone(&self.topic),
                origin: Arc::clone(frames.origin()),
                content: frame.content,
                correlation: frame.correlation,
            };
            // Nobody would read the stream of a tell.
            if frame.correlation == 0 {
                continue;
            }
            match call.read(frames.message(&frame)) {
                Ok(follow) => {
                    let deadline = frame.deadline;
                    self.shared.tasks.spawn(async move {
                        let ends = async {
                            match deadline {
                                Some(deadline) => sleep_until(deadline).await,
                                None => pending().await,
                            }
                        };
                        tokio::select! {
                            () = call.serve(follow) => {}
                            // Who asked has given up by itself.
                            () = ends => {}
                        }
                    });
                }
                Err(failure) => refuse(&*call.origin, call.correlation, &failure),
            }
        }
    }
}

impl Port for TopicPort {
    fn actor(&self) -> ActorId {
        self.shared.actor_id(0)
    }

    fn kinds(&self) -> Vec<ChannelKind> {
        vec![ChannelKind { name: FOLLOW.to_owned(), streams: true }]
    }

    fn capacity(&self) -> Weight {
        REQUESTS
    }

    fn overflow(&self) -> Overflow {
        Overflow::Wait
    }

    fn room(self: Arc<Self>) -> Box<dyn Room> {
        Box::new(TopicRoom(self))
    }

    fn reserve(self: Arc<Self>, _: Weight) -> BoxFuture<'static, Result<Reserved, AskError>> {
        async { Ok(Box::new(()) as Reserved) }.boxed()
    }

    // Nobody ever waits for room here.
    fn attach(&self, _: &Arc<Inlet>) {}

    // Who was away has missed what was published meanwhile, and begins anew.
    fn resume(&self, session: &Arc<Session>, path: &str, wanted: Wanted) {
        refuse(&**session, wanted.correlation, &stream_gone(path, None, &self.shared.me.name));
    }

    fn release(&self, _: &Arc<Session>, _: u128) {}
}

impl Local for TopicPort {
    fn recipient(&self, _: &str) -> Option<Box<dyn Any + Send>> {
        None
    }

    fn verb(&self, _: usize) -> Option<Verb> {
        None
    }

    fn schemas(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn has_waiters(&self) -> bool {
        false
    }

    fn reclaim(&self) {}

    fn on_pressure(&self, _: Arc<dyn Fn() + Send + Sync>) {}

    fn deliver(self: Arc<Self>, frames: Frames) -> BoxFuture<'static, Result<(), AskError>> {
        async move {
            self.begin(frames);
            Ok(())
        }
        .boxed()
    }

    fn full_error(&self) -> AskError {
        AskError::MailboxFull { path: self.path(), len: 0, capacity: 0, oldest_ms: 0 }
    }

    fn close(&self, _: &Failure) {}

    fn ended(&self) -> BoxFuture<'static, ExitReason> {
        pending().boxed()
    }

    fn stop(&self) {}

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    fn drain(&self) {}

    fn kill(&self) {}

    fn serial(&self) -> u64 {
        0
    }

    fn as_port(self: Arc<Self>) -> Arc<dyn Port> {
        self
    }
}

/// Room for requests: they go on at once, so there is always some.
struct TopicRoom(Arc<TopicPort>);

impl Room for TopicRoom {
    fn lend(&mut self, upto: Weight) -> Weight {
        upto
    }

    fn add(&mut self, _: Reserved) {}

    fn free(&mut self, _: Weight) {}

    fn accept(&mut self, frames: Frames) {
        self.0.begin(frames);
    }
}

/// One reader that asks for its stream.
struct Call {
    shared: Arc<Shared>,
    topic: Arc<str>,
    origin: Arc<dyn Origin>,
    content: Content,
    correlation: u64,
}

impl Call {
    fn read(&self, payload: &[u8]) -> Result<Follow, Failure> {
        let bad = |reason: String| bad_message(&self.path(), FOLLOW, reason, self.origin.here());
        let follow: Follow = match self.content {
            Content::Bincode => decode_payload(payload).map_err(|error| bad(error.to_string()))?,
            Content::Json => serde_json::from_slice(payload)
                .map(|Bounded(value)| value)
                .map_err(|error| bad(error.to_string()))?,
            _ => return Err(bad("a stream can be asked for again, and takes no id".to_owned())),
        };
        if let Some(kind) = &follow.kind {
            kind.parse::<Kind>().map_err(|error| bad(error.to_string()))?;
        }
        Ok(follow)
    }

    /// Streams until the reader, the tap or the node goes.
    async fn serve(self, follow: Follow) {
        let stream = StreamOut::new(Cancel::new());
        let begun = Begun { call: &self };
        self.origin.begin(self.correlation, Arc::clone(&stream));
        let result = tokio::select! {
            result = self.stream(follow, &stream) => result,
            () = stream.cancel.cancelled() => Ok(()),
        };
        drop(begun);
        match result {
            Ok(()) => {
                let content = self.content;
                let _ = self.origin.answer(self.header(Outcome::Reply), &mut |out| encode(content, &(), out));
            }
            Err(failure) => refuse(&*self.origin, self.correlation, &failure),
        }
    }

    async fn stream(&self, follow: Follow, stream: &StreamOut) -> Result<(), Failure> {
        let followers = &self.shared.followers;
        let full = || limit_reached("streams of topics", FOLLOWERS_MAX, self.origin.here());
        let _slot = Arc::clone(&followers.slots).try_acquire_owned().map_err(|_| full())?;
        let opened = OpenTap::open(&self.shared, followers, &self.topic, follow.kind);
        let mut tap = opened.map_err(|error| failure_of(&error, self.origin.here()))?;
        self.send(&Followed::Begun { path: tap.path() }, stream).await?;
        while let Some(published) = tap.next().await {
            self.send(&Followed::Published(published), stream).await?;
        }
        Ok(())
    }

    async fn send(&self, item: &Followed, stream: &StreamOut) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        let encoded = encode(self.content, item, &mut bytes);
        let here = self.origin.here();
        encoded.map_err(|error| bad_message(&self.path(), "item", error.reason, here))?;
        if bytes.len() > INLINE_BYTES_MAX {
            let (bytes, bytes_max) = (bytes.len() as u64, INLINE_BYTES_MAX as u64);
            return Err(failure_of(&AskError::TooLarge { path: self.path(), bytes, bytes_max }, here));
        }
        stream.reserve(bytes.len()).await;
        // Only copied: it is encoded already.
        let _ = self.origin.answer(self.header(Outcome::Item), &mut |out| {
            out.extend_from_slice(&bytes);
            Ok(())
        });
        Ok(())
    }

    fn header(&self, outcome: Outcome) -> ReplyHeader {
        ReplyHeader { correlation: self.correlation, outcome, content: self.content, body: None }
    }

    fn path(&self) -> String {
        path_of(&self.shared.me.name, &self.topic)
    }
}

/// A stream that its reader can grant room to and withdraw, until this is dropped.
struct Begun<'a> {
    call: &'a Call,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.call.origin.end(self.call.correlation);
    }
}
