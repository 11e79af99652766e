//! Topics: who publishes need not know who listens.
//!
//! ```text
//!  mesh.topic::<M>("news").publish(m)          mesh.subscribe::<M>("news", "reader")   an actor of this node
//!      └─ who has subscribed? known here ──▶ a tell to each, at once: a row for each    mesh.follow("news", None)
//!                                                                                       anybody, as a stream
//! ```
//!
//! A subscriber is an actor, and what is published on its topic is told to it as by any tell: its mailbox has a bound, a
//! full one makes the publisher wait for it alone, a client needs `tell` on its path, and messages of one publisher
//! keep their order. Subscriptions are told by each node to all others, as published names are, and end with their
//! actor or its node.
//!
//! Who has no actor follows a topic as a stream, from the node's `NODE/topics/TOPIC`: the node makes a small actor for
//! it, `NODE/taps/TOPIC/NUMBER`, with a mailbox of 64 messages. It is sent envelopes ([`Published`]).

use crate::{mesh::Mesh, wire::WireMessage};
use mesh_actor::AskError;
use mesh_proto::{ActorPath, Failure, InvalidPath, Subscription, TooManySubscriptions, check_topic};
use std::{fmt::Display, time::Duration};

mod follow;
mod port;
mod publish;
mod tap;

pub use follow::{Following, Published};
pub(crate) use port::Followers;
pub use publish::{Delivery, Publish, Topic};

/// A subscriber, as the one who publishes needs to know it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) is_wrapped: bool,
}

/// Why an actor was not subscribed. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The topic breaks the rules of topics. The caller's mistake.
    #[error("{topic:?} is no topic: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// The rule.
        reason: &'static str,
    },
    /// The path is none. The caller's mistake.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// No actor of this node is published so. Publish it first; or it has ended.
    #[error("no actor of this node is published as {path}")]
    NotPublished {
        /// What was given.
        path: String,
    },
    /// The actor does not take messages of this kind. Its author has to add it to what it accepts.
    #[error("{path} does not take {kind}")]
    Kind {
        /// What was given.
        path: String,
        /// The kind.
        kind: String,
    },
    /// This node has as many subscriptions as a node may have.
    #[error(transparent)]
    TooMany(#[from] TooManySubscriptions),
}

impl Mesh {
    /// Has an actor of this node told every message of the type `M` that anybody publishes on `topic` from now on.
    ///
    /// `path` is what the actor is published as on this node: `name`, or `node/name`. A topic is written as an actor's name is:
    /// one to six segments of `a-z A-Z 0-9 . _ -` joined by `/`, at most 160 bytes. A second subscription of the same is
    /// the first one. It ends by [`Mesh::unsubscribe`], with the actor, or with its node.
    ///
    /// Other nodes learn of it when they hear of it, within one trip of the network; what is published there before is not told.
    ///
    /// # Errors
    /// [`SubscribeError`]; a client, which has no actors that others can reach, is told `NotPublished`.
    pub fn subscribe<M: WireMessage>(&self, topic: &str, path: &str) -> Result<(), SubscribeError> {
        self.add_subscription(topic, Some(M::KIND), path, M::KIND)
    }

    /// As [`Mesh::subscribe`], for messages of every kind: the actor takes [`Published`], which carries them as JSON.
    ///
    /// A message of a kind to which the actor is subscribed by itself comes to it once, as what it is.
    ///
    /// # Errors
    /// As [`Mesh::subscribe`].
    pub fn subscribe_all(&self, topic: &str, path: &str) -> Result<(), SubscribeError> {
        self.add_subscription(topic, None, path, Published::KIND)
    }

    /// Ends a subscription to messages of the type `M`; answers whether there was one.
    ///
    /// What was published before may still come.
    pub fn unsubscribe<M: WireMessage>(&self, topic: &str, path: &str) -> bool {
        self.strike_out(topic, Some(M::KIND), path)
    }

    /// Ends a subscription to messages of every kind; answers whether there was one.
    pub fn unsubscribe_all(&self, topic: &str, path: &str) -> bool {
        self.strike_out(topic, None, path)
    }

