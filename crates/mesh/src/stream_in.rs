//! The reading half of a stream from another node.
//!
//! Its items come into one queue, whichever connection brings them. When that connection is lost and the stream is kept at
//! its actor's node, this half finds the way there again by itself and asks for the first item that it lacks: so the
//! queue has each item once, in order.

use crate::{
    failure::{STREAM_GONE, error_of, failure_of, may_return, stream_gone, stream_lost},
    pending::{Answer, Waiter},
    session::Session,
    shared::{Place, Shared, no_such_actor},
    stream_out::{STREAM_WINDOW, STREAM_WINDOW_ITEMS},
    ticket::Ticket,
};
use mesh_actor::AskError;
use mesh_proto::{
    Failure, NodeId,
    credit::Weight,
    decode_frame, encode_frame,
    frame::{Content, Control, Features, Outcome},
};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};

/// How long the way to a stream is looked for, at most: 30 s, as long as its node keeps it by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pauses between two attempts: from 25 ms, twice as long each time, up to 500 ms.
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A stream that was found for longer than this was found: 5 s.
const USEFUL: Duration = Duration::from_secs(5);

/// Answers that may wait for a stream's reader: as many items as it was sent without its word, and the end.
const QUEUE: usize = STREAM_WINDOW_ITEMS as usize + 2;

/// The reading half of one stream.
pub(crate) struct StreamIn {
    queue: mpsc::Sender<Answer>,
    again: OnceLock<Again>,
    state: Mutex<State>,
}

/// What it takes to find a stream again.
struct Again {
    shared: Arc<Shared>,
    ticket: Ticket,
    deadline: Instant,
}

struct State {
    /// The number of the last item that came.
    received: u64,
    read: Weight,
    granted: Weight,
    link: Option<Link>,
    /// Since when it has been looked for, and when it was found last; until an item comes.
    away: Option<(Instant, Instant)>,
    is_leaving: bool,
    /// The end has come, or the reader wants no more.
    is_over: bool,
}

/// Over which connection the items come now.
#[derive(Clone)]
struct Link {
    session: Arc<Session>,
    channel: u32,
    correlation: u64,
}

