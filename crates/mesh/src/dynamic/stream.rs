//! Streams for callers that know a kind only by its name.

use super::{Request, Sent, json, late, reply_of, send, text};
use crate::{
    failure::failure_of,
    mesh::Mesh,
    pending::{Answer, Waiter},
    remote::within,
    stream_in::{Reading, StreamIn},
    ticket::{InvalidTicket, Ticket},
};
use bytes::Bytes;
use mesh_actor::CONFIRM_TIMEOUT;
use mesh_proto::{Failure, frame::Outcome};
use std::{fmt, time::Duration};
use tokio::{
    sync::mpsc,
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
    deadline: Option<Instant>,
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
        Some(self.next_part().await?.map(|part| match part {
            Part::Item(payload) => JsonItem::Item(text(&payload)),
            Part::Reply(payload) => JsonItem::Reply(text(&payload)),
        }))
    }

    /// As [`next`](Self::next), as it came.
    pub(crate) async fn next_part(&mut self) -> Option<Result<Part, Failure>> {
        if self.is_over {
            return None;
        }
        if let Some(bytes) = self.unsaid.take() {
            self.sent.read(bytes);
        }
        let waits = async { Ok(self.answers.recv().await.unwrap_or(Answer::Lost)) };
        let deadline = self.deadline;
        let late = || late(&self.path, self.started, deadline.unwrap_or(self.started), true);
        let answer = match within(deadline, waits, late).await {
            Ok(answer) => answer,
            Err(error) => {
                self.is_over = true;
                return Some(Err(failure_of(&error, &self.here)));
            }
        };
        if let Answer::Frame { outcome: Outcome::Item, payload, .. } = &answer {
            self.unsaid = Some(payload.len());
            self.seq += 1;
            return Some(Ok(Part::Item(payload.clone())));
        }
        self.is_over = true;
        self.sent.answered();
        Some(reply_of(answer, &self.sent.unreachable(), &self.here).map(Part::Reply))
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

/// One part of a stream's answer, as bytes.
pub(crate) enum Part {
    Item(Bytes),
    Reply(Bytes),
}

impl fmt::Debug for JsonStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonStream").field("path", &self.path).finish_non_exhaustive()
    }
}

pub(crate) async fn stream(
    mesh: &Mesh,
    path: &str,
    kind: &str,
    body: &str,
    limit: Duration,
) -> Result<JsonStream, Failure> {
    let deadline = Instant::now() + limit;
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
    let (path, deadline) = (request.path.to_owned(), request.deadline);
    let (incoming, answers) = StreamIn::new();
    let sent = send(mesh, request, Some(Waiter::Stream(incoming)), until, until).await;
    let sent = sent.map_err(|error| failure_of(&error, &here))?;
    Ok(JsonStream { answers, sent, unsaid: None, seq: 0, deadline, started, path, here, is_over: false })
}

/// Goes on with a stream behind its item `after`.
///
/// # Errors
/// [`Failure`] when that is no ticket. Other obstacles come as the stream's end.
pub(crate) fn attach(mesh: &Mesh, ticket: &str, after: u64, limit: Duration) -> Result<JsonStream, Failure> {
    let here = mesh.shared().me.name.to_string();
    let bad = |error: InvalidTicket| failure_of(&error.into(), &here);
    let ticket: Ticket = ticket.parse().map_err(bad)?;
    let started = Instant::now();
    let (deadline, path) = (started + limit, ticket.path.clone());
    let (stream, answers) = StreamIn::resume(mesh.shared(), ticket, after, deadline);
    let sent = Sent::Stream(Reading { stream });
    let deadline = Some(deadline);
    Ok(JsonStream { answers, sent, unsaid: None, seq: after, deadline, started, path, here, is_over: false })
}