    /// A topic, for messages of the type `M`.
    ///
    /// # Errors
    /// [`SubscribeError::Topic`] when the topic breaks the rules.
    ///
    /// ```no_run
    /// # use mesh::{Mesh, WireMessage};
    /// # async fn tell<Headline: WireMessage>(mesh: Mesh, headline: Headline) -> Result<(), Box<dyn std::error::Error>> {
    /// for delivery in mesh.topic::<Headline>("news/weather")?.publish(headline).await? {
    ///     if let Err(error) = delivery.result {
    ///         eprintln!("{}: {error}", delivery.to);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn topic<M: WireMessage>(&self, topic: &str) -> Result<Topic<M>, SubscribeError> {
        checked(topic)?;
        Ok(Topic::new(self.clone(), topic))
    }

    /// Publishes a message as JSON, for callers that know only the kind's name; waits for room at each subscriber for at
    /// most `timeout`. Answers a row for each, in the order of their paths; none, if nobody has subscribed.
    ///
    /// A client asks its node who has subscribed, which needs `read:NODE/mesh`, and then needs `tell` on each of them.
    ///
    /// # Errors
    /// [`Failure`] when nobody was told anything: `BAD_MESSAGE` for a topic, a kind or a body that is none; others as for
    /// an ask of the node.
    ///
    /// # Cancel safety
    /// As [`Publish`].
    pub async fn publish_json(
        &self,
        topic: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<Vec<Delivery<(), Failure>>, Failure> {
        publish::publish_json(self, topic, kind, body, timeout).await
    }

    /// Follows a topic: what is published on it from now on, of the kind that is named or of every kind, as a stream.
    ///
    /// The stream is the subscriber. Its reader has room for 32 messages, and the node keeps 64 more for it; then
    /// whoever publishes waits for it, and is told `MAILBOX_FULL` in its row at the deadline, while all others have long been
    /// told. It needs the grant `stream:NODE/topics/TOPIC`. A message of more than 64 KiB is `TOO_LARGE` for it.
    ///
    /// # Errors
    /// [`Failure`]: `DENIED` without the grant; `BAD_MESSAGE` for a kind or a topic that is none.
    ///
    /// # Cancel safety
    /// Dropped before it has ended, it leaves nothing behind.
    pub async fn follow(&self, topic: &str, kind: Option<&str>) -> Result<Following, Failure> {
        follow::follow(self, topic, kind).await
    }

    fn add_subscription(
        &self,
        topic: &str,
        kind: Option<&'static str>,
        path: &str,
        sent: &str,
    ) -> Result<(), SubscribeError> {
        checked(topic)?;
        let shared = self.shared();
        let not_published = || SubscribeError::NotPublished { path: path.to_owned() };
        let name = self.own_name(path)?.ok_or_else(not_published)?;
        let membership = shared.membership().ok_or_else(not_published)?;
        // Held until it is noted: an actor that ends meanwhile finds its subscription, and takes it along.
        let ports = shared.ports.read();
        let port = ports.get(&name).ok_or_else(not_published)?;
        if !port.kinds().iter().any(|known| known.name == sent) {
            return Err(SubscribeError::Kind { path: path.to_owned(), kind: sent.to_owned() });
        }
        Ok(membership.subscribe(subscription(topic, kind, name))?)
    }

    fn strike_out(&self, topic: &str, kind: Option<&str>, path: &str) -> bool {
        let (Ok(Some(name)), Some(membership)) = (self.own_name(path), self.shared().membership()) else {
            return false;
        };
        let meant = subscription(topic, kind, name);
        membership.unsubscribe(|known| *known == meant)
    }

    /// The name on this node; `None` if the path names another one.
    fn own_name(&self, path: &str) -> Result<Option<String>, InvalidPath> {
        let path: ActorPath = path.parse()?;
        let is_own = path.node().is_none_or(|node| node == &*self.shared().me.name);
        Ok(is_own.then(|| path.name().to_owned()))
    }
}

/// The subscription of an actor to one kind as it is, or to every kind in an envelope.
fn subscription(topic: &str, kind: Option<&str>, name: String) -> Subscription {
    Subscription { topic: topic.to_owned(), kind: kind.map(str::to_owned), name, is_wrapped: kind.is_none() }
}

fn checked(topic: &str) -> Result<(), SubscribeError> {
    check_topic(topic).map_err(|reason| SubscribeError::Topic { topic: topic.to_owned(), reason })
}

/// The error of a topic, a kind or a body that is none.
fn bad(topic: &str, kind: &str, reason: &dyn Display) -> AskError {
    AskError::BadMessage { path: topic.to_owned(), kind: kind.to_owned(), reason: reason.to_string() }
}
