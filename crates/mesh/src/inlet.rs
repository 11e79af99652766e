//! The receiving half of a channel: what a peer may send to one actor here, and what it has sent.
//!
//! An inlet never lets a message in for which no room was set aside, so the reader of a lane never waits,
//! and a stuck actor holds back its own senders only.

use crate::{
    failure::failure_of,
    frames::{Frame, Frames, Origin, refuse},
    port::{Port, Reserved, Room, Wanted},
    session::Session,
};
use bytes::Bytes;
use mesh_actor::AskError;
use mesh_proto::{
    Failure,
    credit::{Overrun, ReceiverCredit, Shortage, Weight},
    frame::{Control, MessageHeader},
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// How long a peer may take to give back credit that it is asked for: 30 s. Ours do at once, and one that stands still is
/// not heard for so long.
const RETURN_MAX: Duration = Duration::from_secs(30);

/// One channel that a peer has opened to an actor here.
pub(crate) struct Inlet {
    number: u32,
    session: Arc<Session>,
    port: Arc<dyn Port>,
    path: Arc<str>,
    capacity: Weight,
    kinds: u16,
    state: Mutex<State>,
}

struct State {
    credit: ReceiverCredit,
    room: Box<dyn Room>,
    /// Messages behind one whose body has not come yet, by lane: they must not overtake it.
    held: HashMap<u8, VecDeque<Held>>,
    /// The sum of grants that a waiting sender asked for.
    wanted: Option<Weight>,
    /// Whether room is being reserved for it.
    is_reserving: bool,
    /// Since when it is waited for what the peer gives back.
    reclaiming: Option<Instant>,
    closed: Option<Failure>,
}

enum Held {
    Ready(Frame),
    Awaits { header: MessageHeader, number: u64 },
}

/// Messages of one read, for one inlet.
pub(crate) struct Arrived {
    pub(crate) frames: Frames,
    /// Headers whose payload comes on a stream of its own, and messages behind them, in order.
    pub(crate) behind: Vec<Behind>,
    pub(crate) weight: Weight,
}

/// A message that stands behind one whose body is to come, or is such a message.
pub(crate) enum Behind {
    Body(MessageHeader),
    Frame(Frame),
}

impl Inlet {
    pub(crate) fn new(number: u32, session: Arc<Session>, port: Arc<dyn Port>, path: Arc<str>) -> Arc<Self> {
        let capacity = port.capacity();
        let state = State {
            credit: ReceiverCredit::new(capacity),
            room: Arc::clone(&port).room(),
            held: HashMap::new(),
            wanted: None,
            is_reserving: false,
            reclaiming: None,
            closed: None,
        };
        let kinds = u16::try_from(port.kinds().len()).unwrap_or(u16::MAX);
        let inlet = Self { number, session, port, path, capacity, kinds, state: Mutex::new(state) };
        Arc::new(inlet)
    }

    pub(crate) fn capacity(&self) -> Weight {
        self.capacity
    }

    /// Whether headers may name this kind.
    pub(crate) fn knows(&self, kind: u16) -> bool {
        kind < self.kinds
    }

    pub(crate) fn arrived(self: &Arc<Self>) -> Arrived {
        let origin: Arc<dyn Origin> = Arc::clone(&self.session) as Arc<dyn Origin>;
        let frames = Frames::new(origin, Arc::clone(&self.path), Some(Arc::clone(self)));
        Arrived { frames, behind: Vec::new(), weight: Weight::ZERO }
    }

    /// Whether messages of this lane have to queue behind a body that is to come.
    pub(crate) fn is_holding(&self, lane: u8) -> bool {
        self.state.lock().held.contains_key(&lane)
    }

    /// The first grant, for `Opened`.
    pub(crate) fn first_grant(&self) -> Weight {
        let mut state = self.state.lock();
        let wanted = state.credit.wanted();
        let lent = state.room.lend(wanted);
        state.credit.grant(lent)
    }

    /// Lets in what one read of a lane has brought.
    ///
    /// # Errors
    /// [`Overrun`] when the peer sent more than it was granted: its connection has to end.
    pub(crate) fn receive(self: &Arc<Self>, lane: u8, arrived: Arrived) -> Result<(), Overrun> {
        let Arrived { frames, behind, weight } = arrived;
        let mut state = self.state.lock();
        state.credit.receive(weight)?;
        if let Some(failure) = state.closed.clone() {
            drop(state);
            for behind in &behind {
                let correlation = match behind {
                    Behind::Body(header) => header.correlation,
                    Behind::Frame(frame) => frame.correlation,
                };
                refuse(&*self.session, correlation, &failure);
            }
            return Ok(());
        }
        if frames.len() > 0 {
            state.room.accept(frames);
        }
        let mut bodies = Vec::new();
        for behind in behind {
            let line = state.held.entry(lane).or_default();
            match behind {
                Behind::Frame(frame) => line.push_back(Held::Ready(frame)),
                Behind::Body(header) => {
                    let Some(body) = header.body else { continue };
                    line.push_back(Held::Awaits { header, number: body.number });
                    bodies.push(body);
                }
            }
        }
        // A body may have come while these were on their way here.
        self.release(&mut state, lane);
        self.serve_want(&mut state);
        self.top_up_locked(&mut state);
        drop(state);
        for body in bodies {
            self.session.expect_body(body, Arc::clone(self), lane);
        }
        Ok(())
    }

    /// A body has come, or has failed (`None`): it takes its place, and whoever stood behind it may go on.
    pub(crate) fn on_body(self: &Arc<Self>, lane: u8, number: u64, payload: Option<&Bytes>) {
        let mut lost = None;
        let mut state = self.state.lock();
        let Some(line) = state.held.get_mut(&lane) else { return };
        let place =
            line.iter().position(|held| matches!(held, Held::Awaits { number: n, .. } if *n == number));
        let Some(place) = place else { return };
        if let Held::Awaits { header, .. } = line[place] {
            match payload {
                Some(payload) => {
                    let frame = Frame::owned(&header, payload.clone(), self.capacity, Instant::now());
                    line[place] = Held::Ready(frame);
                }
                None => {
                    line.remove(place);
                    let bytes = header.body.map_or(0, |body| body.bytes as usize);
                    lost = Some((header.correlation, Weight::of_message(bytes, self.capacity)));
                }
            }
        }
        if let Some((_, weight)) = lost {
            state.room.free(weight);
        }
        self.release(&mut state, lane);
        self.serve_want(&mut state);
        self.top_up_locked(&mut state);
        drop(state);
        if let Some((correlation, _)) = lost {
            refuse(&*self.session, correlation, &crate::failure::body_lost(&self.path, self.session.here()));
        }
    }

    /// Lets in what stands at the front of a lane's line, up to the next body that is to come.
    fn release(self: &Arc<Self>, state: &mut State, lane: u8) {
        let Some(line) = state.held.get_mut(&lane) else { return };
        let mut frames = self.arrived().frames;
        while let Some(held) = line.pop_front() {
            match held {
                Held::Ready(frame) => frames.push(frame),
                Held::Awaits { .. } => {
                    line.push_front(held);
                    break;
                }
            }
        }
        if line.is_empty() {
            state.held.remove(&lane);
        }
        if frames.len() > 0 {
            state.room.accept(frames);
        }
    }

    /// Lends more, when room has become free and the window has a gap.
    pub(crate) fn top_up(&self) {
        self.top_up_locked(&mut self.state.lock());
    }

    fn top_up_locked(&self, state: &mut State) {
        // A sender that waits is served in line with all others, by its reservation.
        if state.wanted.is_some() || state.reclaiming.is_some() || state.closed.is_some() {
            return;
        }
        let wanted = state.credit.wanted();
        if wanted == Weight::ZERO {
            return;
        }
        let lent = state.room.lend(wanted);
        if lent != Weight::ZERO {
            let granted = state.credit.grant(lent);
            self.session.control(&Control::Grant { channel: self.number, granted });
        }
    }

    /// The peer's first in line waits until all grants sum up to `until`.
    pub(crate) fn on_want(self: &Arc<Self>, until: Weight) {
        let mut state = self.state.lock();
        state.wanted = Some(until);
        self.serve_want(&mut state);
    }

    /// Begins to reserve what the peer waits for, if that is possible now.
    fn serve_want(self: &Arc<Self>, state: &mut State) {
        if !state.is_reserving && self.next_shortage(state).is_some() {
            state.is_reserving = true;
            let inlet = Arc::clone(self);
            self.session.spawn(async move { inlet.reserve_wanted().await });
        }
    }

    fn next_shortage(&self, state: &mut State) -> Option<Weight> {
        let until = state.wanted.filter(|_| state.closed.is_none())?;
        match state.credit.short_of(until) {
            Shortage::Lend(short) => Some(short),
            Shortage::Awaits => None,
            Shortage::None => {
                state.wanted = None;
                self.top_up_locked(state);
                None
            }
        }
    }

    async fn reserve_wanted(self: Arc<Self>) {
        loop {
            let short = {
                let mut state = self.state.lock();
                let Some(short) = self.next_shortage(&mut state) else {
                    state.is_reserving = false;
                    return;
                };
                short
            };
            match Arc::clone(&self.port).reserve(short).await {
                Ok(reserved) => self.grant(reserved, short),
                Err(error @ AskError::MailboxFull { .. }) => return self.reject(error),
                Err(_) => return, // the port is closing; `close` tells the peer
            }
        }
    }

    /// The mailbox rejects what it has no room for: so the peer's waiting senders are told.
    fn reject(&self, mut error: AskError) {
        let mut state = self.state.lock();
        state.is_reserving = false;
        state.wanted = None;
        if let AskError::MailboxFull { len, capacity, .. } = &mut error {
            // What is on its way here has its place as well.
            let lent = u32::try_from(state.credit.outstanding().messages).unwrap_or(u32::MAX);
            *len = len.saturating_add(lent).min(*capacity);
        }
        let failure = failure_of(&error, self.session.here());
        self.session.control(&Control::Full { channel: self.number, failure });
    }

    fn grant(&self, reserved: Reserved, weight: Weight) {
        let mut state = self.state.lock();
        state.room.add(reserved);
        let granted = state.credit.grant(weight);
        self.session.control(&Control::Grant { channel: self.number, granted });
    }

    /// Asks the peer for credit that it does not use, because others wait for the same mailbox.
    pub(crate) fn reclaim(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        if state.reclaiming.is_some_and(|since| now.duration_since(since) >= RETURN_MAX) {
            drop(state);
            // Room that nobody uses must not be kept from those who wait for it.
            return self.session.violation("gives back no credit that it is asked for");
        }
        let is_idle = state.wanted.is_none() && state.reclaiming.is_none() && state.closed.is_none();
        if is_idle && state.credit.outstanding() != Weight::ZERO {
            state.reclaiming = Some(now);
            self.session.control(&Control::Reclaim { channel: self.number });
        }
    }

    /// The peer gave credit back.
    ///
    /// # Errors
    /// [`Overrun`] when it gives back more than it had.
    pub(crate) fn on_return(self: &Arc<Self>, returned: Weight) -> Result<(), Overrun> {
        let mut state = self.state.lock();
        let freed = state.credit.take_back(returned)?;
        state.reclaiming = None;
        state.room.free(freed);
        self.serve_want(&mut state);
        Ok(())
    }

    /// The peer goes on with a stream of the actor.
    pub(crate) fn resume(&self, wanted: Wanted) {
        self.port.resume(&self.session, &self.path, wanted);
    }

    /// The peer has the end of a stream of the actor.
    pub(crate) fn release_stream(&self, stream: u128) {
        self.port.release(&self.session, stream);
    }

    /// The actor is gone: tells the peer, and refuses what still comes.
    pub(crate) fn close(&self, failure: &Failure) {
        let held = {
            let mut state = self.state.lock();
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(failure.clone());
            std::mem::take(&mut state.held)
        };
        self.session.forget_inlet(self.number);
        self.session.control(&Control::Closed { channel: self.number, failure: failure.clone() });
        for held in held.into_values().flatten() {
            let correlation = match held {
                Held::Ready(frame) => frame.correlation,
                Held::Awaits { header, .. } => header.correlation,
            };
            refuse(&*self.session, correlation, failure);
        }
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet")
            .field("number", &self.number)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
