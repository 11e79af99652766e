//! An actor of this node that peers can reach.

use super::{Port, RemoteParcel, Reserved, Room, Wanted, parcel::KindTable};
use crate::{
    dedup::Answers,
    frames::{Frames, Origin},
    inlet::Inlet,
    parking::Key,
    session::Session,
    wire::{KindError, KindRow, Kinds, WireActor},
};
use futures::{FutureExt, future::BoxFuture};
use mesh_actor::{
    Actor, ActorRef, AskError, ExitReason, Overflow as MailboxOverflow, Permit, Weight as MailboxWeight,
};
use mesh_proto::{
    ActorId, Failure, Verb,
    credit::Weight,
    frame::{ChannelKind, KINDS_MAX, Overflow},
};
use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{Arc, Weak},
};

/// An actor of this node with the kinds that it takes from outside.
pub(crate) struct LocalPort<A: Actor> {
    id: ActorId,
    actor: ActorRef<A>,
    kinds: KindTable<A>,
    inlets: Mutex<Vec<Weak<Inlet>>>,
    answers: Arc<Mutex<Answers>>,
}

/// What has come to an actor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Messages that its handler has taken.
    pub(crate) taken: u64,
    /// Messages that wait for it.
    pub(crate) waiting: u32,
}

/// What the node needs of a local port without knowing the actor's type.
pub(crate) trait Local: Port {
    /// A typed `Recipient` for a caller in this process that knows the kind's type.
    fn recipient(&self, kind: &str) -> Option<Box<dyn Any + Send>>;

    /// What a client needs for the kind at this place; `None` for what the way of sending says.
    fn verb(&self, kind: usize) -> Option<Verb>;

    /// The JSON schemas of its kinds.
    fn schemas(&self) -> Vec<(&'static str, String)>;

    /// Whether somebody waits for room in the mailbox.
    fn has_waiters(&self) -> bool;

    /// Asks every idle peer for its unused credit.
    fn reclaim(&self);

    /// Calls `told` whenever somebody begins to wait for room.
    fn on_pressure(&self, told: Arc<dyn Fn() + Send + Sync>);

    /// Lets messages of this process in, waiting for room.
    fn deliver(self: Arc<Self>, frames: Frames) -> BoxFuture<'static, Result<(), AskError>>;

    /// The error of a sender that found no room.
    fn full_error(&self) -> AskError;

    /// Closes every channel to it.
    fn close(&self, failure: &Failure);

    /// Resolves when the actor has ended for good, with how.
    fn ended(&self) -> BoxFuture<'static, ExitReason>;

    /// Asks the actor to stop after its current message.
    fn stop(&self);

    /// What has come to it, and what waits.
    fn traffic(&self) -> Traffic;

    /// Has the actor finish what is queued, and then stop.
    fn drain(&self);

    /// Ends the actor at its next await, without an answer to what it handles.
    fn kill(&self);

    /// The actor's serial in this process.
    fn serial(&self) -> u64;

    /// This port as one that channels open to.
    fn as_port(self: Arc<Self>) -> Arc<dyn Port>;
}

impl<A: WireActor> LocalPort<A> {
    /// # Errors
    /// [`KindError`] when one of the actor's kinds breaks the rules of the wire.
    pub(crate) fn new(id: ActorId, actor: ActorRef<A>) -> Result<Arc<Self>, KindError> {
        let kinds = Kinds::<A>::of().rows;
        if kinds.len() > KINDS_MAX {
            return Err(KindError::TooMany { kinds: kinds.len() });
        }
        for (place, row) in kinds.iter().enumerate() {
            crate::wire::check(row.name, (row.schema)().as_value())?;
            if kinds[..place].iter().any(|other| other.name == row.name) {
                return Err(KindError::Twice { kind: row.name.to_owned() });
            }
        }
        let (inlets, answers) = (Mutex::default(), Arc::default());
        Ok(Arc::new(Self { id, actor, kinds: kinds.into(), inlets, answers }))
    }
}

impl<A: Actor> Port for LocalPort<A> {
    fn actor(&self) -> ActorId {
        self.id
    }

    fn kinds(&self) -> Vec<ChannelKind> {
        self.kinds
            .iter()
            .map(|row: &KindRow<A>| ChannelKind { name: row.name.to_owned(), streams: row.streams })
            .collect()
    }

    fn capacity(&self) -> Weight {
        wire_weight(self.actor.mailbox().capacity())
    }

    fn overflow(&self) -> Overflow {
        if self.rejects() { Overflow::Reject } else { Overflow::Wait }
    }

    fn room(self: Arc<Self>) -> Box<dyn Room> {
        let permit = self.actor.mailbox().reserve_up_to(mailbox_weight(Weight::ZERO));
        Box::new(LocalRoom { port: self, permit })
    }

    fn reserve(self: Arc<Self>, weight: Weight) -> BoxFuture<'static, Result<Reserved, AskError>> {
        async move {
            if self.rejects() {
                let reserved = self.actor.mailbox().try_reserve(mailbox_weight(weight));
                return Ok(Box::new(reserved.ok_or_else(|| self.full_error())?) as Reserved);
            }
            let reserved = self.actor.mailbox().reserve(mailbox_weight(weight)).await;
            Ok(Box::new(reserved.map_err(|_closed| self.not_running())?) as Reserved)
        }
        .boxed()
    }

