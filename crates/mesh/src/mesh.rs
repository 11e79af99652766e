//! A handle on the mesh, from one of its nodes or from a client.

use crate::{
    dynamic::{self, JsonStream},
    monitor::Monitor,
    names,
    port::{Local, LocalPort},
    reliable::Reliable,
    remote::Remote,
    shared::{Role, Shared},
    uplink::Uplink,
    wire::{KindError, WireActor, WireMessage},
};
use mesh_actor::{ActorRef, AskError, Open, Recipient, ReplyStream, Streaming};
use mesh_proto::{ActorPath, Failure, InvalidPath};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

mod local;

/// A handle on the mesh. Cheap to clone.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
    /// A client's connection ends with the last handle on it.
    lifeline: Option<Arc<Lifeline>>,
}

/// Ends a client when nobody uses it any more.
struct Lifeline(Arc<Uplink>);

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A member of the mesh, as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its name.
    pub name: String,
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// `alive`, `suspect`, `down` or `left`.
    pub state: &'static str,
    /// Where it accepts connections.
    pub addr: String,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
    /// How many actors it runs.
    pub actors: u64,
}

/// Why an actor was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name breaks the rules of names.
    #[error("{name:?} is no actor's name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        reason: &'static str,
    },
    /// Another actor of this node has the name.
    #[error("another actor of this node is published as {name}")]
    Taken {
        /// The name.
        name: String,
    },
    /// One of the actor's capabilities breaks the rules: 1 to 64 bytes of `a-z A-Z 0-9 . _ - / :`.
    #[error("{capability:?} is no capability: {reason}")]
    Capability {
        /// The capability.
        capability: String,
        /// The rule.
        reason: &'static str,
    },
    /// There are too many of something.
    #[error("there are at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// One of the actor's kinds breaks the rules of the wire.
    #[error(transparent)]
    Kind(#[from] KindError),
}

impl Mesh {
    /// A handle from a member.
    pub(crate) fn of_node(shared: Arc<Shared>) -> Self {
        Self { shared, lifeline: None }
    }

