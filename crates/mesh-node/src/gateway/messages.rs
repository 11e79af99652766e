//! Messages to actors, and what is published.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures::stream::{self, Stream, StreamExt};
use mesh::{Failure, Following, JsonItem, JsonStream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::{Api, timeout};
use super::refusal::{Answer, Refusal};
use super::sse::{self, Event};
use crate::ctl::{Document, inner};

const TIMEOUT_MS: u64 = 5_000;
const STREAM_MS: u64 = 300_000;

pub(super) fn routes() -> ApiRouter<Api> {
    ApiRouter::new()
        .api_route("/ask", post_with(ask, |op| op.summary("Send a message and wait for the reply").tag("messages")))
        .api_route("/tell", post_with(tell, |op| op.summary("Send a message once there is room for it").tag("messages")))
        .api_route("/publish", post_with(publish, |op| op.summary("Tell a message to all who have subscribed to a topic").tag("messages")))
        .api_route("/stream", post_with(open, |op| op.summary("Send a message; the answers come as server-sent events: `open` with a ticket, `item`s with their number, `reply`, or `error`").tag("messages")))
        .api_route("/streams/{ticket}", get_with(attach, |op| op.summary("Go on with a stream that was cut off").tag("messages")))
        .api_route("/topics/{*topic}", get_with(follow, |op| op.summary("What is published on a topic, as server-sent events, until the reader goes").tag("messages")))
}

/// A message to an actor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Letter {
    /// The actor: NODE/ACTOR, or a published name.
    to: String,
    /// The kind of message, as `lab.echo.v1`.
    kind: String,
    /// The message.
    #[serde(default)]
    message: Value,
    /// How long it may take, with everything: 1 to 3,600,000; 5,000 by default, and 300,000 for a stream.
    timeout_ms: Option<u64>,
}

/// A message on a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Circular {
    /// The topic.
    topic: String,
    /// The kind of message.
    kind: String,
    /// The message.
    #[serde(default)]
    message: Value,
    /// How long it may wait for room, at all subscribers at once: 1 to 3,600,000; 5,000 by default.
    timeout_ms: Option<u64>,
}

/// What an actor answered.
#[derive(Debug, Serialize, JsonSchema)]
struct Reply {
    /// The answer.
    reply: Value,
}

/// That a message is in the actor's mailbox.
#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    /// Always true.
    told: bool,
}

/// What became of a message at each subscriber.
#[derive(Debug, Serialize, JsonSchema)]
struct Deliveries {
    deliveries: Vec<DeliveryRow>,
}

/// What became of a message at one subscriber.
#[derive(Debug, Serialize, JsonSchema)]
struct DeliveryRow {
    /// The subscriber.
    to: String,
    /// Why it was not delivered; none if it was.
    error: Option<Document>,
}

/// A stream that was cut off.
#[derive(Debug, Deserialize, JsonSchema)]
struct Ticket {
    /// What the event `open` gave.
    ticket: String,
}

/// From where on a stream is read.
#[derive(Debug, Deserialize, JsonSchema)]
struct After {
    /// The number of the last item that was read; 0 for none.
    #[serde(default)]
    after: u64,
    /// How long it may take.
    timeout_ms: Option<u64>,
}

/// A topic.
#[derive(Debug, Deserialize, JsonSchema)]
struct Topic {
    /// Its name.
    topic: String,
}

/// Which messages of a topic are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
struct OfKind {
    /// Only those of this kind.
    kind: Option<String>,
}

async fn ask(State(api): State<Api>, Json(letter): Json<Letter>) -> Answer<Reply> {
    let timeout = timeout(letter.timeout_ms, TIMEOUT_MS)?;
    let reply = api.mesh().ask_json(&letter.to, &letter.kind, &letter.message.to_string(), timeout).await?;
    Ok(Json(Reply { reply: value(&inner(reply)?) }))
}

async fn tell(State(api): State<Api>, Json(letter): Json<Letter>) -> Answer<Told> {
    let timeout = timeout(letter.timeout_ms, TIMEOUT_MS)?;
    api.mesh().tell_json(&letter.to, &letter.kind, &letter.message.to_string(), timeout).await?;
    Ok(Json(Told { told: true }))
}

async fn publish(State(api): State<Api>, Json(circular): Json<Circular>) -> Answer<Deliveries> {
    let Circular { topic, kind, message, timeout_ms } = circular;
    let timeout = timeout(timeout_ms, TIMEOUT_MS)?;
    let rows = api.mesh().publish_json(&topic, &kind, &message.to_string(), timeout).await?;
    let row = |row: mesh::Delivery<(), Failure>| DeliveryRow {
        to: row.to,
        error: row.result.err().map(Document::from),
    };
    Ok(Json(Deliveries { deliveries: rows.into_iter().map(row).collect() }))
}

async fn open(State(api): State<Api>, Json(letter): Json<Letter>) -> Result<Response, Refusal> {
    let timeout = timeout(letter.timeout_ms, STREAM_MS)?;
    let body = letter.message.to_string();
    let items = api.mesh().stream_json(&letter.to, &letter.kind, &body, timeout).await?;
    let ticket = serde_json::json!({ "ticket": items.ticket() }).to_string();
    Ok(sse::response(stream::iter([Event::new("open", ticket)]).chain(events(items))))
}

async fn attach(
    State(api): State<Api>,
    Path(Ticket { ticket }): Path<Ticket>,
    Query(from): Query<After>,
) -> Result<Response, Refusal> {
    let timeout = timeout(from.timeout_ms, STREAM_MS)?;
    Ok(sse::response(events(api.mesh().attach_json(&ticket, from.after, timeout)?)))
}

async fn follow(
    State(api): State<Api>,
    Path(Topic { topic }): Path<Topic>,
    Query(OfKind { kind }): Query<OfKind>,
) -> Result<Response, Refusal> {
    let following = api.mesh().follow(&topic, kind.as_deref()).await?;
    Ok(sse::response(published(following)))
}

/// Items are taken from the actor as fast as the reader takes them from here: nothing is kept between the two.
fn events(items: JsonStream) -> impl Stream<Item = Event> + Send {
    stream::unfold(items, |mut items| async move {
        let event = match items.next().await? {
            Ok(JsonItem::Item(item)) => Event::new("item", item).numbered(items.seq()),
            Ok(JsonItem::Reply(reply)) => match inner(reply) {
                Ok(reply) => Event::new("reply", reply),
                Err(error) => Event::new("error", Refusal::from(error).line()),
            },
            Err(failure) => Event::new("error", Refusal::from(failure).line()),
        };
        Some((event, items))
    })
}

fn published(following: Following) -> impl Stream<Item = Event> + Send {
    stream::unfold(following, |mut following| async move {
        let event = match following.next().await? {
            Ok(message) => {
                let body = value(&message.body);
                let text =
                    serde_json::json!({ "topic": message.topic, "kind": message.kind, "message": body });
                Event::new("message", text.to_string())
            }
            Err(failure) => Event::new("error", Refusal::from(failure).line()),
        };
        Some((event, following))
    })
}

/// A reply, which a program of this mesh may have made of something else than JSON: then it is shown as a text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