impl StreamIn {
    /// A stream that begins, and the queue of what comes.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Answer>) {
        Self::behind(0)
    }

    /// A stream of which the first `before` items were read elsewhere.
    fn behind(before: u64) -> (Arc<Self>, mpsc::Receiver<Answer>) {
        let (queue, answers) = mpsc::channel(QUEUE);
        let read = Weight { messages: before, bytes: 0 };
        let state = State {
            received: before,
            read,
            granted: Weight::ZERO,
            link: None,
            away: None,
            is_leaving: false,
            is_over: false,
        };
        (Arc::new(Self { queue, again: OnceLock::new(), state: Mutex::new(state) }), answers)
    }

    /// Goes on with the stream of a ticket behind its item `after`. What stands in the way comes as its end.
    pub(crate) fn resume(
        shared: &Arc<Shared>,
        ticket: Ticket,
        after: u64,
        deadline: Instant,
    ) -> (Arc<Self>, mpsc::Receiver<Answer>) {
        let (stream, answers) = Self::behind(after);
        stream.can_return(shared, ticket, deadline);
        let comes = Arc::clone(&stream);
        shared.tasks.spawn(async move { comes.come_back().await });
        (stream, answers)
    }

    /// Its items come over this session, under this number.
    pub(crate) fn linked(&self, session: &Arc<Session>, channel: u32, correlation: u64) {
        self.state.lock().link = Some(Link { session: Arc::clone(session), channel, correlation });
    }

    /// It is kept at its actor's node, under this name.
    pub(crate) fn can_return(&self, shared: &Arc<Shared>, ticket: Ticket, deadline: Instant) {
        let _ = self.again.set(Again { shared: Arc::clone(shared), ticket, deadline });
    }

    /// Under which name it is found again, if it is kept.
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.again.get().map(|again| &again.ticket)
    }

    pub(crate) fn on_item(&self, answer: Answer) {
        let mut state = self.state.lock();
        match self.queue.try_send(answer) {
            Ok(()) => {
                state.received += 1;
                state.away = None;
            }
            // The queue is as wide as the window.
            Err(mpsc::error::TrySendError::Full(_)) => {
                if let Some(link) = &state.link {
                    link.session.violation("sent items that there was no room for");
                }
            }
            // The reader is about to leave, and says so.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Its reply came, or a failure.
    pub(crate) fn on_end(self: &Arc<Self>, answer: Answer) {
        if let Answer::Frame { outcome: Outcome::Failure, payload, .. } = &answer
            && decode_frame::<Failure>(payload).is_ok_and(|failure| may_return(&failure))
        {
            return self.lost(true);
        }
        self.state.lock().is_over = true;
        drop(self.queue.try_send(answer));
    }

    /// Whether its items are made by this node.
    pub(crate) fn is_from(&self, node: NodeId) -> bool {
        self.again.get().is_some_and(|again| again.ticket.actor.node == node)
    }

    /// Its connection is lost; `may_return` tells whether its actor's node may still be there.
    pub(crate) fn lost(self: &Arc<Self>, may_return: bool) {
        let is_over = {
            let mut state = self.state.lock();
            state.link = None;
            state.is_over || state.is_leaving
        };
        match self.again.get() {
            Some(again) if may_return && !is_over => {
                let stream = Arc::clone(self);
                again.shared.tasks.spawn(async move { stream.come_back().await });
            }
            _ => {
                self.state.lock().is_over = true;
                drop(self.queue.try_send(Answer::Lost));
            }
        }
    }

    /// The reader is done with an item of `bytes`: says so now and then, a quarter of the window at a time.
    pub(crate) fn read(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.read = state.read.plus(Weight { messages: 1, bytes: bytes as u64 });
        let unsaid = state.read.plus(STREAM_WINDOW).minus(state.granted.max(STREAM_WINDOW));
        let is_due = unsaid.messages >= STREAM_WINDOW.messages / 4 || unsaid.bytes >= STREAM_WINDOW.bytes / 4;
        if is_due {
            state.granted = state.read.plus(STREAM_WINDOW);
            state.say_granted();
        }
    }

    /// The error of a stream whose end will not come.
    pub(crate) fn unreachable(&self) -> AskError {
        let state = self.state.lock();
        let node = state.link.as_ref().map(|link| link.session.peer().name.to_string());
        AskError::Unreachable { node: node.unwrap_or_default(), may_have_run: true }
    }

    /// The reader wants no more, and waits for the end: the message is withdrawn.
    pub(crate) fn withdraw(&self) {
        let link = self.state.lock().link.clone();
        if let Some(Link { session, correlation, .. }) = link {
            session.control(&Control::Cancel { correlation });
        }
    }

    /// The reader has all: nothing has to be kept for it.
    pub(crate) fn release(&self) {
        let link = self.state.lock().link.take();
        if let (Some(link), Some(again)) = (link, self.again.get()) {
            let stream = again.ticket.stream;
            link.session.control(&Control::Release { channel: link.channel, stream });
        }
    }

    /// The reader leaves a stream that is kept, and waits for the word that it is.
    pub(crate) fn detach(&self) {
        let mut state = self.state.lock();
        state.is_leaving = true;
        if let Some(Link { session, correlation, .. }) = &state.link {
            session.control(&Control::Detach { correlation: *correlation });
        }
    }

    /// The reader goes for good.
    pub(crate) fn leave(&self) {
        let link = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.is_over, true) || state.is_leaving {
                return;
            }
            state.link.take()
        };
        let Some(Link { session, correlation, .. }) = link else { return };
        if session.pending().take(correlation).is_some() {
            session.control(&Control::Cancel { correlation });
        }
    }

    /// Looks for the way to the stream, until it is found or it is clear that there is none.
    async fn come_back(self: Arc<Self>) {
        let Some(again) = self.again.get() else { return };
        let since = self.away_since();
        let until = again.deadline.min(since + PATIENCE);
        let mut pause = PAUSE_MIN;
        if since.elapsed() > PAUSE_MIN {
            // It was found, and lost again at once.
            sleep_until(until.min(Instant::now() + PAUSE_MAX)).await;
        }
        loop {
            let attempt = timeout_at(until, self.attach(again)).await;
            let error = match attempt {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    AskError::Unreachable { node: again.ticket.path.clone(), may_have_run: true }
                }
            };
            let next = Instant::now() + pause;
            let passes = matches!(error, AskError::Unreachable { .. }) && !again.shared.is_cut_off();
            if !passes || next >= until {
                return self.give_up(again, &error);
            }
            sleep_until(next).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Since when the stream has been looked for: not only since now when it was found, and lost before it was of any use.
    fn away_since(&self) -> Instant {
        let (now, mut state) = (Instant::now(), self.state.lock());
        let since = state.away.filter(|(_, found)| *found + USEFUL > now).map_or(now, |(since, _)| since);
        state.away = Some((since, now));
        since
    }

    /// One attempt. That the stream is not there any more comes as an answer.
    async fn attach(self: &Arc<Self>, again: &Again) -> Result<(), AskError> {
        let Again { shared, ticket, .. } = again;
        let Place::There(session) = shared.place_soon(&ticket.path).await? else {
            return Err(no_such_actor(&ticket.path));
        };
        let channel = session.channel(&ticket.path);
        let terms = channel.opened().await.map_err(error_of)?;
        if terms.actor != ticket.actor {
            return Err(AskError::Stopped { path: ticket.path.clone() });
        }
        if !session.peer().knows(Features::REATTACHES) {
            return Err(error_of(stream_gone(&ticket.path, None, &shared.me.name)));
        }
        if self.state.lock().is_over {
            // The reader has left meanwhile: nothing has to be kept for it.
            session.control(&Control::Release { channel: channel.number(), stream: ticket.stream });
            return Ok(());
        }
        let waiter = Waiter::Stream(Arc::clone(self));
        let correlation = session.pending().insert(waiter).map_err(|_| session.unreachable(true))?;
        let mut state = self.state.lock();
        if state.is_over {
            drop(state);
            session.pending().take(correlation);
            session.control(&Control::Release { channel: channel.number(), stream: ticket.stream });
            return Ok(());
        }
        let (channel, stream, next) = (channel.number(), ticket.stream, state.received + 1);
        state.link = Some(Link { session: Arc::clone(&session), channel, correlation });
        state.away = state.away.map(|(since, _)| (since, Instant::now()));
        session.control(&Control::Attach { channel, correlation, stream, next });
        // What was said before may have been lost; and who comes from elsewhere has read what it says it has.
        state.granted = state.read.plus(STREAM_WINDOW);
        state.say_granted();
        Ok(())
    }

    fn give_up(&self, again: &Again, error: &AskError) {
        let received = {
            let mut state = self.state.lock();
            state.is_over = true;
            state.received
        };
        let here = &again.shared.me.name;
        let failure = match failure_of(error, here) {
            gone if gone.code == STREAM_GONE => gone,
            _ => stream_lost(&again.ticket.path, received, error, here),
        };
        let mut payload = Vec::new();
        encode_frame(&failure, &mut payload);
        let (outcome, content) = (Outcome::Failure, Content::Bincode);
        drop(self.queue.try_send(Answer::Frame { outcome, content, payload: payload.into() }));
    }
}

impl State {
    fn say_granted(&self) {
        if let Some(Link { session, correlation, .. }) = &self.link {
            session.control(&Control::StreamGrant { correlation: *correlation, granted: self.granted });
        }
    }
}

impl fmt::Debug for StreamIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamIn").field("ticket", &self.ticket()).finish_non_exhaustive()
    }
}

/// A reader of a stream. Dropped before the end, it withdraws the message.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) stream: Arc<StreamIn>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stream.leave();
    }
}

#[cfg(test)]
mod tests;
