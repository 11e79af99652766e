//! Callers that know a kind only by its name: the command line, and what else speaks JSON.

use crate::{
    failure::failure_of,
    frames::{Frame, Frames, Origin},
    mesh::Mesh,
    pending::{Answer, Waiter},
    remote::{Asked, Granting, elapsed_ms, header, open, stream_queue, within},
    session::Session,
    shared::{Place, Shared},
    stream_out::StreamOut,
};
use bytes::Bytes;
use mesh_actor::{AskError, Meta};
use mesh_proto::{
    EncodeError, Failure,
    credit::Weight,
    decode_frame,
    frame::{Content, Control, MessageHeader, Outcome, ReplyHeader},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

mod stream;

pub(crate) use stream::Part;
pub use stream::{JsonItem, JsonStream};

pub(crate) async fn ask(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    body: &str,
    timeout: Duration,
) -> Result<String, Failure> {
    let here = mesh.shared().me.name.to_string();
    let deadline = Instant::now() + timeout;
    let request =
        Request { path, kind, payload: json(body), deadline: Some(deadline), is_tell: false, streams: false };
    let answered = ask_once(mesh, request, deadline).await.map_err(|error| failure_of(&error, &here))?;
    reply_of(answered.answer, &answered.unreachable, &here).map(|payload| text(&payload))
}

/// What came back, and the error that it stands for if nothing did.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) unreachable: AskError,
}

/// Asks with bytes, once. An answer may be a failure, or that the connection was lost.
///
/// # Errors
/// [`AskError`] when the message was not sent, or not answered in time.
pub(crate) async fn ask_once(
    mesh: &Mesh,
    request: Request<'_>,
    deadline: Instant,
) -> Result<Answered, AskError> {
    let started = Instant::now();
    let path = request.path;
    let (reply, replied) = oneshot::channel();
    let mut sent = send(mesh, request, Some(Waiter::Ask(reply)), deadline, deadline).await?;
    let waits = async { Ok(replied.await.unwrap_or(Answer::Lost)) };
    let answer = within(Some(deadline), waits, || late(path, started, deadline, true)).await?;
    sent.answered();
    Ok(Answered { answer, unreachable: sent.unreachable() })
}

fn json(body: &str) -> (Content, Bytes) {
    (Content::Json, Bytes::copy_from_slice(body.as_bytes()))
}

pub(crate) async fn tell(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    body: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let told = tell_once(mesh, path, kind, json(body), deadline, deadline).await;
    told.map_err(|error| failure_of(&error, &mesh.shared().me.name))
}

/// Sends bytes, waiting for the way until `deadline` and for room until `room_until`. A moment that has passed is no
/// wait at all.
///
/// # Errors
/// [`AskError`]; the message was not sent then.
pub(crate) async fn tell_once(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    payload: (Content, Bytes),
    deadline: Instant,
    room_until: Instant,
) -> Result<(), AskError> {
    let request = Request { path, kind, payload, deadline: None, is_tell: true, streams: true };
    send(mesh, request, None, deadline, room_until).await.map(drop)
}

pub(crate) async fn stream(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    body: &str,
    timeout: Duration,
) -> Result<JsonStream, Failure> {
    let deadline = Instant::now() + timeout;
    let request =
        Request { path, kind, payload: json(body), deadline: Some(deadline), is_tell: false, streams: true };
    open_stream(mesh, request, deadline).await
}

/// Asks for a stream with bytes, which are to be on their way until then.
///
/// # Errors
/// [`Failure`] when the message was not sent.
pub(crate) async fn open_stream(
    mesh: &Mesh,
    request: Request<'_>,
    until: Instant,
) -> Result<JsonStream, Failure> {
    let here = mesh.shared().me.name.to_string();
    let started = Instant::now();
    let (path, deadline) = (request.path, request.deadline);
    let (sender, answers) = mpsc::channel(stream_queue());
    let sent = send(mesh, request, Some(Waiter::Stream(sender)), until, until).await;
    let sent = sent.map_err(|error| failure_of(&error, &here))?;
    let granting = Granting::default();
    Ok(JsonStream { answers, sent, granting, deadline, started, path: path.to_owned(), here, is_over: false })
}

/// A message as bytes.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) payload: (Content, Bytes),
    pub(crate) deadline: Option<Instant>,
    pub(crate) is_tell: bool,
    pub(crate) streams: bool,
}

/// A message that was sent, until it is answered.
enum Sent {
    Tell,
    There { session: Arc<Session>, asked: Option<Asked> },
    Here(Box<AskedHere>),
}

struct AskedHere {
    shared: Arc<Shared>,
    correlation: u64,
    is_answered: bool,
}

impl Sent {
    fn answered(&mut self) {
        match self {
            Self::Tell => {}
            Self::There { asked, .. } => {
                if let Some(asked) = asked.take() {
                    asked.answered();
                }
            }
            Self::Here(asked) => asked.is_answered = true,
        }
    }

    fn grant(&self, granted: Weight) {
        match self {
            Self::There { session, asked: Some(asked) } => {
                session.control(&Control::StreamGrant { correlation: asked.correlation, granted });
            }
            Self::Here(asked) => {
                if let Some(stream) = asked.shared.running.lock().get(&asked.correlation) {
                    stream.on_grant(granted);
                }
            }
            Self::Tell | Self::There { .. } => {}
        }
    }

    fn unreachable(&self) -> AskError {
        match self {
            Self::There { session, .. } => session.unreachable(true),
            Self::Here(asked) => AskError::Stopped { path: asked.shared.me.name.to_string() },
            Self::Tell => AskError::Stopped { path: String::new() },
        }
    }
}

