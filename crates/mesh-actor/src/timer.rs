//! Messages that an actor sends to itself, later.
//!
//! Each timer is a task of the actor's own, which waits on tokio's clock and then for room in the mailbox. They end with
//! the incarnation that started them, since the next one starts its own.

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::actor::Handler;
use crate::context::Context;
use crate::error::AskError;
use crate::letter::Letter;
use crate::mailbox::{Mailbox, MailboxClosed, Weight};
use crate::message::Message;

/// The most timers of one actor that run at once: 1,024.
pub const TIMERS_MAX: usize = 1024;

/// The shortest period: a timer of none would keep its thread busy.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// An actor starts timers and does not cancel them. Its author's mistake; nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor has at most {TIMERS_MAX} timers")]
pub struct TooManyTimers;

/// A timer of an actor: see [`Context::send_after`]. Dropping it changes nothing.
#[derive(Clone)]
pub struct Timer {
    is_cancelled: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Timer {
    /// Ends the timer: none of its messages is handled any more, not even one that is in the mailbox.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.task.abort();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("has_ended", &self.task.is_finished()).finish()
    }
}

/// The timers of one incarnation of an actor.
#[derive(Default)]
pub(crate) struct Timers {
    running: JoinSet<()>,
    /// Gone with the incarnation: what its timers have left in the mailbox is then of no use.
    life: Arc<()>,
}

impl Timers {
    pub(crate) fn once<A: Handler<M>, M: Message>(
        &mut self,
        mailbox: Mailbox<A>,
        delay: Duration,
        message: M,
    ) -> Result<Timer, TooManyTimers> {
        let at = Instant::now() + delay;
        self.start(|ring| async move {
            sleep_until(at).await;
            // Nobody is there to be told that the actor has ended.
            let _ = ring.send(&mailbox, message).await;
        })
    }

    pub(crate) fn every<A: Handler<M>, M: Message>(
        &mut self,
        mailbox: Mailbox<A>,
        period: Duration,
        mut message: impl FnMut() -> M + Send + 'static,
    ) -> Result<Timer, TooManyTimers> {
        let period = period.max(PERIOD_MIN);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.start(|ring| async move {
            loop {
                ticks.tick().await;
                let Ok(handled) = ring.send(&mailbox, message()).await else { return };
                // An error says what is waited for: the message is gone, handled or not.
                let _ = handled.await;
            }
        })
    }

    fn start<F>(&mut self, task: impl FnOnce(Ring) -> F) -> Result<Timer, TooManyTimers>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.running.try_join_next().is_some() {}
        if self.running.len() >= TIMERS_MAX {
            return Err(TooManyTimers);
        }
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let ring = Ring { is_cancelled: Arc::clone(&is_cancelled), life: Arc::downgrade(&self.life) };
        let task = self.running.spawn(task(ring));
        Ok(Timer { is_cancelled, task })
    }
}

/// What a timer's messages carry.
#[derive(Clone)]
struct Ring {
    is_cancelled: Arc<AtomicBool>,
    life: Weak<()>,
}

impl Ring {
    fn has_ended(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire) || self.life.strong_count() == 0
    }

    /// Waits for room as anybody else, and sends; what it gives resolves when the message is handled, or dropped.
    async fn send<A: Handler<M>, M: Message>(
        &self,
        mailbox: &Mailbox<A>,
        message: M,
    ) -> Result<oneshot::Receiver<Infallible>, MailboxClosed> {
        let permit = mailbox.reserve(Weight::one(message.weight_bytes())).await?;
        let (open, handled) = oneshot::channel();
        mailbox.push(permit, Box::new(Tick { message, ring: self.clone(), _open: open }));
        Ok(handled)
    }
}

/// A message of a timer, in the mailbox.
struct Tick<M> {
    message: M,
    ring: Ring,
    _open: oneshot::Sender<Infallible>,
}

impl<A: Handler<M>, M: Message> Letter<A> for Tick<M> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Self { message, ring, _open } = *self;
            if ring.has_ended() {
                return;
            }
            cx.enter_plain();
            cx.names::<M>();
            actor.handle(message, cx).await;
        })
    }

    fn reject(self: Box<Self>, _why: &AskError) {}

    fn message(&self) -> Option<&dyn Any> {
        Some(&self.message)
    }

    fn kind(&self) -> &'static str {
        type_name::<M>()
    }
}
