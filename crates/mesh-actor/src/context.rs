//! What a handler knows about the message in its hands, and about itself.

use std::any::type_name;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::{Actor, Handler};
use crate::actor_ref::ActorRef;
use crate::cancel::Cancel;
use crate::error::AskError;
use crate::letter::Letter;
use crate::message::{Message, Meta, Sender};
use crate::remedy::Remedy;
use crate::timer::{Timer, Timers, TooManyTimers};
use crate::turn::Turn;

/// The handler's view of the world: who asks, until when, and the actor's own lifecycle.
pub struct Context<A: Actor> {
    me: ActorRef<A>,
    meta: Meta,
    has_meta: bool,
    failure: Option<String>,
    is_stopping: bool,
    turn: Turn,
    expired: u64,
    in_hand: InHand<A>,
    /// Boxed, since most actors have none.
    timers: Option<Box<Timers>>,
}

/// The message in hand, for the case that its handler crashes. Every actor has one, so it is small.
pub(crate) struct InHand<A: Actor> {
    /// What it is; none if nobody said.
    pub(crate) kind: Option<fn() -> &'static str>,
    /// A copy of it, if it may be handled again.
    pub(crate) copy: Option<Box<Box<dyn Letter<A>>>>,
    pub(crate) bytes: u32,
    /// How often it was tried before.
    pub(crate) tried: u8,
    /// How often the next one was.
    next_tried: u8,
    /// How often one may be handled again.
    redeliver: u8,
}

impl<A: Actor> InHand<A> {
    fn nothing(redeliver: u8) -> Self {
        Self { kind: None, copy: None, bytes: 0, tried: 0, next_tried: 0, redeliver }
    }

    pub(crate) fn may_try_again(&self) -> bool {
        self.tried < self.redeliver
    }
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(me: ActorRef<A>) -> Self {
        let redeliver = me.mailbox().inner().life.redeliver();
        Self {
            me,
            meta: Meta::default(),
            has_meta: false,
            failure: None,
            is_stopping: false,
            turn: Turn::default(),
            expired: 0,
            in_hand: InHand::nothing(redeliver),
            timers: None,
        }
    }

    /// A reference to this actor.
    pub fn me(&self) -> &ActorRef<A> {
        &self.me
    }

    /// When the answer to the current message stops being of use; none for a tell that set none.
    ///
    /// Give it to every ask that the message leads to.
    pub fn deadline(&self) -> Option<Instant> {
        self.meta.deadline
    }

    /// Who sent the current message, if the sender said so.
    pub fn sender(&self) -> Option<&Sender> {
        self.meta.sender.as_ref()
    }

    /// All that came beside the current message.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether nobody waits for the answer to the current message any more.
    pub fn is_cancelled(&self) -> bool {
        self.meta.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Waits until nobody waits for the answer any more; for ever if the message is a tell.
    ///
    /// The future does not borrow the context.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<A> {
        let cancel = self.meta.cancel.clone();
        async move {
            match cancel {
                Some(cancel) => cancel.cancelled().await,
                None => pending().await,
            }
        }
    }

    /// The signal that is set when nobody waits for the answer to the current message any more.
    ///
    /// Give it to every ask that the message leads to ([`Ask::cancel_on`](crate::Ask::cancel_on)): so withdrawing the
    /// first message withdraws all of them.
    pub fn cancel(&self) -> Cancel {
        self.meta.cancel.clone().unwrap_or_default()
    }

    /// What is to be done about the last crash, if there was one: for [`Actor::started`], which applies it.
    pub fn remedy(&self) -> Option<Remedy> {
        self.me.mailbox().inner().life.remedy()
    }

    /// Which of the lives of its name over all nodes this is, if the actor was placed: a later one has a higher number. What
    /// the actor writes elsewhere carries it, so that the writes of an earlier life can be refused.
    pub fn epoch(&self) -> Option<u64> {
        self.me.epoch()
    }

