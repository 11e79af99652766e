//! What peers tell, and what they are told.

use super::Membership;
use crate::{
    session::Session,
    shared::{Role, Shared},
};
use bytes::Bytes;
use mesh_net::CloseCode;
use mesh_proto::{
    frame::{Control, Features},
    membership::{DatagramError, Peer},
};
use std::sync::Arc;

/// Why one of two connections ends.
const ANOTHER: &str = "another connection is kept";

impl Shared {
    /// A peer node has news.
    pub(crate) fn on_news(&self, session: &Arc<Session>, frame: Control) {
        let membership = match &self.role {
            Role::Member(membership) => membership,
            Role::Client(uplink) => {
                if matches!(frame, Control::Leaving) {
                    uplink.on_leaving(session);
                }
                return;
            }
        };
        match frame {
            Control::Sync(message) => membership.on_sync(session, message),
            Control::NamesKnown(known) => membership.on_names_known(session, &known),
            Control::NamesChanged(delta) => membership.on_names_changed(session, delta),
            Control::Published(entries) => membership.on_published(session, entries),
            Control::Withdrawn(names) => membership.on_withdrawn(session, &names),
            Control::Topics(news) => membership.on_topics(session, news),
            Control::Leaving => membership.on_leaving(session),
            _ => {}
        }
    }
}

impl Membership {
    /// A node has said hello. Of two connections to one run of a node, the one that the larger id dialled is
    /// kept; both sides decide alike. The other one finishes what is in flight.
    pub(super) fn admit_node(&self, session: &Arc<Session>, dialled: Option<&str>) {
        let mut state = self.state.lock();
        let peer = session.peer();
        let dialled_by_larger = |one: &Session| one.is_dialled() == (self.me.id > peer.id);
        let rival = state.nodes.get(&peer.id).filter(|rival| !rival.is_closed()).cloned();
        let keeps_rival = rival.as_ref().is_some_and(|rival| {
            rival.peer().boot == peer.boot && dialled_by_larger(rival) && !dialled_by_larger(session)
        });
        if keeps_rival {
            drop(state);
            return session.retire(CloseCode::Duplicate, ANOTHER);
        }
        let before = state.nodes.insert(peer.id, Arc::clone(session));
        tracing::info!(peer = %peer.name, boot = peer.boot.0, "peer is connected");
        self.greet_with_names(&mut state, session);
        state.tell_all_topics(self.me.id, session);
        let met = Peer {
            node: peer.id,
            boot: peer.boot,
            addr: session.listens().into(),
            dialled: dialled.map(Into::into),
        };
        if peer.knows(Features::SWIM) {
            self.feed(state, |swim, now| {
                if before.is_some() {
                    swim.disconnected(met.node, now);
                }
                swim.connected(&met, now);
            });
        } else {
            self.release(state, true);
        }
        self.told.notify_waiters();
        if let Some(rival) = rival.filter(|rival| !Arc::ptr_eq(rival, session)) {
            rival.retire(CloseCode::Duplicate, ANOTHER);
        }
    }

    /// An address led to this node itself.
    pub(super) fn met_itself(&self, addr: &str) {
        let met = Peer {
            node: self.me.id,
            boot: self.me.boot,
            addr: Arc::clone(&self.addr),
            dialled: Some(addr.into()),
        };
        self.feed(self.state.lock(), |swim, now| swim.connected(&met, now));
    }

    pub(super) fn admit_client(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.clients.retain(|known| !known.is_closed());
        state.clients.push(Arc::clone(session));
    }

    /// A connection has ended. That makes nobody a suspect: SWIM finds out, and meanwhile the member is dialled.
    pub(super) fn lost(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.clients.retain(|known| !Arc::ptr_eq(known, session));
        let peer = session.peer();
        if state.nodes.get(&peer.id).is_some_and(|known| Arc::ptr_eq(known, session)) {
            state.nodes.remove(&peer.id);
            if peer.knows(Features::SWIM) {
                return self.feed(state, |swim, now| swim.disconnected(peer.id, now));
            }
            // Nobody else says that it is gone.
            state.forget(peer.id, peer.boot);
            self.release(state, true);
        }
    }

    /// A datagram came from a peer node.
    ///
    /// # Errors
    /// The reason to end the connection: the peer claims to be another.
    pub(crate) fn on_datagram(&self, session: &Session, bytes: &Bytes) -> Result<(), DatagramError> {
        let from = session.peer().id;
        match self.feed(self.state.lock(), |swim, now| swim.datagram(from, bytes, now)) {
            Err(error @ DatagramError::WrongSender { .. }) => Err(error),
            Err(error) => {
                tracing::debug!(peer = %session.peer().name, %error, "datagram was not taken in");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn on_sync(&self, session: &Session, message: mesh_proto::membership::Sync) {
        let from = session.peer().id;
        let taken = self.feed(self.state.lock(), |swim, now| swim.sync(from, message, now));
        if let Err(error) = taken {
            tracing::debug!(peer = %session.peer().name, %error, "push/pull was not taken in");
        }
    }

    /// It stops taking work: its names are withdrawn. That it has left is said by SWIM.
    fn on_leaving(&self, session: &Session) {
        let peer = session.peer();
        let mut state = self.state.lock();
        state.forget(peer.id, peer.boot);
        self.look_for_lost(&state);
    }
}
