//! Asking a node who has subscribed to a topic.

use super::NodeActor;
use crate::wire::WireMessage;
use mesh_actor::{Context, Handler, Message};
use mesh_proto::Verb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks who is to be told a message of this kind on this topic. A client asks its node before it publishes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListSubscribers {
    /// The topic.
    pub topic: String,
    /// The kind of the message.
    pub kind: String,
}

/// Subscribers, as one node knows them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Subscribers {
    /// One row for each.
    pub subscribers: Vec<SubscriberRow>,
}

/// One subscriber.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SubscriberRow {
    /// `node/name`.
    pub path: String,
    /// Whether it is sent a [`Published`](crate::Published) with the message as JSON, rather than the message itself.
    pub is_wrapped: bool,
}

impl Message for ListSubscribers {
    type Reply = Subscribers;
}

impl WireMessage for ListSubscribers {
    const KIND: &'static str = "mesh.subscribers.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl Handler<ListSubscribers> for NodeActor {
    async fn handle(&mut self, list: ListSubscribers, _: &mut Context<Self>) -> Subscribers {
        let membership = self.mesh.shared().membership();
        let found = membership.map(|membership| membership.subscribers(&list.topic, &list.kind));
        let rows = found.unwrap_or_default().into_iter();
        let row = |target: crate::topics::Target| SubscriberRow {
            path: target.path,
            is_wrapped: target.is_wrapped,
        };
        Subscribers { subscribers: rows.map(row).collect() }
    }
}
