//! The receiving side of this node: actors that peers can reach.
//!
//! A [`Port`] is one such actor, or one on another node for which this node relays. Each channel that a
//! peer opens to it has a [`Room`] of its own: the part of the actor's mailbox that is set aside for that
//! channel, and in which its messages arrive.

use crate::{
    frames::{Frames, Origin},
    inlet::Inlet,
    parking::{Owner, Parking, Resume},
    session::Session,
};
use futures::future::BoxFuture;
use mesh_actor::AskError;
use mesh_proto::{
    ActorId,
    credit::Weight,
    frame::{ChannelKind, Overflow},
};
use std::{any::Any, sync::Arc};

mod guard;
mod local;
mod parcel;
mod relay;

pub(crate) use guard::GuardedPort;
pub(crate) use local::{Local, LocalPort, Traffic};
pub(crate) use parcel::{RemoteParcel, answer_messages, answer_streams, encode};
pub(crate) use relay::RelayPort;

/// Something that messages can be sent to over channels.
pub(crate) trait Port: Send + Sync {
    /// The actor behind it.
    fn actor(&self) -> ActorId;

    /// The kinds that it takes, in the order that headers name them.
    fn kinds(&self) -> Vec<ChannelKind>;

    /// The bounds of its mailbox.
    fn capacity(&self) -> Weight;

    /// What a distant sender without credit is to do.
    fn overflow(&self) -> Overflow;

    /// Room for one channel, empty at first.
    fn room(self: Arc<Self>) -> Box<dyn Room>;

    /// Waits, in line with everybody else, until this much room is set aside.
    ///
    /// Cancel safe: what nobody takes is free again.
    fn reserve(self: Arc<Self>, weight: Weight) -> BoxFuture<'static, Result<Reserved, AskError>>;

    /// Tells the port of a channel to it, so that idle credit can be reclaimed when others wait.
    fn attach(&self, inlet: &Arc<Inlet>);

    /// A reader behind this channel of `session` goes on with a stream of the actor, or is told why not.
    fn resume(&self, session: &Arc<Session>, path: &str, wanted: Wanted);

    /// A reader behind this channel of `session` has the end of a stream of the actor.
    fn release(&self, session: &Arc<Session>, stream: u128);
}

/// Where a reader wants to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its number for the answers.
    pub(crate) correlation: u64,
    pub(crate) stream: u128,
    /// The first item that it lacks.
    pub(crate) next: u64,
}

impl Wanted {
    /// Goes on with a stream of this node.
    fn from(
        self,
        owner: Owner,
        parking: &Parking,
        origin: &Arc<dyn Origin>,
        path: &str,
        may_read: impl FnOnce(u16) -> bool,
    ) {
        let Self { correlation, stream, next } = self;
        let origin = Arc::clone(origin);
        parking.resume(Resume { owner, origin, path, correlation, stream, next }, may_read);
    }
}

/// Room that was set aside, to be added to the [`Room`] of the port that made it.
pub(crate) type Reserved = Box<dyn Any + Send>;

/// The part of a mailbox that is set aside for one channel.
pub(crate) trait Room: Send {
    /// Sets aside as much as is free now, at most `upto`; answers how much.
    fn lend(&mut self, upto: Weight) -> Weight;

    /// Adds what [`Port::reserve`] has set aside.
    fn add(&mut self, reserved: Reserved);

    /// Frees a part that the peer gave back.
    fn free(&mut self, weight: Weight);

    /// Lets messages in, for which room was set aside before.
    fn accept(&mut self, frames: Frames);
}