    /// A handle from a client, which lives as long as the handle.
    pub(crate) fn of_client(shared: Arc<Shared>, uplink: Arc<Uplink>) -> Self {
        Self { shared, lifeline: Some(Arc::new(Lifeline(uplink))) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The name of this node; for a client, of the node through which it reaches the mesh now.
    #[must_use]
    pub fn node_name(&self) -> Arc<str> {
        match &self.shared.role {
            Role::Member(_) => Arc::clone(&self.shared.me.name),
            Role::Client(uplink) => uplink.node_name(),
        }
    }

    /// The addresses of other nodes through which a client would go on if its own were lost: those that it was given, and
    /// those of members that it was told of. Empty for a node, which is connected to all.
    #[must_use]
    pub fn alternatives(&self) -> Vec<String> {
        self.shared.uplink().map(Uplink::alternatives).unwrap_or_default()
    }

    /// Ends a client in order: what was sent has arrived at its actor's node, and what was asked is answered, when this
    /// returns. It waits at most `patience`, and then ends the client as dropping the last handle does: at once, with
    /// what has not left yet lost. Other handles on this client reach nothing any more. Does nothing to a node, which
    /// [`Node::leave`](crate::Node::leave) ends.
    ///
    /// # Cancel safety
    /// Dropped before its end, it leaves a client that sends no more, and ends with its last handle.
    pub async fn close(self, patience: Duration) {
        let Role::Client(uplink) = &self.shared.role else { return };
        let (network, uplink) = (self.shared.network.clone(), Arc::clone(uplink));
        // The connection's timers are of that runtime.
        let finishes = network.spawn(async move { uplink.finish(patience).await });
        // It ends early only with the runtime, and then there is nothing to wait for.
        let _ = finishes.await;
    }

    /// The actor at `path` (`node/name`, or a published `name`), for messages of the type `M`.
    ///
    /// Nothing is looked up before the first message; that there is no such actor is then an [`AskError`].
    ///
    /// # Errors
    /// [`InvalidPath`] when the path breaks the rules of paths.
    pub fn recipient<M: WireMessage>(&self, path: &str) -> Result<Recipient<M>, InvalidPath> {
        let path: ActorPath = path.parse()?;
        Ok(Recipient::new(Arc::new(Remote::<M>::new(self.clone(), path))))
    }

    /// The actor at `path`, for messages that it answers with a stream.
    ///
    /// # Errors
    /// As [`Mesh::recipient`].
    pub fn stream_recipient<M>(&self, path: &str) -> Result<Recipient<Open<M>>, InvalidPath>
    where
        M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
    {
        let path: ActorPath = path.parse()?;
        Ok(Recipient::new(Arc::new(Remote::<Open<M>>::new(self.clone(), path))))
    }

    /// Watches the actor that `path` leads to now, until it ends.
    ///
    /// # Errors
    /// [`AskError`] when there is no such actor, or its node cannot be reached now.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn monitor(&self, path: &str) -> Result<Monitor, AskError> {
        let bad = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
        crate::monitor::monitor(self, path.parse().map_err(bad)?).await
    }

    /// The actor at `path`, for messages that are sent until they are answered, and run once.
    ///
    /// # Errors
    /// [`InvalidPath`] when the path breaks the rules of paths.
    pub fn reliable<M: WireMessage>(&self, path: &str) -> Result<Reliable<M>, InvalidPath> {
        Ok(Reliable::new(self.clone(), path.parse()?))
    }

    /// Asks with a message as JSON; the reply is JSON too. For callers that know only the kind's name.
    ///
    /// # Errors
    /// [`Failure`], as the node that knows told it.
    pub async fn ask_json(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<String, Failure> {
        dynamic::ask(self, path, kind, body, timeout).await
    }

    /// Sends a message as JSON, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// [`Failure`] with the code `MAILBOX_FULL` when there was no room in time; others as for any message.
    pub async fn tell_json(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<(), Failure> {
        dynamic::tell(self, path, kind, body, timeout).await
    }

    /// Asks for a stream with a message as JSON.
    ///
    /// # Errors
    /// [`Failure`] when the message was not sent.
    pub async fn stream_json(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<JsonStream, Failure> {
        dynamic::stream(self, path, kind, body, timeout).await
    }

    /// Goes on with a stream that another reader, in another process too, has left: behind its item `after`, for at most
    /// `timeout`. Each item comes once, and in order.
    ///
    /// The reader has to have the same certificate's key as the one that asked for the stream, and the stream has to be
    /// there still: in the same life of its actor, and within the time for which its node keeps streams without a reader (30 s
    /// by default). A reader that notes the number of each item ([`ReplyStream::seq`]) before it comes for the next
    /// one misses none; an item is forgotten when its reader comes for the next.
    ///
    /// ```no_run
    /// # use mesh::{Mesh, Streaming, WireMessage};
    /// # use std::time::Duration;
    /// # async fn go_on<M>(mesh: Mesh, noted: (String, u64)) -> Result<(), mesh::AskError>
    /// # where M: WireMessage + Streaming<Item: serde::Serialize + serde::de::DeserializeOwned> {
    /// let (ticket, seq) = noted; // of `stream.ticket()` and `stream.seq()`, in the run before this one
    /// let mut stream = mesh.attach::<M>(&ticket, seq, Duration::from_secs(60))?;
    /// while let Some(item) = stream.next().await { /* … note stream.seq() */ }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`AskError::BadPath`] when that is no ticket, [`AskError::UnknownKind`] when it is one of another kind of message.
    /// Whatever else stands in the way ends the stream: `STREAM_GONE` when it is over, was not kept, or is another's,
    /// [`AskError::Stopped`] when its actor is gone, and [`AskError::Unreachable`] when the way to it was not found within
    /// 30 s.
    pub fn attach<M>(&self, ticket: &str, after: u64, timeout: Duration) -> Result<ReplyStream<M>, AskError>
    where
        M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
    {
        crate::remote::attach(self, ticket.parse()?, after, timeout)
    }

    /// As [`Mesh::attach`], for callers that know only the kind's name.
    ///
    /// # Errors
    /// [`Failure`] when that is no ticket.
    pub fn attach_json(&self, ticket: &str, after: u64, timeout: Duration) -> Result<JsonStream, Failure> {
        dynamic::attach(self, ticket, after, timeout)
    }

    /// Makes an actor of this node reachable as `node/name` from everywhere, and as `name` unless an older actor
    /// has it ([`Mesh::name_conflicts`]); and to be found by what its spec says that it can do ([`Mesh::list`]), and by the
    /// kinds that it takes ([`Mesh::list_kind`]). It is withdrawn when the actor ends.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub fn publish<A: WireActor>(&self, name: &str, actor: &ActorRef<A>) -> Result<(), PublishError> {
        mesh_proto::check_name(name)
            .map_err(|reason| PublishError::Name { name: name.to_owned(), reason })?;
        let port = LocalPort::new(self.shared.actor_id(actor.serial()), actor.clone())?;
        let port: Arc<dyn Local> = port;
        let publication = names::publication(name, actor, &*port)?;
        self.shared.withdraw_ended(name);
        {
            let mut ports = self.shared.ports.write();
            if ports.contains_key(name) {
                return Err(PublishError::Taken { name: name.to_owned() });
            }
            names::has_room(&ports)?;
            ports.insert(name.to_owned(), Arc::clone(&port));
        }
        if let Some(membership) = self.shared.membership() {
            membership.publish(publication, actor.is_on_every_node(), self.shared.load());
        }
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        self.shared.reclaimer.watch(&port);
        self.shared.tasks.spawn(async move {
            let exit = port.ended().await;
            shared.withdraw(&name, &port, exit);
        });
        Ok(())
    }

    /// Spawns an actor of a registered kind on any node; answers its path.
    ///
    /// # Errors
    /// [`AskError::UnknownKind`] when that node does not register the kind; `BAD_MESSAGE` for wrong arguments;
    /// [`AskError::NameTaken`] and [`AskError::BadName`]; [`AskError::CannotSpawn`] when it lacks what the kind needs;
    /// others as for any ask.
    pub async fn spawn_kind(
        &self,
        node: &str,
        kind: &str,
        name: &str,
        args: &str,
    ) -> Result<String, AskError> {
        let spawn =
            crate::node_actor::Spawn { kind: kind.to_owned(), name: name.to_owned(), args: args.to_owned() };
        let node = self.node_actor::<crate::node_actor::Spawn>(node)?;
        let spawned = node.ask(spawn).timeout(Duration::from_secs(10)).await?;
        spawned.map(|spawned| spawned.path).map_err(crate::failure::error_of)
    }

    /// Stops the actor at `node/name` after its current message.
    ///
    /// # Errors
    /// [`AskError::NoSuchActor`] when nobody is published there; others as for any ask.
    pub async fn stop_actor(&self, path: &str) -> Result<(), AskError> {
        let parsed: ActorPath =
            path.parse().map_err(|error: InvalidPath| AskError::BadPath { reason: error.to_string() })?;
        let node = parsed.node().map_or_else(|| self.node_name().to_string(), str::to_owned);
        let stop = crate::node_actor::Stop { name: parsed.name().to_owned() };
        let stopped = self.node_actor::<crate::node_actor::Stop>(&node)?.ask(stop).await?;
        stopped.map_err(crate::failure::error_of)
    }

    /// Every member, as this node sees it; empty for a client, which asks a node.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        let Some(membership) = self.shared.membership() else { return Vec::new() };
        membership.members()
    }

    pub(crate) fn node_actor<M: WireMessage>(&self, node: &str) -> Result<Recipient<M>, AskError> {
        let path = format!("{node}/{}", crate::node_actor::NAME);
        self.recipient(&path).map_err(|error| AskError::BadPath { reason: error.to_string() })
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_client = self.lifeline.is_some();
        f.debug_struct("Mesh")
            .field("node", &self.node_name())
            .field("is_client", &is_client)
            .finish_non_exhaustive()
    }
}
