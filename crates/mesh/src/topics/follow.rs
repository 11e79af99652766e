//! Following a topic, as a stream.

use super::bad;
use crate::{
    dynamic::{JsonStream, Part, Request, open_stream},
    failure::{bad_message, failure_of},
    mesh::Mesh,
    wire::WireMessage,
};
use bytes::Bytes;
use mesh_actor::{AskError, Message};
use mesh_proto::{Failure, check_topic, decode_payload, encode_payload_to_vec, frame::Content};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long the node may take to begin: 5 s.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A message that was published, in an envelope: for subscribers that do not know its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// The topic.
    pub topic: String,
    /// The kind of the message.
    pub kind: String,
    /// The message, a text of JSON.
    pub body: String,
}

impl Message for Published {
    type Reply = ();
}

impl WireMessage for Published {
    const KIND: &'static str = "mesh.published.v1";
}

/// Asks `NODE/topics/TOPIC` for a stream of what is published.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Follow {
    /// The kind that is meant; none for all.
    #[serde(default)]
    pub(super) kind: Option<String>,
}

/// What is asked for of `NODE/topics/TOPIC`.
pub(super) const FOLLOW: &str = "mesh.follow.v1";

/// An item of the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Followed {
    /// The first one: from now on.
    Begun {
        /// Who is subscribed in place of the reader.
        path: String,
    },
    /// What was published.
    Published(Published),
}

/// What is published on a topic, as it comes: see [`Mesh::follow`]. Dropping it ends the subscription.
pub struct Following {
    stream: JsonStream,
    path: String,
    here: String,
}

impl Following {
    /// The actor that the node has subscribed for this reader: `NODE/taps/TOPIC/NUMBER`. It stands so in the rows of who publishes.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next message; `None` when the node has ended the stream, because it leaves.
    ///
    /// # Errors
    /// [`Failure`] once, `UNREACHABLE` when the connection to the node is lost; then `None`.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing that came is lost.
    pub async fn next(&mut self) -> Option<Result<Published, Failure>> {
        loop {
            match self.next_item().await? {
                Ok(Followed::Begun { .. }) => {}
                Ok(Followed::Published(published)) => return Some(Ok(published)),
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    async fn next_item(&mut self) -> Option<Result<Followed, Failure>> {
        match self.stream.next_part().await? {
            Ok(Part::Item(payload)) => Some(
                decode_payload(&payload)
                    .map_err(|error| bad_message(&self.path, "item", error.to_string(), &self.here)),
            ),
            Ok(Part::Reply(_)) => None,
            Err(failure) => Some(Err(failure)),
        }
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("path", &self.path).finish_non_exhaustive()
    }
}

pub(super) async fn follow(mesh: &Mesh, topic: &str, kind: Option<&str>) -> Result<Following, Failure> {
    let here = mesh.shared().me.name.to_string();
    check_topic(topic).map_err(|reason| failure_of(&bad(topic, FOLLOW, &reason), &here))?;
    let path = super::port::path_of(&mesh.node_name(), topic);
    let until = Instant::now() + BEGIN_TIMEOUT;
    let payload = encode_payload_to_vec(&Follow { kind: kind.map(str::to_owned) });
    let payload = Bytes::from(payload.expect("a struct of texts has bytes"));
    let request = Request {
        path: &path,
        kind: FOLLOW,
        payload: (Content::Bincode, payload),
        // It ends with its reader. A node that is lost is noticed by its connection.
        deadline: None,
        is_tell: false,
        streams: true,
    };
    let stream = open_stream(mesh, request, until).await?;
    let mut following = Following { stream, path, here };
    let late = || AskError::DeadlineExceeded {
        path: following_path(mesh, topic),
        budget_ms: u64::try_from(BEGIN_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        may_have_run: true,
    };
    match timeout_at(until, following.next_item()).await {
        Ok(Some(Ok(Followed::Begun { path }))) => following.path = path,
        Ok(Some(Err(failure))) => return Err(failure),
        Ok(_) => {
            let reason = "it did not begin as a stream of a topic".to_owned();
            return Err(bad_message(&following.path, FOLLOW, reason, &following.here));
        }
        Err(_elapsed) => return Err(failure_of(&late(), &following.here)),
    }
    Ok(following)
}

fn following_path(mesh: &Mesh, topic: &str) -> String {
    super::port::path_of(&mesh.node_name(), topic)
}