    /// Sends the actor a message in `delay`, through its own mailbox: one that is full is waited for.
    ///
    /// The timer ends with this life of the actor, and by [`Timer::cancel`]; dropping its handle changes nothing. A message
    /// of a timer that has ended is not handled, even if it is in the mailbox already.
    ///
    /// # Errors
    /// [`TooManyTimers`] when 1,024 of the actor's timers run.
    pub fn send_after<M: Message>(&mut self, delay: Duration, message: M) -> Result<Timer, TooManyTimers>
    where
        A: Handler<M>,
    {
        let mailbox = self.me.mailbox().clone();
        self.timers.get_or_insert_default().once(mailbox, delay, message)
    }

    /// Sends the actor a message every `period`, first in one `period`, until this life of the actor ends or the timer is
    /// cancelled; see [`send_after`](Self::send_after). A period is at least 1 ms.
    ///
    /// Its messages never pile up: there is one in the mailbox or in the handler, or none. What was missed meanwhile comes
    /// as one message, and then the next comes at its time.
    ///
    /// ```
    /// # use mesh_actor::{Actor, Context, Handler, Message, StartError};
    /// # use std::time::Duration;
    /// struct Flush;
    /// impl Message for Flush {
    ///     type Reply = ();
    /// }
    /// struct Writer;
    /// impl Actor for Writer {
    ///     async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
    ///         cx.send_every(Duration::from_secs(1), || Flush)?;
    ///         Ok(())
    ///     }
    /// }
    /// impl Handler<Flush> for Writer {
    ///     async fn handle(&mut self, _: Flush, _: &mut Context<Self>) { /* … */ }
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`send_after`](Self::send_after).
    pub fn send_every<M: Message>(
        &mut self,
        period: Duration,
        message: impl FnMut() -> M + Send + 'static,
    ) -> Result<Timer, TooManyTimers>
    where
        A: Handler<M>,
    {
        let mailbox = self.me.mailbox().clone();
        self.timers.get_or_insert_default().every(mailbox, period, message)
    }

    /// Crashes the actor when the current handler returns. Its reply is still sent.
    ///
    /// For failures that the actor cannot live with; one that the asker expects belongs into the reply.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert_with(|| reason.into());
    }

    /// Stops the actor when the current handler returns.
    ///
    /// A normal exit: a [`Permanent`](crate::Restart::Permanent) actor is started again and goes on with its
    /// mailbox; the others end, and what is queued does not run.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Takes the next message of a parcel in hand: sets what travelled beside it, and counts it if it must not run.
    ///
    /// For implementors of [`Letter`](crate::Letter) and [`Parcel`](crate::Parcel).
    ///
    /// # Errors
    /// The message must not run: its deadline passed, or nobody waits for the answer.
    pub fn enter(&mut self, meta: Meta) -> Result<(), Skipped> {
        self.enter_unchecked(meta);
        self.check()
    }

    /// As [`enter`](Self::enter), for one of many messages from the same node: its name is not counted up and down
    /// with each message.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub fn enter_from(
        &mut self,
        node: Option<&Arc<str>>,
        serial: u64,
        deadline: Option<Instant>,
        cancel: Option<Cancel>,
    ) -> Result<(), Skipped> {
        match &mut self.meta.sender {
            Some(known) if is_same(known.node.as_ref(), node) => known.serial = serial,
            sender => *sender = Some(Sender { node: node.cloned(), serial }),
        }
        self.in_hand.kind = None;
        self.meta.deadline = deadline;
        self.meta.cancel = cancel;
        self.has_meta = true;
        self.check()
    }

    fn check(&mut self) -> Result<(), Skipped> {
        let skipped = if self.is_cancelled() {
            Skipped::Cancelled
        } else if self.meta.deadline.is_some_and(|deadline| self.turn.now() >= deadline) {
            Skipped::Expired
        } else {
            return Ok(());
        };
        self.expired += 1;
        Err(skipped)
    }

    /// As `enter`, for a message whose asker watches the deadline, and cancels the message when it passes.
    ///
    /// The clock is read for those that have waited in the queue only: a reading costs a tenth of a whole ask.
    pub(crate) fn enter_asked(&mut self, meta: Meta) -> Result<(), Skipped> {
        if self.turn.is_fresh() && !meta.cancel.as_ref().is_some_and(Cancel::is_cancelled) {
            self.enter_unchecked(meta);
            return Ok(());
        }
        self.enter(meta)
    }

    /// Whether a parcel must stop between two messages: something more urgent waits, or the actor's turn is over.
    ///
    /// To be called once after each message.
    pub fn interrupted(&mut self) -> bool {
        self.turn.count_one();
        self.must_rest()
    }

    /// Whether the turn ends here, without counting a message.
    pub(crate) fn must_rest(&self) -> bool {
        self.turn.is_over() || self.is_leaving() || self.me.mailbox().needs_attention()
    }

    fn enter_unchecked(&mut self, meta: Meta) {
        self.in_hand.kind = None;
        self.has_meta = true;
        self.meta = meta;
    }

    /// A message without anything beside it.
    pub(crate) fn enter_plain(&mut self) {
        if self.has_meta {
            self.has_meta = false;
            self.meta = Meta::default();
        }
    }

    /// Notes which message is about to be handled.
    #[inline]
    pub(crate) fn hold<M: Message>(&mut self, message: &M, letter: impl FnOnce(M) -> Box<dyn Letter<A>>) {
        self.in_hand.kind = Some(type_name::<M>);
        if self.in_hand.redeliver > 0 {
            self.in_hand.tried = std::mem::take(&mut self.in_hand.next_tried);
            self.in_hand.copy = message.copy().map(|copy| Box::new(letter(copy)));
        }
    }

    /// Notes what is about to be handled, and is never handled again.
    #[inline]
    pub(crate) fn names<M>(&mut self) {
        self.in_hand.kind = Some(type_name::<M>);
        if self.in_hand.redeliver > 0 {
            self.in_hand.copy = None;
            self.in_hand.tried = 0;
        }
    }

    /// Notes which message is about to be handled, for implementors of [`Parcel`](crate::Parcel): one that crashes the
    /// actor is listed under this kind.
    pub fn holds(&mut self, kind: fn() -> &'static str, bytes: usize) {
        self.names::<()>();
        self.in_hand.kind = Some(kind);
        self.weighs(bytes);
    }

    pub(crate) fn weighs(&mut self, bytes: usize) {
        self.in_hand.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// The next message was tried before.
    pub(crate) fn tries_again(&mut self, tried: u8) {
        self.in_hand.next_tried = tried;
    }

    /// What was in hand when the handler crashed.
    pub(crate) fn drop_in_hand(&mut self) -> InHand<A> {
        let nothing = InHand::nothing(self.in_hand.redeliver);
        std::mem::replace(&mut self.in_hand, nothing)
    }

    pub(crate) fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Whether the actor fails, or stops by itself.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_stopping || self.failure.is_some()
    }

    pub(crate) fn take_expired(&mut self) -> u64 {
        std::mem::take(&mut self.expired)
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("me", &self.me).field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// Whether both are one name in memory; two copies of a name only cost a clone.
fn is_same(one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Why a message must not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// Its deadline passed in the queue.
    Expired,
    /// Its asker went away.
    Cancelled,
}

impl Skipped {
    /// The error for the asker at `path`, if it is still there.
    pub fn error(self, path: &str) -> AskError {
        let path = path.to_owned();
        match self {
            // The asker knows its budget and fills it in.
            Self::Expired => AskError::DeadlineExceeded { path, budget_ms: 0, may_have_run: false },
            Self::Cancelled => AskError::Cancelled { path },
        }
    }
}
