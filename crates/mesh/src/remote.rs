//! Sending to a path: the same calls whether the actor is here or on a peer.

use crate::{
    channel::{Channel, Unsent, budget_ms},
    failure::error_of,
    mesh::Mesh,
    pending::{Answer, Waiter},
    session::Session,
    shared::Place,
    wire::WireMessage,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh_actor::{AskError, Cancel, Deliver, Message, Meta, Recipient, TellError, TryTellError};
use mesh_proto::{
    ActorPath, Bounded, decode_frame, decode_payload, encode_payload, encode_payload_to_vec,
    frame::{Content, MessageHeader, Outcome},
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::{
    marker::PhantomData,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

mod ask;
mod asked;
mod deadline;
mod stream;

pub(crate) use asked::Asked;
pub(crate) use deadline::{elapsed_ms, expired, is_expired, within};
pub(crate) use stream::{Named, attach, name_stream};

/// The way to a path for messages of the type `M`.
pub(crate) struct Remote<M> {
    route: Arc<Route>,
    of: PhantomData<fn(M)>,
}

/// The way to a path, found at the first use and again when it was lost.
struct Route {
    mesh: Mesh,
    path: ActorPath,
    /// The first channel that was found: no lock for each message as long as its connection lives. That keeps it; a
    /// recipient that nobody uses must not keep a connection that is over.
    first: OnceLock<(Weak<Channel>, u16)>,
    /// The one that is used when the first was lost.
    later: Mutex<Option<(Weak<Channel>, u16)>>,
    /// Whether a channel is being opened for senders who do not wait for it.
    is_opening: AtomicBool,
}

/// Where a message goes now.
enum Way<M: Message> {
    Here(Recipient<M>),
    There(Arc<Channel>, u16),
}

impl<M> Remote<M> {
    pub(crate) fn new(mesh: Mesh, path: ActorPath) -> Self {
        let route = Route {
            mesh,
            path,
            first: OnceLock::new(),
            later: Mutex::new(None),
            is_opening: AtomicBool::new(false),
        };
        Self { route: Arc::new(route), of: PhantomData }
    }
}

impl Route {
    fn channel_now(&self) -> Option<(Arc<Channel>, u16)> {
        self.with_channel(|channel, kind| (Arc::clone(channel), kind))
    }

    /// Lends the channel that is known, if it is not closed.
    #[inline]
    fn with_channel<R>(&self, then: impl FnOnce(&Arc<Channel>, u16) -> R) -> Option<R> {
        let usable = |known: &Weak<Channel>| known.upgrade().filter(|channel| !channel.is_left());
        if let Some((known, kind)) = self.first.get()
            && let Some(channel) = usable(known)
        {
            return Some(then(&channel, *kind));
        }
        let (channel, kind) = {
            let mut later = self.later.lock();
            let found = later.as_ref().and_then(|(known, kind)| Some((usable(known)?, *kind)));
            if found.is_none() {
                *later = None;
            }
            found?
        };
        Some(then(&channel, kind))
    }

    /// The actor itself, if it is in this process.
    fn here<T: Message>(&self, kind: &str) -> Option<Recipient<T>> {
        let Ok(Place::Here(port)) = self.mesh.shared().place(&self.path.to_string()) else { return None };
        port.recipient(kind)?.downcast().ok().map(|recipient| *recipient)
    }

    /// Opens a channel for those who try again later.
    fn open_soon<T: Message>(self: &Arc<Self>, kind: &'static str) {
        if self.is_opening.swap(true, Ordering::AcqRel) {
            return;
        }
        let route = Arc::clone(self);
        self.mesh.shared().tasks.spawn(async move {
            // What stands in the way is for `tell` and `ask` to say.
            let _ = timeout(TELL_TIMEOUT, route.way::<T>(kind, false)).await;
            route.is_opening.store(false, Ordering::Release);
        });
    }

    fn learn(&self, channel: &Arc<Channel>, kind: u16) {
        if self.first.set((Arc::downgrade(channel), kind)).is_err() {
            *self.later.lock() = Some((Arc::downgrade(channel), kind));
        }
    }

    /// The way for the kind `kind`; opens a channel if there is none.
    async fn way<T: Message>(&self, kind: &str, streams: bool) -> Result<Way<T>, AskError> {
        if let Some((channel, place)) = self.channel_now() {
            return Ok(Way::There(channel, place));
        }
        let path = self.path.to_string();
        match self.mesh.shared().place_soon(&path).await? {
            Place::Here(port) => {
                let known = || port.kinds().into_iter().map(|kind| kind.name).collect();
                let unknown =
                    || AskError::UnknownKind { path: path.clone(), kind: kind.to_owned(), known: known() };
                let recipient = port.recipient(kind).ok_or_else(unknown)?;
                match recipient.downcast::<Recipient<T>>() {
                    Ok(recipient) => Ok(Way::Here(*recipient)),
                    Err(_) => Err(wrong_type(&path, kind, streams)),
                }
            }
            Place::There(session) => {
                let channel = session.channel(&path);
                let place = open(&channel, &path, kind, streams).await?;
                self.learn(&channel, place);
                Ok(Way::There(channel, place))
            }
        }
    }
}

/// Waits until the channel is open, and finds the kind's place in its headers.
pub(crate) async fn open(channel: &Channel, path: &str, kind: &str, streams: bool) -> Result<u16, AskError> {
    let terms = channel.opened().await.map_err(error_of)?;
    let Some(place) = terms.kind(kind) else {
        let known = terms.kinds.iter().map(|kind| kind.name.clone()).collect();
        return Err(AskError::UnknownKind { path: path.to_owned(), kind: kind.to_owned(), known });
    };
    if terms.kinds[usize::from(place)].streams && !streams {
        return Err(wrong_type(path, kind, streams));
    }
    Ok(place)
}

fn wrong_type(path: &str, kind: &str, streams: bool) -> AskError {
    let (path, kind) = (path.to_owned(), kind.to_owned());
    if streams {
        AskError::BadMessage { path, kind, reason: "it is no stream of this type".to_owned() }
    } else {
        AskError::AnswersWithStream { path, kind }
    }
}

/// A message's header; `None` when its deadline has passed.
pub(crate) fn header(
    channel: &Channel,
    kind: u16,
    content: Content,
    meta: &Meta,
    now: impl FnOnce() -> Instant,
) -> Option<MessageHeader> {
    let sender = meta.sender.as_ref().map_or(0, |sender| sender.serial);
    let budget_ms = budget_ms(meta.deadline, now)?;
    Some(MessageHeader {
        channel: channel.number(),
        kind,
        content,
        correlation: 0,
        sender,
        budget_ms,
        body: None,
    })
}

impl<M: WireMessage> Deliver<M> for Remote<M> {
    fn path(&self) -> String {
        self.route.path.to_string()
    }

    #[inline]
    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        let full = |message| TryTellError::Full { message, len: 0, capacity: 0 };
        if is_expired(meta.deadline) {
            return Err(TryTellError::Refused { message, error: expired(&self.route.path) });
        }
        let sent = self.route.with_channel(|channel, kind| {
            let header = header(channel, kind, Content::Bincode, meta, Instant::now).ok_or(Unsent::Later)?;
            channel.try_send(&header, |buffer| encode_payload(&message, buffer))
        });
        let Some(sent) = sent else {
            if meta.is_empty()
                && let Some(recipient) = self.route.here::<M>(M::KIND)
            {
                return recipient.try_tell(message);
            }
            self.route.open_soon::<M>(M::KIND);
            return Err(full(message));
        };
        match sent {
            Ok(()) => Ok(()),
            // Whether it only takes a moment is for `tell` to find out.
            Err(Unsent::NoCredit | Unsent::Opening | Unsent::Later | Unsent::Closed(_)) => Err(full(message)),
            Err(Unsent::Encode(error)) => {
                let error = unwritable::<M>(&self.route.path, error.reason);
                Err(TryTellError::Refused { message, error })
            }
        }
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let route = Arc::clone(&self.route);
        Box::pin(async move {
            if is_expired(meta.deadline) {
                return Err(expired(&route.path));
            }
            let room_until = meta.deadline.unwrap_or_else(|| Instant::now() + TELL_TIMEOUT);
            let sends = async {
                match route.way::<M>(M::KIND, false).await? {
                    Way::Here(recipient) => recipient.tell(message).deadline(meta.deadline).await,
                    Way::There(channel, kind) => {
                        let payload = encoded(&route.path, &message)?;
                        let header = header(&channel, kind, Content::Bincode, &meta, Instant::now);
                        let header = header.ok_or_else(|| route.unsent())?;
                        channel.send(header, payload, meta.deadline).await
                    }
                }
            };
            within(Some(room_until), sends, || route.unsent()).await
        })
    }

    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        if meta.cancel.is_some() {
            let route = Arc::clone(&self.route);
            return Box::pin(async move { route.ask(message, meta).await });
        }
        match self.route.ask_now(message, &meta) {
            Ok(waiting) => Box::pin(waiting),
            Err(message) => {
                let route = Arc::clone(&self.route);
                Box::pin(async move { route.ask(message, meta).await })
            }
        }
    }
}

/// How long a tell waits for room unless it says otherwise.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

impl Route {
    async fn ask<M: WireMessage>(&self, message: M, meta: Meta) -> Result<M::Reply, AskError> {
        let started = Instant::now();
        let deadline = meta.deadline;
        if is_expired(deadline) {
            return Err(expired(&self.path));
        }
        let (channel, kind) = match self.channel_now() {
            Some(known) => known,
            None => match within(deadline, self.way::<M>(M::KIND, false), || self.unsent()).await? {
                Way::Here(recipient) => {
                    let ask = recipient.ask(message).deadline(deadline);
                    let Some(unwanted) = meta.cancel else { return ask.await };
                    return ask.cancel_on(unwanted).await;
                }
                Way::There(channel, kind) => (channel, kind),
            },
        };
        let unwanted = meta.cancel.as_ref();
        let (reply, replied) = oneshot::channel();
        let asked = Asked::new(channel.session(), Waiter::Ask(reply))?;
        let header = header(&channel, kind, Content::Bincode, &meta, Instant::now);
        let Some(header) = header else {
            asked.never_sent();
            return Err(self.unsent());
        };
        let header = MessageHeader { correlation: asked.correlation, ..header };
        match channel.try_send(&header, |buffer| encode_payload(&message, buffer)) {
            Ok(()) => {}
            Err(Unsent::Encode(error)) => return Err(unwritable::<M>(&self.path, error.reason)),
            Err(Unsent::Closed(failure)) => return Err(error_of(*failure)),
            Err(Unsent::NoCredit | Unsent::Opening | Unsent::Later) => {
                let payload = encoded(&self.path, &message)?;
                let sends = unless(unwanted, channel.send(header, payload, deadline), &self.path);
                within(deadline, sends, || self.unsent()).await?;
            }
        }
        let late = || AskError::DeadlineExceeded {
            path: self.path.to_string(),
            budget_ms: elapsed_ms(started, deadline),
            may_have_run: true,
        };
        let answer = within(deadline, asked.ended(replied, unwanted, &self.path), late).await?;
        asked.answered();
        reply_of(answer, channel.session(), &self.path)
    }

    /// The error of a message that was not sent in time: the mailbox was full, or there was no way to it.
    fn unsent(&self) -> AskError {
        let full = self.channel_now().and_then(|(channel, _)| Some(channel.mailbox_full(&*channel.terms()?)));
        full.unwrap_or_else(|| AskError::Unreachable {
            node: self.path.node().map_or_else(|| self.mesh.node_name().to_string(), str::to_owned),
            may_have_run: false,
        })
    }
}

/// A reply out of what came.
fn reply_of<R: DeserializeOwned>(answer: Answer, session: &Session, path: &ActorPath) -> Result<R, AskError> {
    match answer {
        // An ask that expires is told apart before.
        Answer::Lost | Answer::Late => Err(session.unreachable(true)),
        answer @ Answer::Frame { .. } => reply_from(answer, path),
    }
}

/// A reply out of a frame.
pub(crate) fn reply_from<R: DeserializeOwned>(
    answer: Answer,
    path: &(impl ToString + ?Sized),
) -> Result<R, AskError> {
    let unreadable =
        |reason: String| AskError::BadMessage { path: path.to_string(), kind: "reply".to_owned(), reason };
    match answer {
        Answer::Frame { outcome: Outcome::Failure, payload, .. } => {
            let failure = decode_frame(&payload).map_err(|error| unreadable(error.to_string()))?;
            Err(error_of(failure))
        }
        Answer::Frame { content: Content::Bincode, payload, .. } => {
            decode_payload(&payload).map_err(|error| unreadable(error.to_string()))
        }
        Answer::Frame { payload, .. } => serde_json::from_slice(&payload)
            .map(|Bounded(value)| value)
            .map_err(|error| unreadable(error.to_string())),
        Answer::Lost | Answer::Late => Err(unreadable("no reply came".to_owned())),
    }
}

fn encoded<M: WireMessage>(path: &ActorPath, message: &M) -> Result<Bytes, AskError> {
    let bytes = encode_payload_to_vec(message).map_err(|error| unwritable::<M>(path, error.reason))?;
    Ok(bytes.into())
}

fn unwritable<M: WireMessage>(path: &ActorPath, reason: String) -> AskError {
    AskError::BadMessage { path: path.to_string(), kind: M::KIND.to_owned(), reason }
}

/// Runs `work`, which sends a message, until the message is unwanted.
async fn unless<T>(
    unwanted: Option<&Cancel>,
    work: impl Future<Output = Result<T, AskError>>,
    path: &ActorPath,
) -> Result<T, AskError> {
    let Some(unwanted) = unwanted else { return work.await };
    tokio::select! {
        done = work => done,
        () = unwanted.cancelled() => Err(AskError::Cancelled { path: path.to_string() }),
    }
}
