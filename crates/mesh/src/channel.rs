//! The sending half of a channel: one actor on a peer, and the credit that it has lent us.
//!
//! A send charges credit and appends its frame to a lane's outbox. Without credit it waits in line,
//! first come first served, and the receiver is told once (`Want`) how much the first in line needs.
//! A charge is a guard: a sender that is cancelled before its frame is in the lane gives it back.

use crate::{failure::error_of, inlet::Inlet, session::Session};
use bytes::Bytes;
use mesh_actor::AskError;
use mesh_proto::{
    EncodeError, Failure,
    credit::{SenderCredit, Weight},
    frame::{Control, INLINE_BYTES_MAX, MESSAGE_BYTES_MAX, MessageHeader, lane_of},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

mod charge;
mod errors;
mod terms;
mod write;

pub(crate) use charge::Charge;
use charge::{Served, hand_over};
pub(crate) use terms::Terms;
use write::write_inline;
pub(crate) use write::{budget_ms, write_frame};

/// A channel to one actor on a peer. All of this process share it.
#[derive(Debug)]
pub(crate) struct Channel {
    session: Arc<Session>,
    number: u32,
    path: Box<str>,
    phase: Mutex<Phase>,
    decided: Notify,
    /// Whether nothing new goes this way: the phase is `Closed`, or the connection is being given up. For those who look
    /// at each message.
    is_left: AtomicBool,
    /// Channels of clients that end in this one.
    relays: Mutex<Vec<Weak<Inlet>>>,
}

#[derive(Debug)]
enum Phase {
    Opening,
    Open(Open),
    Closed(Failure),
}

#[derive(Debug)]
struct Open {
    terms: Arc<Terms>,
    credit: SenderCredit,
    line: VecDeque<InLine>,
    is_wanted: bool,
}

#[derive(Debug)]
struct InLine {
    weight: Weight,
    ready: oneshot::Sender<Result<Charge, Failure>>,
}

/// Why a message was not sent at once. Two words, since every send hands one of these up through its calls.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The channel is still being opened.
    Opening,
    /// No credit, or others wait before us.
    NoCredit,
    /// The lane's outbox is full, or the payload goes on a stream of its own.
    Later,
    /// The channel is closed.
    Closed(Box<Failure>),
    /// The message cannot be written.
    Encode(Box<EncodeError>),
}