    fn attach(&self, inlet: &Arc<Inlet>) {
        let mut inlets = self.inlets.lock();
        inlets.retain(|known| known.strong_count() > 0);
        inlets.push(Arc::downgrade(inlet));
    }

    fn resume(&self, session: &Arc<Session>, path: &str, wanted: Wanted) {
        let origin = Arc::clone(session) as Arc<dyn Origin>;
        wanted.from(session.owner(), &session.shared().parking, &origin, path, |_| true);
    }

    fn release(&self, session: &Arc<Session>, stream: u128) {
        session.shared().parking.remove(Key { owner: session.owner(), stream });
    }
}

impl<A: Actor> Local for LocalPort<A> {
    fn recipient(&self, kind: &str) -> Option<Box<dyn Any + Send>> {
        let row = self.kinds.iter().find(|row| row.name == kind)?;
        Some((row.local)(&self.actor))
    }

    fn verb(&self, kind: usize) -> Option<Verb> {
        self.kinds.get(kind).and_then(|row| row.verb)
    }

    fn schemas(&self) -> Vec<(&'static str, String)> {
        self.kinds.iter().map(|row| (row.name, (row.schema)().as_value().to_string())).collect()
    }

    fn has_waiters(&self) -> bool {
        self.actor.mailbox().has_waiters()
    }

    fn reclaim(&self) {
        for inlet in self.attached() {
            inlet.reclaim();
        }
    }

    fn on_pressure(&self, told: Arc<dyn Fn() + Send + Sync>) {
        self.actor.mailbox().on_pressure(told);
    }

    fn deliver(self: Arc<Self>, frames: Frames) -> BoxFuture<'static, Result<(), AskError>> {
        async move {
            let weight = mailbox_weight(frames.weight());
            let mailbox = self.actor.mailbox();
            let permit = match mailbox.try_reserve(weight) {
                Some(permit) => permit,
                None if self.rejects() => return Err(self.full_error()),
                None => mailbox.reserve(weight).await.map_err(|_closed| self.not_running())?,
            };
            self.let_in(permit, frames);
            Ok(())
        }
        .boxed()
    }

    fn full_error(&self) -> AskError {
        self.actor.mailbox().full_error()
    }

    fn close(&self, failure: &Failure) {
        for inlet in self.attached() {
            inlet.close(failure);
        }
    }

    fn ended(&self) -> BoxFuture<'static, ExitReason> {
        let actor = self.actor.clone();
        async move { actor.stopped().await }.boxed()
    }

    fn stop(&self) {
        self.actor.stop();
    }

    fn traffic(&self) -> Traffic {
        let info = self.actor.info();
        Traffic { taken: info.counters.taken, waiting: info.len }
    }

    fn drain(&self) {
        self.actor.drain();
    }

    fn kill(&self) {
        self.actor.kill();
    }

    fn serial(&self) -> u64 {
        self.actor.serial()
    }

    fn as_port(self: Arc<Self>) -> Arc<dyn Port> {
        self
    }
}

impl<A: Actor> LocalPort<A> {
    fn rejects(&self) -> bool {
        matches!(self.actor.mailbox().config().overflow, MailboxOverflow::Reject)
    }

    fn not_running(&self) -> AskError {
        AskError::NotRunning { path: self.actor.path().to_owned() }
    }

    fn let_in(&self, permit: Permit<A>, frames: Frames) {
        let (kinds, answers) = (Arc::clone(&self.kinds), Arc::clone(&self.answers));
        let parcel = |slot| Box::new(RemoteParcel::new(kinds, frames, slot, answers)) as _;
        self.actor.mailbox().push_parcel(permit, parcel);
    }

    fn attached(&self) -> Vec<Arc<Inlet>> {
        self.inlets.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

struct LocalRoom<A: Actor> {
    port: Arc<LocalPort<A>>,
    permit: Permit<A>,
}

impl<A: Actor> Room for LocalRoom<A> {
    fn lend(&mut self, upto: Weight) -> Weight {
        let more = self.port.actor.mailbox().reserve_up_to(mailbox_weight(upto));
        let lent = wire_weight(more.weight());
        self.permit.merge(more);
        lent
    }

    fn add(&mut self, reserved: Reserved) {
        if let Ok(permit) = reserved.downcast::<Permit<A>>() {
            self.permit.merge(*permit);
        }
    }

    fn free(&mut self, weight: Weight) {
        drop(self.permit.split(mailbox_weight(weight)));
    }

    fn accept(&mut self, frames: Frames) {
        let permit = self.permit.split(mailbox_weight(frames.weight()));
        self.port.let_in(permit, frames);
    }
}

pub(super) fn mailbox_weight(weight: Weight) -> MailboxWeight {
    MailboxWeight {
        messages: u32::try_from(weight.messages).unwrap_or(u32::MAX),
        bytes: usize::try_from(weight.bytes).unwrap_or(usize::MAX),
    }
}

fn wire_weight(weight: MailboxWeight) -> Weight {
    Weight { messages: u64::from(weight.messages), bytes: weight.bytes as u64 }
}
