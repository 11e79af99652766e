//! Callers that know a kind only by its name: the command line, and what else speaks JSON.

use crate::{
    failure::failure_of,
    frames::{Frame, Frames, Origin},
    mesh::Mesh,
    pending::{Answer, Waiter},
    remote::{Asked, Named, elapsed_ms, header, name_stream, open, within},
    session::Session,
    shared::{Place, Shared},
    stream_in::{Reading, StreamIn},
    stream_out::{STREAM_WINDOW, StreamOut},
    ticket::{InvalidTicket, Ticket},
};
use bytes::Bytes;
use mesh_actor::{AskError, CONFIRM_TIMEOUT, Meta};
use mesh_proto::{
    EncodeError, Failure,
    credit::Weight,
    decode_frame,
    frame::{Content, MessageHeader, Outcome, ReplyHeader},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

/// One part of a stream's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonItem {
    /// An item; more may follow.
    Item(String),
    /// The reply at the end.
    Reply(String),
}

/// A stream of JSON. Dropping it withdraws the ask.
///
/// It outlives the loss of a connection as [`ReplyStream`](crate::ReplyStream) does: each item comes once, in order.
pub struct JsonStream {
    answers: mpsc::Receiver<Answer>,
    sent: Sent,
    /// The length of the last item, until the reader comes for the next one.
    unsaid: Option<usize>,
    seq: u64,
    deadline: Instant,
    started: Instant,
    path: String,
    here: String,
    is_over: bool,
}

impl JsonStream {
    /// The next part; `None` after the reply or a failure.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing that came is lost.
    pub async fn next(&mut self) -> Option<Result<JsonItem, Failure>> {
        if self.is_over {
            return None;
        }
        if let Some(bytes) = self.unsaid.take() {
            self.sent.read(bytes);
        }
        let waits = async { Ok(self.answers.recv().await.unwrap_or(Answer::Lost)) };
        let late = || late(&self.path, self.started, self.deadline, true);
        let answer = match within(Some(self.deadline), waits, late).await {
            Ok(answer) => answer,
            Err(error) => {
                self.is_over = true;
                return Some(Err(failure_of(&error, &self.here)));
            }
        };
        if let Answer::Frame { outcome: Outcome::Item, payload, .. } = &answer {
            self.unsaid = Some(payload.len());
            self.seq += 1;
            return Some(Ok(JsonItem::Item(text(payload))));
        }
        self.is_over = true;
        self.sent.answered();
        Some(json_of(answer, &self.sent.unreachable(), &self.here).map(JsonItem::Reply))
    }

    /// The number of the last item that was read, from 1; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The name under which another reader finds the stream again ([`Mesh::attach_json`](crate::Mesh::attach_json)). None
    /// for a stream of this process, or of a node that keeps none.
    #[must_use]
    pub fn ticket(&self) -> Option<String> {
        self.sent.stream().and_then(StreamIn::ticket).map(ToString::to_string)
    }

    /// Leaves the stream without withdrawing it, and waits until its node keeps it for who comes with the ticket; at most
    /// [`CONFIRM_TIMEOUT`]. None as of [`ticket`](Self::ticket), and then it is withdrawn.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it may leave the stream withdrawn.
    pub async fn detach(mut self) -> Option<String> {
        let ticket = self.ticket()?;
        self.sent.stream()?.detach();
        let ends = async { while matches!(self.answers.recv().await, Some(answer) if answer.is_item()) {} };
        let _ = timeout(CONFIRM_TIMEOUT, ends).await;
        Some(ticket)
    }
}

impl fmt::Debug for JsonStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonStream").field("path", &self.path).finish_non_exhaustive()
    }
}

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
    json_of(answered.answer, &answered.unreachable, &here)
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
    let mut sent = send(mesh, request, Some(Waiter::Ask(reply)), deadline).await?;
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
    let request = Request { path, kind, payload: json(body), deadline: None, is_tell: true, streams: true };
    let sent = send(mesh, request, None, deadline).await;
    sent.map(drop).map_err(|error| failure_of(&error, &mesh.shared().me.name))
}

pub(crate) async fn stream(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    body: &str,
    timeout: Duration,
) -> Result<JsonStream, Failure> {
    let here = mesh.shared().me.name.to_string();
    let started = Instant::now();
    let deadline = started + timeout;
    let (incoming, answers) = StreamIn::new();
    let request =
        Request { path, kind, payload: json(body), deadline: Some(deadline), is_tell: false, streams: true };
    let sent = send(mesh, request, Some(Waiter::Stream(incoming)), deadline).await;
    let sent = sent.map_err(|error| failure_of(&error, &here))?;
    let path = path.to_owned();
    Ok(JsonStream { answers, sent, unsaid: None, seq: 0, deadline, started, path, here, is_over: false })
}