impl Drop for AskedHere {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.pending.take(self.correlation);
            if let Some(stream) = self.shared.running.lock().remove(&self.correlation) {
                stream.cancel.cancel();
            }
        }
    }
}

async fn send(
    mesh: &Mesh,
    request: Request<'_>,
    waiter: Option<Waiter>,
    until: Instant,
    room_until: Instant,
) -> Result<Sent, AskError> {
    let (content, payload) = request.payload;
    match mesh.shared().place_soon(request.path).await? {
        Place::There(session) => {
            session.may_send(content)?;
            let channel = session.channel(request.path);
            let unreachable = || session.unreachable(false);
            let streams = request.streams || request.is_tell;
            let opens = open(&channel, request.path, request.kind, streams);
            let kind = within(Some(until), opens, unreachable).await?;
            let asked = waiter.map(|waiter| Asked::new(&session, waiter)).transpose()?;
            let meta = Meta { deadline: request.deadline, ..Meta::default() };
            let header = MessageHeader {
                correlation: asked.as_ref().map_or(0, |asked| asked.correlation),
                ..header(&channel, kind, content, &meta, Instant::now)
            };
            let full = || {
                channel
                    .terms()
                    .map_or_else(|| session.unreachable(false), |terms| channel.mailbox_full(&terms))
            };
            within(Some(room_until), channel.send(header, payload), full).await?;
            Ok(if request.is_tell { Sent::Tell } else { Sent::There { session, asked } })
        }
        Place::Here(port) => {
            let kinds = port.kinds();
            let Some(kind) = kinds.iter().position(|kind| kind.name == request.kind) else {
                let known = kinds.into_iter().map(|kind| kind.name).collect();
                let (path, kind) = (request.path.to_owned(), request.kind.to_owned());
                return Err(AskError::UnknownKind { path, kind, known });
            };
            let shared = Arc::clone(mesh.shared());
            let asked = match waiter {
                Some(waiter) => {
                    let closed = |_| AskError::NotRunning { path: request.path.to_owned() };
                    let correlation = shared.pending.insert(waiter).map_err(closed)?;
                    Some(AskedHere { shared: Arc::clone(&shared), correlation, is_answered: false })
                }
                None => None,
            };
            let header = MessageHeader {
                channel: 0,
                kind: u16::try_from(kind).unwrap_or(u16::MAX),
                content,
                correlation: asked.as_ref().map_or(0, |asked| asked.correlation),
                sender: 0,
                budget_ms: crate::channel::budget_ms(request.deadline, Instant::now),
                body: None,
            };
            let path: Arc<str> = shared.full_path(request.path).into();
            let mut frames = Frames::new(Arc::new(Here { shared }), path, None);
            frames.push(Frame::owned(&header, payload, port.capacity(), Instant::now()));
            let delivers = Arc::clone(&port).deliver(frames);
            within(Some(room_until), delivers, || port.full_error()).await?;
            Ok(asked.map_or(Sent::Tell, |asked| Sent::Here(Box::new(asked))))
        }
    }
}

/// Dynamic callers in this process, as an origin of messages.
struct Here {
    shared: Arc<Shared>,
}

impl Origin for Here {
    fn node(&self) -> Option<&Arc<str>> {
        None
    }

    fn answer(
        &self,
        header: ReplyHeader,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut payload = Vec::new();
        write(&mut payload)?;
        let answer =
            Answer::Frame { outcome: header.outcome, content: header.content, payload: payload.into() };
        if header.outcome == Outcome::Item {
            self.shared.pending.with(header.correlation, |waiter| {
                if let Waiter::Stream(reader) = waiter {
                    drop(reader.try_send(answer));
                }
            });
            return Ok(());
        }
        match self.shared.pending.take(header.correlation) {
            Some(Waiter::Ask(asker)) => drop(asker.send(answer)),
            Some(Waiter::Stream(reader)) => drop(reader.try_send(answer)),
            Some(Waiter::Relay { .. }) | None => {}
        }
        Ok(())
    }

    fn begin(&self, correlation: u64, stream: Arc<StreamOut>) {
        self.shared.running.lock().insert(correlation, Arc::clone(&stream));
        // The asker may have gone while its message waited in the mailbox.
        if self.shared.pending.with(correlation, |_| ()).is_none() {
            self.end(correlation);
            stream.cancel.cancel();
        }
    }

    fn end(&self, correlation: u64) {
        self.shared.running.lock().remove(&correlation);
    }

    fn here(&self) -> &str {
        &self.shared.me.name
    }
}

fn late(path: &str, started: Instant, deadline: Instant, may_have_run: bool) -> AskError {
    let budget_ms = elapsed_ms(started, Some(deadline));
    AskError::DeadlineExceeded { path: path.to_owned(), budget_ms, may_have_run }
}

fn reply_of(answer: Answer, lost: &AskError, here: &str) -> Result<Bytes, Failure> {
    match answer {
        Answer::Frame { outcome: Outcome::Failure, payload, .. } => Err(decode_frame(&payload)
            .unwrap_or_else(|error| {
                let error = AskError::BadMessage {
                    path: String::new(),
                    kind: "reply".to_owned(),
                    reason: error.to_string(),
                };
                failure_of(&error, here)
            })),
        Answer::Frame { payload, .. } => Ok(payload),
        Answer::Lost | Answer::Late => Err(failure_of(lost, here)),
    }
}

fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
