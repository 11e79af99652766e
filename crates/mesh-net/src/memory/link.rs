//! The state of one connection, both ends of it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::close::CloseReason;
use crate::config::TransportConfig;

/// Which end of a link: the one that dialled, or the one that accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialer = 0,
    Acceptor = 1,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Acceptor,
            Self::Acceptor => Self::Dialer,
        }
    }
}

pub(super) struct Link {
    pub(super) config: TransportConfig,
    state: Mutex<LinkState>,
    /// One bell for everything: whoever waits looks again. A test network can afford that.
    changed: Notify,
}

pub(super) struct LinkState {
    idle_timeout: std::time::Duration,
    /// Since when nothing gets through.
    cut_since: Option<Instant>,
    /// Whether one end's process is gone, so that the cut can't heal.
    is_severed: bool,
    ends: [EndState; 2],
}

#[derive(Default)]
pub(super) struct EndState {
    pub(super) closed: Option<CloseReason>,
    pub(super) next_stream: u64,
    /// The streams that this end opened and that are not over.
    pub(super) outgoing: BTreeMap<u64, Pipe>,
    /// Bytes written to `outgoing` and not yet read.
    pub(super) unread: usize,
    /// Streams that the other end opened and used, to be accepted here.
    pub(super) arrived: VecDeque<u64>,
    /// Datagrams that the other end sent, to be read here.
    pub(super) datagrams: VecDeque<Bytes>,
}

/// One stream, from its writer to its reader.
#[derive(Default)]
pub(super) struct Pipe {
    /// Whether the reader's end knows of it.
    pub(super) is_announced: bool,
    /// Whether something was sent on it, so that the reader's end should know.
    pub(super) is_used: bool,
    pub(super) arrived: VecDeque<Bytes>,
    /// What was written while the link was cut.
    pub(super) in_flight: VecDeque<Bytes>,
    pub(super) unread: usize,
    pub(super) end: Option<PipeEnd>,
    pub(super) has_end_arrived: bool,
    /// The reader's refusal, and whether the writer knows.
    pub(super) stopped: Option<u32>,
    pub(super) has_stop_arrived: bool,
    pub(super) is_writer_done: bool,
    pub(super) is_reader_done: bool,
}

impl Pipe {
    /// Throws away what nobody will read; gives how much it was.
    fn discard(&mut self) -> usize {
        self.arrived.clear();
        self.in_flight.clear();
        std::mem::take(&mut self.unread)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PipeEnd {
    Finished,
    Reset(u32),
}

impl Link {
    pub(super) fn new(config: &TransportConfig) -> Self {
        let state = LinkState {
            idle_timeout: config.idle_timeout,
            cut_since: None,
            is_severed: false,
            ends: Default::default(),
        };
        Self { config: config.clone(), state: Mutex::new(state), changed: Notify::new() }
    }

    /// Changes the state, lets what can arrive do so, and rings the bell.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut LinkState) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        state.deliver();
        drop(state);
        self.changed.notify_waiters();
        result
    }

    /// The state as of now: an idle timeout that has passed has been applied.
    pub(super) fn lock(&self) -> MutexGuard<'_, LinkState> {
        let mut state = self.state.lock();
        if state.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            state.close_both(&CloseReason::TimedOut);
            self.changed.notify_waiters();
        }
        state
    }

    /// Waits until `check`, called after every change, is ready.
    pub(super) async fn until<R>(&self, mut check: impl FnMut(&mut LinkState) -> Poll<R>) -> R {
        // A test that always finds everything ready must still let the others run.
        tokio::task::coop::consume_budget().await;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before the check, so that a change in between is not missed.
            changed.as_mut().enable();
            let deadline = {
                let mut state = self.lock();
                if let Poll::Ready(result) = check(&mut state) {
                    state.deliver();
                    drop(state);
                    self.changed.notify_waiters();
                    return result;
                }
                state.deadline()
            };
            match deadline {
                None => changed.await,
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(deadline) => {}
                },
            }
        }
    }

    pub(super) fn cut(&self) {
        self.update(|state| {
            state.cut_since.get_or_insert_with(Instant::now);
        });
    }

    /// Lets everything through again, unless an end's process is gone.
    pub(super) fn heal(&self) {
        self.update(|state| {
            if !state.is_severed {
                state.cut_since = None;
            }
        });
    }

    /// The process at `side` is gone, without a word to the other.
    pub(super) fn sever(&self, side: Side) {
        self.update(|state| {
            state.cut_since.get_or_insert_with(Instant::now);
            state.is_severed = true;
            state.close_end(side, CloseReason::Local);
        });
    }
}

impl LinkState {
    pub(super) fn end(&mut self, side: Side) -> &mut EndState {
        &mut self.ends[side as usize]
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut_since.is_some()
    }

    /// When the end that still lives will give up.
    fn deadline(&self) -> Option<Instant> {
        let is_open = self.ends.iter().any(|end| end.closed.is_none());
        let since = self.cut_since.filter(|_| is_open)?;
        Some(since + self.idle_timeout)
    }

    /// Ends the connection as seen from `side`; the first reason counts.
    pub(super) fn close_end(&mut self, side: Side, reason: CloseReason) {
        let end = self.end(side);
        if end.closed.is_none() {
            end.closed = Some(reason);
            end.arrived.clear();
        }
    }

    fn close_both(&mut self, reason: &CloseReason) {
        for side in [Side::Dialer, Side::Acceptor] {
            self.close_end(side, reason.clone());
        }
    }

    /// Moves across whatever a cut has kept back, and tells a peer that came back about a connection that is no more.
    fn deliver(&mut self) {
        if self.is_cut() {
            return;
        }
        for side in [Side::Dialer, Side::Acceptor] {
            if self.end(side).closed.is_some() {
                // Its close was said into the cut. Like a QUIC endpoint that no longer knows the connection.
                self.close_end(side.other(), CloseReason::Reset);
                continue;
            }
            let end = self.end(side);
            let last_used = end.outgoing.iter().rev().find(|(_, pipe)| pipe.is_used).map(|(id, _)| *id);
            let mut announced = Vec::new();
            let mut discarded = 0;
            for (id, pipe) in &mut end.outgoing {
                // As in QUIC, a used stream announces those opened before it (RFC 9000 §2.1).
                if !pipe.is_announced && last_used.is_some_and(|last| *id <= last) {
                    pipe.is_announced = true;
                    announced.push(*id);
                }
                pipe.arrived.append(&mut pipe.in_flight);
                pipe.has_end_arrived = pipe.end.is_some();
                pipe.has_stop_arrived = pipe.stopped.is_some();
                if pipe.is_reader_done {
                    discarded += pipe.discard();
                }
            }
            end.unread -= discarded;
            end.outgoing.retain(|_, pipe| !(pipe.is_writer_done && pipe.is_reader_done));
            self.end(side.other()).arrived.extend(announced);
        }
    }
}