impl Channel {
    pub(crate) fn new(session: Arc<Session>, number: u32, path: &str) -> Arc<Self> {
        let phase = Mutex::new(Phase::Opening);
        Arc::new(Self {
            session,
            number,
            path: path.into(),
            phase,
            decided: Notify::new(),
            is_left: AtomicBool::new(false),
            relays: Mutex::default(),
        })
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The terms of an open channel; waits until the peer has answered.
    ///
    /// Cancel safe. The caller's deadline bounds the wait; a lost connection closes the channel.
    pub(crate) async fn opened(&self) -> Result<Arc<Terms>, Failure> {
        loop {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            decided.as_mut().enable();
            match &*self.phase.lock() {
                Phase::Open(open) => return Ok(Arc::clone(&open.terms)),
                Phase::Closed(failure) => return Err(failure.clone()),
                Phase::Opening => {}
            }
            decided.await;
        }
    }

    /// Waits until the channel is closed, and tells why: the actor ended, or the connection did.
    ///
    /// Cancel safe.
    pub(crate) async fn closed(&self) -> Failure {
        loop {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            decided.as_mut().enable();
            if let Phase::Closed(failure) = &*self.phase.lock() {
                return failure.clone();
            }
            decided.await;
        }
    }

    /// The terms, if the channel is open by now.
    pub(crate) fn terms(&self) -> Option<Arc<Terms>> {
        match &*self.phase.lock() {
            Phase::Open(open) => Some(Arc::clone(&open.terms)),
            Phase::Opening | Phase::Closed(_) => None,
        }
    }

    /// Whether another way is to be looked for.
    pub(crate) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Acquire)
    }

    /// From now on new messages look for another way; those that wait for credit still go this one.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::Release);
    }

    /// Whether messages wait for credit.
    pub(crate) fn has_line(&self) -> bool {
        matches!(&*self.phase.lock(), Phase::Open(open) if !open.line.is_empty())
    }

    /// Sends without waiting: the fast path, one frame encoded straight into its lane.
    pub(crate) fn try_send(
        &self,
        header: &MessageHeader,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), Unsent> {
        let mut phase = self.phase.lock();
        let open = match &mut *phase {
            Phase::Open(open) if open.line.is_empty() => open,
            Phase::Open(_) => return Err(Unsent::NoCredit),
            Phase::Opening => return Err(Unsent::Opening),
            Phase::Closed(failure) => return Err(Unsent::Closed(Box::new(failure.clone()))),
        };
        let lane = self.session.lane(lane_of(header.sender, self.number));
        let written = lane.try_push(|buffer| {
            let start = buffer.len();
            let unsent = write_inline(header, encode, buffer).and_then(|payload| {
                let weight = Weight::of_message(payload, open.terms.capacity);
                if open.credit.try_charge(weight) { Ok(()) } else { Err(Unsent::NoCredit) }
            });
            if unsent.is_err() {
                buffer.truncate(start);
            }
            unsent
        });
        written.unwrap_or(Err(Unsent::Later))
    }

    /// Sends a payload, waiting in line for credit and then for room in the lane; what is left of the time until `deadline`
    /// then is the message's.
    ///
    /// Cancel safe: dropped before its frame is in the lane, it leaves nothing behind.
    pub(crate) async fn send(
        self: &Arc<Self>,
        header: MessageHeader,
        payload: Bytes,
        deadline: Option<Instant>,
    ) -> Result<(), AskError> {
        let terms = self.opened().await.map_err(error_of)?;
        if payload.len() > MESSAGE_BYTES_MAX {
            return Err(self.too_large(payload.len()));
        }
        let charge = self.charge(Weight::of_message(payload.len(), terms.capacity)).await?;
        let lane = self.session.lane(lane_of(header.sender, self.number));
        let mut header = header;
        loop {
            // The wait was for the mailbox, and it was as long as the message had.
            let left = budget_ms(deadline, Instant::now);
            header.budget_ms = left.ok_or_else(|| self.mailbox_full(&terms))?;
            if lane.try_push(|buffer| self.append(header, &payload, buffer)).is_ok() {
                charge.spend();
                return Ok(());
            }
            if lane.room().await.is_err() {
                return Err(self.session.unreachable(false));
            }
        }
    }

    /// Puts a frame whose credit was charged into its lane at once; credit bounds how much that can be.
    pub(crate) fn forward_now(&self, header: MessageHeader, payload: &Bytes) {
        let lane = self.session.lane(lane_of(header.sender, self.number));
        // A closed lane is a closed session: whoever asked is told by its end.
        let _ = lane.push_always(|buffer| self.append(header, payload, buffer));
    }

    fn append(&self, mut header: MessageHeader, payload: &Bytes, buffer: &mut Vec<u8>) {
        header.channel = self.number;
        let is_inline = payload.len() <= INLINE_BYTES_MAX;
        header.body = if is_inline { None } else { Some(self.session.send_body(payload.clone())) };
        let inline = if is_inline { &payload[..] } else { &[] };
        write_frame(buffer, |buffer| {
            header.encode(buffer);
            buffer.extend_from_slice(inline);
        });
    }

    /// Charges credit for messages of this weight, waiting in line.
    ///
    /// Cancel safe: a charge that nobody takes is given back.
    pub(crate) async fn charge(self: &Arc<Self>, weight: Weight) -> Result<Charge, AskError> {
        let waits = {
            let mut phase = self.phase.lock();
            let open = match &mut *phase {
                Phase::Open(open) => open,
                Phase::Opening => return Err(self.session.unreachable(false)),
                Phase::Closed(failure) => return Err(error_of(failure.clone())),
            };
            if open.line.is_empty() && open.credit.try_charge(weight) {
                return Ok(Charge::new(self, weight));
            }
            let (ready, waits) = oneshot::channel();
            open.line.push_back(InLine { weight, ready });
            self.want(open);
            waits
        };
        match waits.await {
            Ok(Ok(charge)) => Ok(charge),
            Ok(Err(full)) => Err(error_of(full)),
            Err(_) => Err(self.closed_error()),
        }
    }

    /// Takes whatever credit there is, up to `upto`, without waiting: for messages that will be relayed.
    pub(crate) fn charge_up_to(self: &Arc<Self>, upto: Weight) -> Charge {
        let mut phase = self.phase.lock();
        let weight = match &mut *phase {
            Phase::Open(open) if open.line.is_empty() => open.credit.charge_up_to(upto),
            _ => Weight::ZERO,
        };
        Charge::new(self, weight)
    }

    /// Notes a client's channel that ends in this one.
    pub(crate) fn add_relay(&self, inlet: &Arc<Inlet>) {
        let mut relays = self.relays.lock();
        relays.retain(|known| known.strong_count() > 0);
        relays.push(Arc::downgrade(inlet));
    }

    fn relays(&self) -> Vec<Arc<Inlet>> {
        self.relays.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn on_opened(self: &Arc<Self>, terms: Terms, granted: Weight) {
        let mut phase = self.phase.lock();
        if matches!(&*phase, Phase::Opening) {
            let credit = SenderCredit::new(granted);
            *phase =
                Phase::Open(Open { terms: Arc::new(terms), credit, line: VecDeque::new(), is_wanted: false });
        }
        drop(phase);
        self.decided.notify_waiters();
    }

    pub(crate) fn on_closed(&self, failure: &Failure) {
        let before = std::mem::replace(&mut *self.phase.lock(), Phase::Closed(failure.clone()));
        self.leave();
        self.decided.notify_waiters();
        for relay in self.relays() {
            relay.close(failure);
        }
        // Dropping the line outside of the lock ends every wait with the reason that stands there now.
        drop(before);
    }

    pub(crate) fn on_grant(self: &Arc<Self>, granted: Weight) {
        let served = {
            let mut phase = self.phase.lock();
            let Phase::Open(open) = &mut *phase else { return };
            open.credit.granted(granted);
            open.is_wanted = false;
            self.serve(open)
        };
        hand_over(served);
    }

    /// The mailbox rejects what it has no room for: whoever waits here is told.
    pub(crate) fn on_full(&self, failure: &Failure) {
        let line = {
            let mut phase = self.phase.lock();
            let Phase::Open(open) = &mut *phase else { return };
            open.is_wanted = false;
            std::mem::take(&mut open.line)
        };
        for waiting in line {
            let _ = waiting.ready.send(Err(failure.clone()));
        }
    }

    /// Gives unused credit back; whoever waits here asks anew.
    pub(crate) fn on_reclaim(&self) {
        for relay in self.relays() {
            relay.reclaim();
        }
        let mut phase = self.phase.lock();
        let Phase::Open(open) = &mut *phase else { return };
        let returned = open.credit.give_back();
        self.session.control(&Control::Return { channel: self.number, returned });
        open.is_wanted = false;
        self.want(open);
    }

    /// Charges for the first in line as long as there is credit. The caller hands over outside of the lock.
    fn serve(self: &Arc<Self>, open: &mut Open) -> Served {
        let mut served = Vec::new();
        while let Some(first) = open.line.front() {
            if first.ready.is_closed() {
                open.line.pop_front();
                continue;
            }
            if !open.credit.try_charge(first.weight) {
                break;
            }
            if let Some(first) = open.line.pop_front() {
                served.push((first.ready, Charge::new(self, first.weight)));
            }
        }
        self.want(open);
        served
    }

    fn want(&self, open: &mut Open) {
        let Some(first) = open.line.front() else { return };
        if !open.is_wanted {
            open.is_wanted = true;
            let until = open.credit.until(first.weight);
            self.session.control(&Control::Want { channel: self.number, until });
        }
    }

    fn refund(self: &Arc<Self>, weight: Weight) {
        let served = {
            let mut phase = self.phase.lock();
            let Phase::Open(open) = &mut *phase else { return };
            open.credit.refund(weight);
            self.serve(open)
        };
        hand_over(served);
    }
}
