//! One message to all who have subscribed.

use super::{Published, Target, bad};
use crate::{
    dynamic::{Request, ask_once, tell_once},
    failure::failure_of,
    mesh::Mesh,
    node_actor::{self, ListSubscribers},
    pending::Answer,
    remote::reply_from,
    wire::WireMessage,
};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use mesh_actor::AskError;
use mesh_proto::{
    ActorPath, Failure, InvalidKind, InvalidPath, Kind, check_topic, encode_payload_to_vec, frame::Content,
};
use serde::de::IgnoredAny;
use std::{fmt, future::IntoFuture, marker::PhantomData, time::Duration};
use tokio::time::Instant;

/// How long a message of a topic waits for room unless it says otherwise.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest body that an envelope takes: 64 KiB, so that it is an item of a stream.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What became of a message at one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<R = (), E = AskError> {
    /// The subscriber: `node/name`.
    pub to: String,
    /// As of any tell: `Ok` says that the message has room and is on its way. Of an ask, the reply.
    pub result: Result<R, E>,
}

/// A topic, for messages of the type `M`. Cheap to clone.
pub struct Topic<M> {
    mesh: Mesh,
    topic: String,
    of: PhantomData<fn(M)>,
}

impl<M: WireMessage> Topic<M> {
    pub(super) fn new(mesh: Mesh, topic: &str) -> Self {
        Self { mesh, topic: topic.to_owned(), of: PhantomData }
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topic
    }

    /// Tells the message to everybody who has subscribed, each by itself: who has no room is waited for, and delays
    /// nobody else.
    pub fn publish(&self, message: M) -> Publish<'_, M> {
        Publish { topic: self, message, deadline: None, waits: true }
    }

    /// As [`publish`](Self::publish), but waits for nobody's room: who has none now, or has lent none of it to this node yet,
    /// is not told, and has `MAILBOX_FULL` in its row. The way to a subscriber is waited for.
    pub fn try_publish(&self, message: M) -> Publish<'_, M> {
        Publish { topic: self, message, deadline: None, waits: false }
    }

    /// Asks everybody who has subscribed to messages of this type, and waits for all replies until `timeout`. Who follows the
    /// topic by envelopes answers nothing, and is not asked.
    ///
    /// # Errors
    /// As [`Publish`]; and in each row, as of any ask.
    ///
    /// # Cancel safety
    /// Dropping it withdraws the message where it has not been answered.
    pub async fn ask(&self, message: M, timeout: Duration) -> Result<Vec<Delivery<M::Reply>>, AskError> {
        let deadline = Instant::now() + timeout;
        let payload = self.encoded(&message)?;
        let targets = subscribers(&self.mesh, &self.topic, M::KIND, deadline).await?;
        let asks = targets.into_iter().filter(|target| !target.is_wrapped).map(|target| async {
            let result = self.ask_one(&target.path, payload.clone(), deadline).await;
            Delivery { to: target.path, result }
        });
        Ok(join_all(asks).await)
    }

    async fn ask_one(&self, path: &str, payload: Bytes, deadline: Instant) -> Result<M::Reply, AskError> {
        let request = Request {
            path,
            kind: M::KIND,
            payload: (Content::Bincode, payload),
            deadline: Some(deadline),
            is_tell: false,
            streams: false,
        };
        let answered = ask_once(&self.mesh, request, deadline).await?;
        if matches!(answered.answer, Answer::Lost) {
            return Err(answered.unreachable);
        }
        let wrong = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
        let path: ActorPath = path.parse().map_err(wrong)?;
        reply_from(answered.answer, &path)
    }

    fn encoded(&self, message: &M) -> Result<Bytes, AskError> {
        let encoded = encode_payload_to_vec(message);
        encoded.map(Bytes::from).map_err(|error| bad(&self.topic, M::KIND, &error.reason))
    }
}

impl<M> Clone for Topic<M> {
    fn clone(&self) -> Self {
        Self { mesh: self.mesh.clone(), topic: self.topic.clone(), of: PhantomData }
    }
}

impl<M> fmt::Debug for Topic<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.topic).finish_non_exhaustive()
    }
}

/// A message about to be published. It is sent when it is awaited, and answers a row for each subscriber, in the order
/// of their paths; none, if nobody has subscribed.
///
/// # Errors
/// [`AskError`] when nobody was told anything: the message cannot be encoded; or, for a client, its node did not say who
/// has subscribed, for which it needs `read:NODE/mesh`. All else stands in the rows.
///
/// # Cancel safety
/// Dropped before it is done, it has told some of the subscribers, and leaves nothing behind with the others.
#[must_use = "a message is not published until it is awaited"]
pub struct Publish<'a, M> {
    topic: &'a Topic<M>,
    message: M,
    deadline: Option<Instant>,
    waits: bool,
}

impl<M> Publish<'_, M> {
    /// How long it may wait for room, at all subscribers at once; 5 s by default.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.deadline(Instant::now() + timeout)
    }

    /// Until when it may wait for room. `None` leaves what was said before.
    pub fn deadline(self, deadline: impl Into<Option<Instant>>) -> Self {
        Self { deadline: deadline.into().or(self.deadline), ..self }
    }
}

