//! Streams from a path.

use super::{Asked, Remote, Route, Way, elapsed_ms, encoded, header, is_expired, reply_from, within};
use crate::{
    channel::Channel,
    dedup::MessageId,
    mesh::Mesh,
    pending::{Answer, Waiter},
    stream_in::{Reading, StreamIn},
    ticket::Ticket,
    wire::WireMessage,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use mesh_actor::{
    AskError, CONFIRM_TIMEOUT, Cancel, Deliver, Items, Meta, Open, ReplyStream, Streaming, TellError,
    TryTellError,
};
use mesh_proto::{
    ActorPath, InvalidPath, decode_payload,
    frame::{Content, Features, MessageHeader, Outcome},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

impl<M> Deliver<Open<M>> for Remote<Open<M>>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    fn path(&self) -> String {
        self.route.path.to_string()
    }

    // The items of a stream have to be read: it is always asked for, never told.
    fn try_tell(&self, message: Open<M>, _: &Meta) -> Result<(), TryTellError<Open<M>>> {
        Err(TryTellError::Full { message, len: 0, capacity: 0 })
    }

    fn tell(&self, message: Open<M>, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let asks = self.ask(message, meta);
        Box::pin(async move { asks.await.map(drop) })
    }

    fn ask(&self, open: Open<M>, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let route = Arc::clone(&self.route);
        Box::pin(async move {
            let started = Instant::now();
            let deadline = meta.deadline;
            let late = |may_have_run| AskError::DeadlineExceeded {
                path: route.path.to_string(),
                budget_ms: elapsed_ms(started, deadline),
                may_have_run,
            };
            if is_expired(deadline) {
                return Err(late(false));
            }
            let way = within(deadline, route.way::<Open<M>>(M::KIND, true), || late(false)).await?;
            let (channel, kind) = match way {
                Way::Here(recipient) => {
                    let ask = recipient.ask(open).deadline(deadline);
                    let Some(unwanted) = meta.cancel else { return ask.await };
                    return ask.cancel_on(unwanted).await;
                }
                Way::There(channel, kind) => (channel, kind),
            };
            let unwanted = meta.cancel.clone().unwrap_or_default();
            let (items, message) = (open.items, open.message);
            let payload = encoded(&route.path, &message)?;
            drop(message);
            let sends = begin(&route, &channel, kind, &meta, M::KIND, payload);
            let sends = within(deadline, sends, || route.unsent());
            let (reading, answers) = tokio::select! {
                sent = sends => sent?,
                () = unwanted.cancelled() => return Err(AskError::Cancelled { path: route.path.to_string() }),
            };
            let path = route.path.to_string();
            within(deadline, read::<M>(reading, answers, &items, &path, unwanted), || late(true)).await
        })
    }
}

/// Sends the message that a stream answers: with an id of the stream, if the actor's node keeps streams.
async fn begin(
    route: &Arc<Route>,
    channel: &Arc<Channel>,
    kind: u16,
    meta: &Meta,
    name: &str,
    payload: Bytes,
) -> Result<(Reading, mpsc::Receiver<Answer>), AskError> {
    let session = channel.session();
    let (stream, answers) = StreamIn::new();
    let asked = Asked::new(session, Waiter::Stream(Arc::clone(&stream)))?;
    let correlation = asked.correlation;
    let Named { content, payload, ticket } = name_stream(channel, name, payload, Content::Bincode);
    let header = header(channel, kind, content, meta, Instant::now).ok_or_else(|| route.unsent())?;
    channel.send(MessageHeader { correlation, ..header }, payload, meta.deadline).await?;
    stream.linked(session, channel.number(), correlation);
    if let Some(ticket) = ticket {
        let deadline = meta.deadline.unwrap_or_else(|| Instant::now() + FOREVER);
        stream.can_return(route.mesh.shared(), ticket, deadline);
    }
    asked.answered();
    Ok((Reading { stream }, answers))
}

/// A stream without a deadline: 1 day.
const FOREVER: Duration = Duration::from_secs(86_400);

/// The message of a stream, under an id if the actor's node takes one.
pub(crate) struct Named {
    pub(crate) content: Content,
    pub(crate) payload: Bytes,
    pub(crate) ticket: Option<Ticket>,
}

/// Puts a new id before the message of a stream, if the peer keeps streams.
pub(crate) fn name_stream(channel: &Channel, kind: &str, payload: Bytes, content: Content) -> Named {
    let (peer, terms) = (channel.session().peer(), channel.terms());
    let keeps = peer.knows(Features::REATTACHES);
    let Some(terms) = terms.filter(|_| keeps) else {
        return Named { content, payload, ticket: None };
    };
    let id = MessageId::new(uuid::Uuid::new_v4().as_u128());
    let mut named = BytesMut::with_capacity(MessageId::BYTES + payload.len());
    named.put_slice(&id.to_bytes());
    named.put_slice(&payload);
    let content = if content == Content::Json { Content::JsonWithId } else { Content::BincodeWithId };
    // A bare name may lead to another actor later; the peer's own name does not, unless the peer only relays.
    let is_owner = terms.actor.node == peer.id;
    let path = match channel.path() {
        name if is_owner && !name.contains('/') => format!("{}/{name}", peer.name),
        path => path.to_owned(),
    };
    let ticket = Ticket { stream: id.bits(), actor: terms.actor, kind: kind.to_owned(), path };
    Named { content, payload: named.freeze(), ticket: Some(ticket) }
}

/// Goes on with a stream behind its item `after`.
pub(crate) fn attach<M>(
    mesh: &Mesh,
    ticket: Ticket,
    after: u64,
    limit: Duration,
) -> Result<ReplyStream<M>, AskError>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    let bad = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
    let path = ticket.path.parse::<ActorPath>().map_err(bad)?.to_string();
    if ticket.kind != M::KIND {
        return Err(AskError::UnknownKind { path, kind: M::KIND.to_owned(), known: vec![ticket.kind] });
    }
    let deadline = Instant::now() + limit;
    let (stream, answers) = StreamIn::resume(mesh.shared(), ticket, after, deadline);
    let reading = Reading { stream };
    Ok(ReplyStream::going_on(after, |items, unwanted| {
        Box::pin(async move {
            let late = || AskError::DeadlineExceeded {
                path: path.clone(),
                budget_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
                may_have_run: true,
            };
            within(Some(deadline), read::<M>(reading, answers, &items, &path, unwanted), late).await
        })
    }))
}

