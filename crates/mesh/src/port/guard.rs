//! An actor of this node, for one client: what the client may not do never gets into the mailbox.
//!
//! Every message is looked at, at the node that owns the actor, by the grants of the client's own certificate. A node's
//! messages pass no guard.

use super::{Local, Port, Reserved, Room, Wanted};
use crate::{
    failure::failure_of,
    frames::{Frame, Frames, Origin},
    inlet::Inlet,
    parking::{Key, Owner, Parking},
    session::Session,
    shared::Shared,
    stream_out::StreamOut,
    trust::Access,
};
use futures::future::BoxFuture;
use mesh_actor::AskError;
use mesh_proto::{
    ActorId, EncodeError, Verb,
    credit::Weight,
    frame::{ChannelKind, Overflow, ReplyHeader},
};
use std::sync::Arc;

/// A local port with what one client may do there.
pub(crate) struct GuardedPort {
    port: Arc<dyn Port>,
    rights: Arc<Rights>,
}

struct Rights {
    shared: Arc<Shared>,
    access: Arc<Access>,
    /// The node that speaks for the client; `None` where its own connection ends here.
    via: Option<Arc<str>>,
    path: Box<str>,
    /// By the kind's place.
    kinds: Vec<KindRights>,
    origin: Arc<dyn Origin>,
}

struct KindRights {
    tell: Allowed,
    ask: Allowed,
}

/// `Err` with the verb that is missing.
type Allowed = Result<(), Verb>;

impl GuardedPort {
    /// Guards the port for a client whose messages come over `session`.
    pub(crate) fn new(
        local: Arc<dyn Local>,
        session: &Arc<Session>,
        access: Arc<Access>,
        via: Option<Arc<str>>,
        path: &str,
    ) -> Arc<Self> {
        let needs = |verb: Verb| if access.allows(verb, path) { Ok(()) } else { Err(verb) };
        let rights_of = |(place, kind): (usize, ChannelKind)| {
            let own = local.verb(place);
            let answered = if kind.streams { Verb::Stream } else { Verb::Ask };
            KindRights { tell: needs(own.unwrap_or(Verb::Tell)), ask: needs(own.unwrap_or(answered)) }
        };
        let kinds = local.kinds().into_iter().enumerate().map(rights_of).collect();
        let origin = Arc::new(ClientOrigin { session: Arc::clone(session), access: Arc::clone(&access) });
        let shared = Arc::clone(session.shared());
        let rights = Rights { shared, access, via, path: path.into(), kinds, origin };
        Arc::new(Self { port: local.as_port(), rights: Arc::new(rights) })
    }
}

impl Port for GuardedPort {
    fn actor(&self) -> ActorId {
        self.port.actor()
    }

    fn kinds(&self) -> Vec<ChannelKind> {
        self.port.kinds()
    }

    fn capacity(&self) -> Weight {
        self.port.capacity()
    }

    fn overflow(&self) -> Overflow {
        self.port.overflow()
    }

    fn room(self: Arc<Self>) -> Box<dyn Room> {
        Box::new(GuardedRoom { room: Arc::clone(&self.port).room(), rights: Arc::clone(&self.rights) })
    }

    fn reserve(self: Arc<Self>, weight: Weight) -> BoxFuture<'static, Result<Reserved, AskError>> {
        Arc::clone(&self.port).reserve(weight)
    }

    fn attach(&self, inlet: &Arc<Inlet>) {
        self.port.attach(inlet);
    }

    fn resume(&self, _: &Arc<Session>, path: &str, wanted: Wanted) {
        let rights = &self.rights;
        let may_read = |kind: u16| {
            let granted = rights.kinds.get(usize::from(kind)).is_some_and(|kind| kind.ask.is_ok());
            granted && rights.access.is_over().is_none()
        };
        wanted.from(rights.access.owner(), &rights.shared.parking, &rights.origin, path, may_read);
    }

    fn release(&self, _: &Arc<Session>, stream: u128) {
        self.rights.shared.parking.remove(Key { owner: self.rights.access.owner(), stream });
    }
}

struct GuardedRoom {
    room: Box<dyn Room>,
    rights: Arc<Rights>,
}

impl Room for GuardedRoom {
    fn lend(&mut self, upto: Weight) -> Weight {
        self.room.lend(upto)
    }

    fn add(&mut self, reserved: Reserved) {
        self.room.add(reserved);
    }

    fn free(&mut self, weight: Weight) {
        self.room.free(weight);
    }

    fn accept(&mut self, mut frames: Frames) {
        let over = self.rights.access.is_over();
        let denied = frames.take_out(|frame| over.is_some() || self.rights.allows(frame).is_err());
        for frame in denied {
            self.room.free(frame.weight());
            self.rights.refuse(&frames, &frame, over);
        }
        if frames.len() > 0 {
            frames.speaks(Arc::clone(&self.rights.origin));
            self.room.accept(frames);
        }
    }
}

impl Rights {
    fn allows(&self, frame: &Frame) -> Allowed {
        // The inlet knows the kind, so the table has it.
        let Some(kind) = self.kinds.get(usize::from(frame.kind)) else { return Err(Verb::All) };
        if frame.correlation == 0 { kind.tell } else { kind.ask }
    }

    fn refuse(&self, frames: &Frames, frame: &Frame, over: Option<&str>) {
        let why = match (over, self.allows(frame)) {
            (Some(why), _) => why.to_owned(),
            (None, Err(verb)) => format!("{}:{} is not granted to it", verb.as_str(), self.path),
            (None, Ok(())) => return,
        };
        let error = self.access.refused(&self.path, &why, self.via.as_deref(), &self.shared.trust);
        frames.refuse(frame, &failure_of(&error, &self.shared.me.name));
    }
}

/// A client behind a session, by a name that no node can have.
struct ClientOrigin {
    session: Arc<Session>,
    access: Arc<Access>,
}

impl Origin for ClientOrigin {
    fn node(&self) -> Option<&Arc<str>> {
        Some(self.access.label())
    }

    fn answer(
        &self,
        header: ReplyHeader,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.session.answer(header, write)
    }

    fn begin(&self, correlation: u64, stream: Arc<StreamOut>) {
        self.session.begin(correlation, stream);
    }

    fn end(&self, correlation: u64) {
        self.session.end(correlation);
    }

    fn is_withdrawn(&self, correlation: u64) -> bool {
        self.session.is_withdrawn(correlation)
    }

    fn is_over(&self) -> bool {
        self.session.is_over()
    }

    fn keeper(&self) -> Option<(Owner, Arc<Parking>)> {
        let (_, parking) = self.session.keeper()?;
        Some((self.access.owner(), parking))
    }

    fn here(&self) -> &str {
        self.session.here()
    }
}