impl<'a, M: WireMessage> IntoFuture for Publish<'a, M> {
    type Output = Result<Vec<Delivery>, AskError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { topic: Topic { mesh, topic, .. }, message, deadline, waits } = self;
        Box::pin(async move {
            let deadline = deadline.unwrap_or_else(|| Instant::now() + PUBLISH_TIMEOUT);
            let encoded = encode_payload_to_vec(&message);
            let bare = encoded.map_err(|error| bad(topic, M::KIND, &error.reason))?.into();
            let targets = subscribers(mesh, topic, M::KIND, deadline).await?;
            let wrapped = wrapped(&targets, topic, M::KIND, || serde_json::to_string(&message));
            let letter = Letter { kind: M::KIND, bare: (Content::Bincode, bare), wrapped, deadline, waits };
            Ok(letter.deliver(mesh, targets).await)
        })
    }
}

impl<M> fmt::Debug for Publish<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").field("topic", &self.topic.topic).finish_non_exhaustive()
    }
}

pub(super) async fn publish_json(
    mesh: &Mesh,
    topic: &str,
    kind: &str,
    body: &str,
    timeout: Duration,
) -> Result<Vec<Delivery<(), Failure>>, Failure> {
    let here = &mesh.shared().me.name;
    let deadline = Instant::now() + timeout;
    let rows = async {
        check_topic(topic).map_err(|reason| bad(topic, kind, &reason))?;
        kind.parse::<Kind>().map_err(|error: InvalidKind| bad(topic, kind, &error))?;
        serde_json::from_str::<IgnoredAny>(body).map_err(|error| bad(topic, kind, &error))?;
        let targets = subscribers(mesh, topic, kind, deadline).await?;
        let wrapped = wrapped(&targets, topic, kind, || Ok(body.to_owned()));
        let bare = (Content::Json, Bytes::copy_from_slice(body.as_bytes()));
        let letter = Letter { kind, bare, wrapped, deadline, waits: true };
        Ok(letter.deliver(mesh, targets).await)
    };
    let failed = |error: AskError| failure_of(&error, here);
    let told = |row: Delivery| Delivery { to: row.to, result: row.result.map_err(failed) };
    Ok(rows.await.map_err(failed)?.into_iter().map(told).collect())
}

/// Who is to be told: as this node knows, or as a client's node does.
async fn subscribers(
    mesh: &Mesh,
    topic: &str,
    kind: &str,
    deadline: Instant,
) -> Result<Vec<Target>, AskError> {
    let mut targets = match mesh.shared().membership() {
        Some(membership) => membership.subscribers(topic, kind),
        None => {
            let path = format!("{}/{}", mesh.node_name(), node_actor::NAME);
            let wrong = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
            let node = mesh.recipient::<ListSubscribers>(&path).map_err(wrong)?;
            let list = ListSubscribers { topic: topic.to_owned(), kind: kind.to_owned() };
            let found = node.ask(list).deadline(deadline).await?.subscribers;
            found.into_iter().map(|row| Target { path: row.path, is_wrapped: row.is_wrapped }).collect()
        }
    };
    targets.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(targets)
}

/// The envelope, if anybody wants one: made once, however many there are.
fn wrapped(
    targets: &[Target],
    topic: &str,
    kind: &str,
    body: impl FnOnce() -> serde_json::Result<String>,
) -> Result<Bytes, AskError> {
    if !targets.iter().any(|target| target.is_wrapped) {
        return Ok(Bytes::new());
    }
    let body = body().map_err(|error| bad(topic, kind, &error))?;
    if body.len() > BODY_BYTES_MAX {
        let (bytes, bytes_max) = (body.len() as u64, BODY_BYTES_MAX as u64);
        return Err(AskError::TooLarge { path: topic.to_owned(), bytes, bytes_max });
    }
    let published = Published { topic: topic.to_owned(), kind: kind.to_owned(), body };
    let encoded = encode_payload_to_vec(&published);
    encoded.map(Bytes::from).map_err(|error| bad(topic, kind, &error.reason))
}

/// A message as bytes, in the two forms that subscribers take.
struct Letter<'a> {
    kind: &'a str,
    bare: (Content, Bytes),
    wrapped: Result<Bytes, AskError>,
    deadline: Instant,
    waits: bool,
}

impl Letter<'_> {
    /// Tells all at once: their number is bounded by what nodes may have subscribed, and each waits for its own room.
    async fn deliver(&self, mesh: &Mesh, targets: Vec<Target>) -> Vec<Delivery> {
        let tells = targets.into_iter().map(|target| async move {
            let result = self.tell(mesh, &target).await;
            Delivery { to: target.path, result }
        });
        join_all(tells).await
    }

    async fn tell(&self, mesh: &Mesh, target: &Target) -> Result<(), AskError> {
        let (kind, payload) = if target.is_wrapped {
            (Published::KIND, (Content::Bincode, self.wrapped.clone()?))
        } else {
            (self.kind, self.bare.clone())
        };
        // What has passed is no wait: what can't be sent when it is tried is not sent.
        let room_until = if self.waits { self.deadline } else { Instant::now() };
        tell_once(mesh, &target.path, kind, payload, self.deadline, room_until).await
    }
}
