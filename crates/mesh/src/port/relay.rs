//! An actor on another node, for a client that reached only this one: one hop further.
//!
//! A relay has no queue. Room for a client's channel is credit on the channel behind it, so the bound of the
//! distant mailbox holds the client back too.

use super::{Port, Reserved, Room, Wanted};
use crate::{
    channel::{Channel, Charge, Terms, budget_ms},
    failure::{failure_of, lost, stream_gone},
    frames::{Frames, Origin, refuse},
    inlet::Inlet,
    pending::Waiter,
    remote::expired,
    session::Session,
};
use futures::{FutureExt, future::BoxFuture};
use mesh_actor::AskError;
use mesh_proto::{
    ActorId,
    credit::Weight,
    frame::{ChannelKind, Control, Features, MessageHeader, Overflow},
};
use std::sync::Arc;
use tokio::time::Instant;

/// The way to an actor on another node, for one client. The channel is the client's own: the node that owns the actor
/// checks what comes over it by the client's certificate.
pub(crate) struct RelayPort {
    onward: Arc<Channel>,
    terms: Arc<Terms>,
    client: Arc<Session>,
}

impl RelayPort {
    /// Relays for `client` over an open channel.
    pub(crate) fn new(onward: Arc<Channel>, terms: Arc<Terms>, client: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { onward, terms, client })
    }
}

impl Port for RelayPort {
    fn actor(&self) -> ActorId {
        self.terms.actor
    }

    fn kinds(&self) -> Vec<ChannelKind> {
        self.terms.kinds.clone()
    }

    fn capacity(&self) -> Weight {
        self.terms.capacity
    }

    fn overflow(&self) -> Overflow {
        self.terms.overflow
    }

    fn room(self: Arc<Self>) -> Box<dyn Room> {
        let charge = self.onward.charge_up_to(Weight::ZERO);
        Box::new(RelayRoom { port: self, charge })
    }

    fn reserve(self: Arc<Self>, weight: Weight) -> BoxFuture<'static, Result<Reserved, AskError>> {
        async move { Ok(Box::new(self.onward.charge(weight).await?) as Reserved) }.boxed()
    }

    // Idle credit is reclaimed by the node that owns the mailbox; this node passes on what it holds unused.
    fn attach(&self, inlet: &Arc<Inlet>) {
        self.onward.add_relay(inlet);
    }

    fn resume(&self, session: &Arc<Session>, path: &str, wanted: Wanted) {
        let Wanted { correlation, stream, next } = wanted;
        let (onward, here) = (self.onward.session(), session.here());
        if !self.keeps() {
            return refuse(&**session, correlation, &stream_gone(path, None, here));
        }
        let waiter = Waiter::Relay { to: Arc::clone(session), correlation };
        let Ok(ours) = onward.pending().insert(waiter) else {
            return refuse(&**session, correlation, &lost(&onward.unreachable(true), true, here));
        };
        session.relays_to(correlation, onward, ours, true);
        onward.control(&Control::Attach { channel: self.onward.number(), correlation: ours, stream, next });
    }

    fn release(&self, _: &Arc<Session>, stream: u128) {
        if self.keeps() {
            let channel = self.onward.number();
            self.onward.session().control(&Control::Release { channel, stream });
        }
    }
}

impl RelayPort {
    /// Whether the node behind it keeps streams for readers who are cut off.
    fn keeps(&self) -> bool {
        self.onward.session().peer().knows(Features::REATTACHES)
    }
}

impl Drop for RelayPort {
    fn drop(&mut self) {
        self.onward.session().retire_channel(self.onward.number());
    }
}

struct RelayRoom {
    port: Arc<RelayPort>,
    charge: Charge,
}

impl Room for RelayRoom {
    fn lend(&mut self, upto: Weight) -> Weight {
        let more = self.port.onward.charge_up_to(upto);
        let lent = more.weight();
        self.charge.merge(more);
        lent
    }

    fn add(&mut self, reserved: Reserved) {
        if let Ok(charge) = reserved.downcast::<Charge>() {
            self.charge.merge(*charge);
        }
    }

    fn free(&mut self, weight: Weight) {
        self.charge.refund_part(weight);
    }

    fn accept(&mut self, mut frames: Frames) {
        let onward = &self.port.onward;
        while let Some(frame) = frames.take_next() {
            let streams = self.port.terms.kinds.get(usize::from(frame.kind)).is_some_and(|kind| kind.streams);
            // A node of before takes no ids for streams.
            let is_plain = streams && !self.port.keeps();
            let content = if is_plain { frame.content.encoding() } else { frame.content };
            let payload = if is_plain { frames.message_owned(&frame) } else { frames.payload_owned(&frame) };
            if let Err(error) = onward.session().may_send(content) {
                frames.refuse(&frame, &failure_of(&error, frames.origin().here()));
                continue;
            }
            let Some(budget_ms) = budget_ms(frame.deadline, Instant::now) else {
                frames.refuse(&frame, &failure_of(&expired(frames.path()), frames.origin().here()));
                continue;
            };
            let mut header = MessageHeader {
                channel: onward.number(),
                kind: frame.kind,
                content,
                correlation: 0,
                sender: frame.sender,
                budget_ms,
                body: None,
            };
            if frame.correlation != 0 {
                let waiter =
                    Waiter::Relay { to: Arc::clone(&self.port.client), correlation: frame.correlation };
                match onward.session().pending().insert(waiter) {
                    Ok(correlation) => header.correlation = correlation,
                    Err(_) => {
                        let error = onward.session().unreachable(false);
                        frames.refuse(&frame, &failure_of(&error, frames.origin().here()));
                        continue;
                    }
                }
                let keeps = streams && header.content.has_id();
                self.port.client.relays_to(frame.correlation, onward.session(), header.correlation, keeps);
            }
            onward.forward_now(header, &payload);
            self.charge.spend_part(frame.weight());
        }
    }
}