/// Goes on with a stream behind its item `after`.
///
/// # Errors
/// [`Failure`] when that is no ticket. Other obstacles come as the stream's end.
pub(crate) fn attach(
    mesh: &Mesh,
    ticket: &str,
    after: u64,
    timeout: Duration,
) -> Result<JsonStream, Failure> {
    let here = mesh.shared().me.name.to_string();
    let bad = |error: InvalidTicket| failure_of(&error.into(), &here);
    let ticket: Ticket = ticket.parse().map_err(bad)?;
    let started = Instant::now();
    let (deadline, path) = (started + timeout, ticket.path.clone());
    let (stream, answers) = StreamIn::resume(mesh.shared(), ticket, after, deadline);
    let sent = Sent::Stream(Reading { stream });
    Ok(JsonStream { answers, sent, unsaid: None, seq: after, deadline, started, path, here, is_over: false })
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
    Stream(Reading),
    Here(Box<AskedHere>),
}

struct AskedHere {
    shared: Arc<Shared>,
    correlation: u64,
    granting: Granting,
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
            Self::Stream(reading) => reading.stream.release(),
            Self::Here(asked) => asked.is_answered = true,
        }
    }

    fn stream(&self) -> Option<&StreamIn> {
        match self {
            Self::Stream(reading) => Some(&reading.stream),
            Self::Tell | Self::There { .. } | Self::Here(_) => None,
        }
    }

    /// The reader is done with an item of `bytes`.
    fn read(&mut self, bytes: usize) {
        match self {
            Self::Stream(reading) => reading.stream.read(bytes),
            Self::Here(asked) => {
                let Some(granted) = asked.granting.read(bytes) else { return };
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
            Self::Stream(reading) => reading.stream.unreachable(),
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
) -> Result<Sent, AskError> {
    let (content, payload) = request.payload;
    match mesh.shared().place_soon(request.path).await? {
        Place::There(session) => {
            let channel = session.channel(request.path);
            let unreachable = || session.unreachable(false);
            let streams = request.streams || request.is_tell;
            let opens = open(&channel, request.path, request.kind, streams);
            let kind = within(Some(until), opens, unreachable).await?;
            let stream = waiter.as_ref().and_then(Waiter::stream).cloned();
            let asked = waiter.map(|waiter| Asked::new(&session, waiter)).transpose()?;
            let Named { content, payload, ticket } = if stream.is_some() {
                name_stream(&channel, request.kind, payload, content)
            } else {
                Named { content, payload, ticket: None }
            };
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
            within(Some(until), channel.send(header, payload), full).await?;
            let (stream, asked) = match (stream, asked) {
                (Some(stream), Some(asked)) => (stream, asked),
                (_, None) => return Ok(Sent::Tell),
                (None, asked) => return Ok(Sent::There { session, asked }),
            };
            stream.linked(&session, channel.number(), asked.correlation);
            asked.answered();
            if let Some(ticket) = ticket {
                stream.can_return(mesh.shared(), ticket, until);
            }
            Ok(Sent::Stream(Reading { stream }))
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
                    Some(AskedHere {
                        shared: Arc::clone(&shared),
                        correlation,
                        granting: Granting::default(),
                        is_answered: false,
                    })
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
            within(Some(until), delivers, || port.full_error()).await?;
            Ok(asked.map_or(Sent::Tell, |asked| Sent::Here(Box::new(asked))))
        }
    }
}

/// Room that a reader in this process keeps granting as it reads: a quarter of the window at a time.
#[derive(Debug, Default)]
struct Granting {
    read: Weight,
    granted: Weight,
}

impl Granting {
    /// An item of `bytes` was read; answers the sum of grants when it is time to say it.
    fn read(&mut self, bytes: usize) -> Option<Weight> {
        self.read = self.read.plus(Weight { messages: 1, bytes: bytes as u64 });
        let unsaid = self.read.minus(self.granted);
        let is_due = unsaid.messages >= STREAM_WINDOW.messages / 4 || unsaid.bytes >= STREAM_WINDOW.bytes / 4;
        is_due.then(|| {
            self.granted = self.read;
            self.read.plus(STREAM_WINDOW)
        })
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
                if let Waiter::Stream(stream) = waiter {
                    stream.on_item(answer);
                }
            });
            return Ok(());
        }
        match self.shared.pending.take(header.correlation) {
            Some(Waiter::Ask(asker)) => drop(asker.send(answer)),
            Some(Waiter::Stream(stream)) => stream.on_end(answer),
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

    fn is_withdrawn(&self, correlation: u64) -> bool {
        self.shared.pending.with(correlation, |_| ()).is_none()
    }

    fn here(&self) -> &str {
        &self.shared.me.name
    }
}

fn late(path: &str, started: Instant, deadline: Instant, may_have_run: bool) -> AskError {
    let budget_ms = elapsed_ms(started, Some(deadline));
    AskError::DeadlineExceeded { path: path.to_owned(), budget_ms, may_have_run }
}

fn json_of(answer: Answer, lost: &AskError, here: &str) -> Result<String, Failure> {
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
        Answer::Frame { payload, .. } => Ok(text(&payload)),
        Answer::Lost | Answer::Late => Err(failure_of(lost, here)),
    }
}

fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
