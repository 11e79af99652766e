//! Messages that may leave their process, and actors that take them.

use crate::port::{RemoteParcel, answer_later, answer_messages, answer_streams};
use futures::future::BoxFuture;
use mesh_actor::{Actor, ActorRef, Context, Handler, Later, Message, Open, StreamHandler, Streaming};
use mesh_proto::Verb;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use std::{any::Any, fmt};

pub mod raw_bytes;
mod rules;

pub use rules::KindError;
pub(crate) use rules::check;

/// A message that may leave its process.
///
/// Its fields never change: another shape is another kind, with the next version. Inside stand plain
/// fields: no recursive type, no collection of empty values, nothing that only a self-describing format
/// can carry (`serde_json::Value`, untagged enums, flattened or skipped fields). What is dynamic travels as
/// a `String` of JSON. Publishing an actor checks what a schema can show of this.
///
/// ```
/// use mesh::{Message, WireMessage};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// A question for the research agent.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Question {
///     text: String,
/// }
/// impl Message for Question {
///     type Reply = String;
/// }
/// impl WireMessage for Question {
///     const KIND: &'static str = "research.question.v1";
/// }
/// ```
pub trait WireMessage:
    Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned + JsonSchema
{
    /// The kind's name: `area.verb_or_noun.vN`.
    const KIND: &'static str;

    /// What a client must have been granted to send it; `None` goes by how it is sent: [`Verb::Tell`], [`Verb::Ask`] or
    /// [`Verb::Stream`]. Other nodes need no grant.
    const VERB: Option<Verb> = None;
}

/// An actor that can be reached by a path: it says which kinds it takes.
pub trait WireActor: Actor {
    /// Adds every kind that peers and dynamic callers may send.
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self>;
}

/// The kinds that an actor takes from outside of its process.
pub struct Kinds<A: Actor> {
    pub(crate) rows: Vec<KindRow<A>>,
}

pub(crate) type OpenRun<A> =
    for<'a> fn(&'a mut RemoteParcel<A>, usize, &'a mut A, &'a mut Context<A>) -> BoxFuture<'a, ()>;

/// One kind of an actor: how its messages are decoded, handled and answered.
pub(crate) struct KindRow<A: Actor> {
    pub(crate) name: &'static str,
    pub(crate) streams: bool,
    pub(crate) verb: Option<Verb>,
    pub(crate) schema: fn() -> schemars::Schema,
    pub(crate) open_run: OpenRun<A>,
    /// A typed `Recipient` for callers in this process.
    pub(crate) local: fn(&ActorRef<A>) -> Box<dyn Any + Send>,
}

impl<A: Actor> Kinds<A> {
    pub(crate) fn of() -> Self
    where
        A: WireActor,
    {
        A::accepts(Self { rows: Vec::new() })
    }

    /// Takes messages of the kind `M`.
    #[must_use]
    pub fn message<M: WireMessage>(mut self) -> Self
    where
        A: Handler<M>,
    {
        self.rows.push(KindRow {
            name: M::KIND,
            streams: false,
            verb: M::VERB,
            schema: || schemars::schema_for!(M),
            open_run: answer_messages::<A, M>,
            local: |actor| Box::new(actor.recipient::<M>()),
        });
        self
    }

    /// Takes messages of the kind `M`, and answers each after its handler has returned: others are taken meanwhile. One
    /// with an id ([`Mesh::reliable`](crate::Mesh::reliable)) is answered before the next one is taken.
    #[must_use]
    pub fn later<M: WireMessage>(mut self) -> Self
    where
        A: Handler<Later<M>>,
    {
        self.rows.push(KindRow {
            name: M::KIND,
            streams: false,
            verb: M::VERB,
            schema: || schemars::schema_for!(M),
            open_run: answer_later::<A, M>,
            local: |actor| Box::new(actor.answers_later::<M>()),
        });
        self
    }

    /// Takes messages of the kind `M`, and answers each with a stream of items before its reply.
    #[must_use]
    pub fn stream<M>(mut self) -> Self
    where
        M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
        A: StreamHandler<M>,
    {
        self.rows.push(KindRow {
            name: M::KIND,
            streams: true,
            verb: M::VERB,
            schema: || schemars::schema_for!(M),
            open_run: answer_streams::<A, M>,
            local: |actor| Box::new(actor.recipient::<Open<M>>()),
        });
        self
    }
}

impl<A: Actor> fmt::Debug for Kinds<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows.iter().map(|row| row.name)).finish()
    }
}