/// Hands the items on as the reader has room, and says when it is done with them; brings the reply.
async fn read<M>(
    reading: Reading,
    mut answers: mpsc::Receiver<Answer>,
    items: &Items<M::Item>,
    path: &str,
    unwanted: Cancel,
) -> Result<M::Reply, AskError>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    let stream = &reading.stream;
    if let Some(ticket) = stream.ticket() {
        items.set_ticket(&ticket.to_string());
    }
    // Items that the reader has not come back from, and the next one, which it has no room for.
    let (mut unread, mut next) = (VecDeque::new(), None);
    let mut done = 0;
    let end = loop {
        tokio::select! {
            biased;
            () = unwanted.cancelled() => {
                stream.withdraw();
                return ended(&mut answers, path).await;
            }
            () = items.detached(), if stream.ticket().is_some() => {
                stream.detach();
                return ended(&mut answers, path).await;
            }
            now = items.done_with_more_than(done) => {
                while done < now && let Some(bytes) = unread.pop_front() {
                    stream.read(bytes);
                    done += 1;
                }
            }
            answer = answers.recv(), if next.is_none() => match answer.unwrap_or(Answer::Lost) {
                Answer::Frame { outcome: Outcome::Item, payload, .. } => {
                    next = Some(item_of::<M>(&payload, path)?);
                    unread.push_back(payload.len());
                }
                end => break end,
            },
            room = items.room(), if next.is_some() => {
                let sent = room.is_ok() && next.take().is_some_and(|item| items.try_send(item).is_ok());
                if !sent {
                    return Err(AskError::Cancelled { path: path.to_owned() });
                }
            }
        }
    };
    if stream.ticket().is_some() {
        // Until then it is kept: a reader that breaks down now comes back for what it has not had.
        let all = done + unread.len() as u64;
        while done < all {
            done = items.done_with_more_than(done).await;
        }
        stream.release();
    }
    reply_of(end, path)
}

fn item_of<M>(payload: &[u8], path: &str) -> Result<M::Item, AskError>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    let unreadable = |reason| AskError::BadMessage { path: path.to_owned(), kind: "item".to_owned(), reason };
    decode_payload(payload).map_err(|error| unreadable(error.to_string()))
}

/// Waits for the end of a stream that is not read any more.
async fn ended<R: DeserializeOwned>(answers: &mut mpsc::Receiver<Answer>, path: &str) -> Result<R, AskError> {
    let ends = async {
        loop {
            match answers.recv().await.unwrap_or(Answer::Lost) {
                Answer::Frame { outcome: Outcome::Item, .. } => {}
                end => return end,
            }
        }
    };
    match timeout(CONFIRM_TIMEOUT, ends).await {
        Ok(end) => reply_of(end, path),
        Err(_elapsed) => Err(AskError::Unconfirmed { path: path.to_owned() }),
    }
}

fn reply_of<R: DeserializeOwned>(end: Answer, path: &str) -> Result<R, AskError> {
    if matches!(end, Answer::Lost | Answer::Late) {
        let node = path.split_once('/').map_or(path, |(node, _)| node).to_owned();
        return Err(AskError::Unreachable { node, may_have_run: true });
    }
    reply_from(end, path)
}
